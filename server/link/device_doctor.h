#pragma once

#include <string>
#include <vector>

#include "proto/diagnosis.h"
#include "transport/kernel_string.h"

namespace longwire {

/// The steps device, permission and use of a link that this process would open itself: what a look at the
/// file system and a short open tell, without touching the other side. False after a reported failure. Links
/// that listen, or have no device of their own, have nothing to look at.
bool ExamineDevice(const ComLink& link, Diagnosis& diagnosis);

/// The same for the nodes of a 1394 link, the files of FirewireDevices() (firewire_bus.h).
bool ExamineFirewire(const std::vector<std::string>& devices, Diagnosis& diagnosis);

}  // namespace longwire

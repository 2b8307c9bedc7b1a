#pragma once

#include <cstdint>
#include <string>

#include "proto/diagnosis.h"

namespace longwire {

/// The steps device, permission and use of a serial line that this process would open itself: what a look at
/// the file system and a short open tell, without touching the other side. `baud` 0 leaves the rate alone.
/// False after a reported failure.
bool ExamineSerialLine(const std::string& path, std::uint32_t baud, Diagnosis& diagnosis);

/// Whether this user has `mode` (R_OK | W_OK) on the path.
bool MayUse(const std::string& path, int mode);
/// The step permission of a path that exists.
bool ExaminePermission(const std::string& path, int mode, Diagnosis& diagnosis);
/// Reports that this user may not enter the directory of the path.
void FailHiddenPath(const std::string& path, Diagnosis& diagnosis);

}  // namespace longwire

#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "transport/endpoint.h"
#include "transport/endpoint_environment.h"

namespace longwire {

/// What the administrator may install to serve `IcfEnable`; LONGWIRE_FIREWALL_HOOK names other words.
inline constexpr const char* kFirewallHook = "/etc/longwire/firewall-hook";

/// `IcfEnable` (remote-debugging.md 2.6): runs the hook with the words `tcp PORT`, where `endpoint` has the
/// port really in use. Nothing is closed afterwards. Blocks until the hook has ended, at most `limit`. What
/// the user should be told if the port was not opened; the server goes on all the same.
std::optional<std::string> OpenFirewall(const Endpoint& endpoint, const Environment& environment,
                                        std::chrono::milliseconds limit = std::chrono::seconds(5));

}  // namespace longwire

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/diagnosis.h"
#include "transport/stream.h"

/// For the .cc files of this folder only.
namespace longwire {

/// The steps name and route to `host`: the address of this machine that is used towards it; nullopt after a
/// reported failure.
Awaitable<std::optional<std::string>> ExamineWay(Executor executor, std::string host, std::uint16_t port,
                                                 std::optional<int> ip_version, Diagnosis& diagnosis);

/// What an attempt to connect to a port failed of, and the words for it.
Finding PortFinding(const Error& error);
std::string PortText(Finding finding, const std::string& where, const Error& error);

/// Reports why a port of this machine cannot be listened on.
void FailPortOfOurs(const Error& error, std::uint16_t first, std::uint16_t last, Diagnosis& diagnosis);

}  // namespace longwire

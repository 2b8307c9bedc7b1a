#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/error.h"
#include "proto/rpc/longwire.pb.h"
#include "proto/rpc/messages.h"

/// Translation between the values of messages.h and protobuf; private to this folder. ToWire never fails,
/// FromWire checks every range and enum: kMalformed for what no version may send, kUnsupported for what a
/// newer one may.
namespace longwire::rpc {

void ToWire(const AddressSpace& from, pb::AddressSpace* to);
void ToWire(const TargetDescription& from, pb::TargetDescription* to);
void ToWire(const ModuleChange& from, pb::ModuleChange* to);
void ToWire(const StopEvent& from, pb::StopEvent* to);
void ToWire(const Request& from, pb::Request* to);
void ToWire(const Response& from, pb::Response* to);
void ToWire(const Event& from, pb::Event* to);

Result<AddressSpace> FromWire(const pb::AddressSpace& from);
Result<TargetState> FromWire(pb::TargetState from);
Result<TargetDescription> FromWire(const pb::TargetDescription& from);
ModuleChange FromWire(const pb::ModuleChange& from);
Result<StopEvent> FromWire(const pb::StopEvent& from);
Result<Request> FromWire(const pb::Request& from);
Result<Response> FromWire(const pb::Response& from);
Result<Event> FromWire(const pb::Event& from);

/// Error numbers of a newer peer become kInternal; the text says the rest.
Errc ErrcFromWire(std::uint32_t code);

inline Error Malformed(std::string_view field) {
  return {Errc::kMalformed, "A message of the peer has a bad value in field " + std::string(field) + "."};
}
inline Error Unknown(std::string_view field) {
  return {Errc::kUnsupported, "The peer used a value of " + std::string(field) +
                                  " that this version does not know; update the older of the two programs."};
}

/// Enumerators are numbered alike on both sides, `shift` apart; `last` is the last one this version knows.
template <class Enum, class Wire>
Result<Enum> EnumFromWire(Wire wire, Enum last, std::string_view field, int shift = 0) {
  const auto number = static_cast<int>(wire);
  if (number <= 0) return Malformed(field);
  if (number - shift > static_cast<int>(last)) return Unknown(field);
  return static_cast<Enum>(number - shift);
}

/// For what an older peer leaves out: 0 is nullopt. Values of a newer one are nullopt, too.
inline std::optional<Role> OptionalRoleFromWire(pb::Role role) {
  const auto known = EnumFromWire(role, Role::kAdmin, "role");
  return known ? std::optional(*known) : std::nullopt;
}
inline pb::Role ToWire(const std::optional<Role>& role) {
  return role ? static_cast<pb::Role>(*role) : pb::ROLE_UNSPECIFIED;
}

inline std::vector<std::byte> ToBytes(const std::string& text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}
template <class Repeated>
std::vector<std::uint64_t> ToNumbers(const Repeated& numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace longwire::rpc

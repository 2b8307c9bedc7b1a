#include "client/engine/role_text.h"

namespace longwire {
namespace {

using Why = rpc::DriverChanged::Why;

std::string OwnText(Why why) {
  switch (why) {
    case Why::kOpened:
    case Why::kReturned: return "";
    case Why::kHandedOver: return "The target was handed over to this kd, which drives it now.";
    case Why::kTaken: return "This kd has taken the target over and drives it now.";
    default: return "This kd drives the target now.";
  }
}

}  // namespace

std::string DriverText(const rpc::DriverChanged& change) {
  if (change.self) return OwnText(change.why);
  const std::string& driver = change.driver;
  switch (change.why) {
    case Why::kLost:
      return "The connection of " + driver + ", who drives the target, is lost; its session is kept for " +
             std::to_string(change.kept_ms / 1000) + " s.";
    case Why::kReturned: return driver + " is back and drives the target.";
    case Why::kTaken: return driver + " has taken the target over and drives it now; this kd watches.";
    case Why::kHandedOver: return "The target was handed over to " + driver + ", who drives it now.";
    case Why::kEvicted:
    case Why::kLeft:
      if (driver.empty()) {
        return std::string("The driver ") + (change.why == Why::kLeft ? "left" : "was evicted") +
               "; nobody drives the target now. .driver /t takes it.";
      }
      break;
    default: break;
  }
  if (driver.empty()) return "Nobody drives the target now.";
  return driver + " drives the target now.";
}

std::string_view DriverReason(Why why) {
  switch (why) {
    case Why::kUnspecified: break;
    case Why::kOpened: return "opened";
    case Why::kHandedOver: return "handed-over";
    case Why::kTaken: return "taken";
    case Why::kLost: return "lost";
    case Why::kReturned: return "returned";
    case Why::kLeft: return "left";
    case Why::kEvicted: return "evicted";
  }
  return "unspecified";
}

Fields DriverFields(const rpc::DriverChanged& change) {
  return {{"driver", change.driver},
          {"client", static_cast<std::int64_t>(change.client)},
          {"epoch", static_cast<std::int64_t>(change.driver_epoch)},
          {"reason", std::string(DriverReason(change.why))},
          {"self", change.self}};
}

std::string ClientText(const rpc::ClientChanged& change) {
  return change.client + (change.joined ? " joined" : " left") +
         (change.joined && change.role == rpc::Role::kObserver ? " and watches." : ".");
}

Fields ClientFields(const rpc::ClientChanged& change) {
  Fields fields{
      {"client", static_cast<std::int64_t>(change.id)}, {"name", change.client}, {"joined", change.joined}};
  if (change.role) fields.push_back({"role", std::string(RoleName(*change.role))});
  return fields;
}

std::string_view RoleName(rpc::Role role) {
  switch (role) {
    case rpc::Role::kDriver: return "driver";
    case rpc::Role::kObserver: return "observer";
    case rpc::Role::kAdmin: return "admin";
  }
  return "unknown";
}

}  // namespace longwire

#include "server/target/not_halted.h"

#include <utility>

namespace longwire {

std::optional<Error> NotHalted(rpc::TargetState state, std::string offline) {
  switch (state) {
    case rpc::TargetState::kHalted: return std::nullopt;
    case rpc::TargetState::kRunning:
      return Error{Errc::kTargetRunning, "the target is running; break in first"};
    case rpc::TargetState::kSynchronizing:
      return Error{Errc::kTargetRunning, "the target is not synchronized yet; wait for it, or break in"};
    case rpc::TargetState::kOffline: break;
  }
  return Error{Errc::kTargetOffline, std::move(offline)};
}

}  // namespace longwire

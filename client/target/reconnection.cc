#include "client/target/reconnection.h"

#include <algorithm>

namespace longwire {

using std::chrono::milliseconds;

std::string_view ConnectionNewsName(ConnectionNews::Kind kind) {
  switch (kind) {
    case ConnectionNews::Kind::kLost: return "lost";
    case ConnectionNews::Kind::kRestored: return "restored";
    case ConnectionNews::Kind::kReopened: return "reopened";
  }
  return "unknown";
}

ConnectionNews NewsOfLoss(const std::string& peer, const Error& cause, const ReconnectTiming& timing) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timing.wait).count();
  return {ConnectionNews::Kind::kLost, "connection to " + peer + " lost (" + cause.message +
                                           "); trying again for " + std::to_string(seconds) +
                                           " s, Ctrl-C ends the wait"};
}

ConnectionNews NewsOfReturn(const std::string& peer, const rpc::Welcome& welcome, bool gap,
                            std::chrono::steady_clock::duration away) {
  if (welcome.resumed) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(away).count();
    return {ConnectionNews::Kind::kRestored, "connection to " + peer + " restored after " +
                                                 std::to_string(seconds) + " s" +
                                                 (welcome.restarted ? "; the server was restarted meanwhile"
                                                  : gap ? "; some of what happened meanwhile is lost"
                                                        : "")};
  }
  return {ConnectionNews::Kind::kReopened,
          "connected to " + peer + " again, but the session is over: " +
              (welcome.notice.empty() ? "the server does not know it any more" : welcome.notice)};
}

bool EndsForGood(const Error& error) {
  switch (error.code) {
    case Errc::kUsage:
    case Errc::kMalformed:
    case Errc::kUnsupported:
    case Errc::kAuthentication:
    case Errc::kVersionMismatch:
    case Errc::kFenced:
    case Errc::kInternal: return true;
    default: return false;
  }
}

std::optional<milliseconds> Reconnection::NextPause(Time now) {
  const Time end = lost_ + timing_.wait;
  if (for_good_ || last_attempt_ || timing_.wait <= milliseconds(0)) return std::nullopt;
  const auto left = std::max(std::chrono::ceil<milliseconds>(end - now), milliseconds(0));
  const milliseconds pause = std::min(pause_, left);
  last_attempt_ = pause == left;
  pause_ = std::min(pause_ * 2, timing_.longest);
  return pause;
}

void Reconnection::Failed(const Error& error) {
  error_ = error;
  for_good_ = EndsForGood(error);
}

Error Reconnection::Reason(const Error& cause) const {
  if (for_good_) return *error_;
  if (!error_) return cause;
  Error error = *error_;
  error.message = cause.message + " It did not come back within " +
                  std::to_string(std::chrono::duration_cast<std::chrono::seconds>(timing_.wait).count()) +
                  " s: " + error_->message;
  return error;
}

}  // namespace longwire

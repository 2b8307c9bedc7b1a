#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/error.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// When a lost connection is dialled again, and for how long.
struct ReconnectTiming {
  std::chrono::milliseconds first{250};  ///< before the first attempt; doubles up to `longest`
  std::chrono::milliseconds longest{1'000};
  std::chrono::milliseconds wait{120'000};  ///< after the loss; then it is given up
};

/// What became of a connection; told to the user as it happens.
struct ConnectionNews {
  enum class Kind : std::uint8_t {
    kLost,      ///< it is dialled again
    kRestored,  ///< the session goes on where it was
    kReopened,  ///< connected, but to a server that does not know the session: it begins anew
  };
  Kind kind = Kind::kLost;
  std::string text;  ///< one sentence without line end
};
std::string_view ConnectionNewsName(ConnectionNews::Kind kind);  ///< "lost", "restored", "reopened"

ConnectionNews NewsOfLoss(const std::string& peer, const Error& cause, const ReconnectTiming& timing);
/// `gap`: the session goes on, but events are missing. `away`: how long the connection was gone.
ConnectionNews NewsOfReturn(const std::string& peer, const rpc::Welcome& welcome, bool gap,
                            std::chrono::steady_clock::duration away);

/// True when dialling again cannot help: the server ended the session by intent, or refuses this client.
bool EndsForGood(const Error& error);

/// The attempts of one outage. Plain data; the clock is an argument.
class Reconnection {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Reconnection(ReconnectTiming timing, Time lost) : timing_(timing), lost_(lost), pause_(timing.first) {}

  /// How long to wait before the next attempt; nullopt: give up. The pause doubles from call to call; the
  /// last attempt takes place at the end of the time.
  std::optional<std::chrono::milliseconds> NextPause(Time now);
  /// An attempt failed.
  void Failed(const Error& error);
  /// Why it was given up: the last attempt's error, in a sentence with what to do next.
  Error Reason(const Error& cause) const;

 private:
  ReconnectTiming timing_;
  Time lost_;
  std::chrono::milliseconds pause_;
  bool last_attempt_ = false;
  std::optional<Error> error_;
  bool for_good_ = false;
};

}  // namespace longwire

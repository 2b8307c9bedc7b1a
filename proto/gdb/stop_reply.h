#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"

namespace longwire::gdb {

/// Why a stub stopped: the answer to `?`, to a resumption, and a `Stop` notification.
struct StopReply {
  enum class Kind : std::uint8_t {
    kSignal,  ///< S, T
    kExited,  ///< W, X: what was debugged is gone
    kOutput,  ///< O: text of the target; no stop
  };
  enum class Watch : std::uint8_t { kNone, kWrite, kRead, kAccess };
  Kind kind = Kind::kSignal;
  std::uint8_t signal = 0;
  std::string thread;  ///< as written, `p1.2` or `2`; empty if not told
  Watch watch = Watch::kNone;
  std::uint64_t watch_address = 0;
  std::string output;  ///< kOutput
};

inline constexpr std::uint8_t kSignalInterrupt = 2, kSignalTrap = 5;

/// Errors: kMalformed.
Result<StopReply> DecodeStopReply(std::string_view payload);

/// Thread ids of one `m...` answer to qfThreadInfo or qsThreadInfo; empty for `l`. Errors: kMalformed.
Result<std::vector<std::string>> DecodeThreads(std::string_view payload);

/// Whether a thread id is one (`2`, `p1.2`, `p1.-1`) and names a single thread.
bool IsThreadId(std::string_view text);

/// Whether both name the same thread, however they write its numbers; one without a process is of any.
bool IsSameThread(std::string_view one, std::string_view other);

/// Words of a qSupported answer: `name+`, `name-`, `name?`, `name=value`.
struct Feature {
  std::string name;
  std::string value;
  bool supported = false;
};
std::vector<Feature> DecodeFeatures(std::string_view payload);

}  // namespace longwire::gdb

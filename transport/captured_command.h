#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

#include "proto/error.h"

namespace longwire {

/// What a command that has ended left behind.
struct CapturedOutput {
  int exit_code = 0;   ///< 128 + signal when a signal ended it, as in a shell
  std::string output;  ///< whole standard output
  std::string errors;  ///< the first part of standard error
};

/// Runs `words[0]`, looked up in PATH, without a shell and with an empty standard input, in a process group
/// of its own that is killed when `limit` has passed or more than `max_output` bytes came. Blocks until then.
/// Errors: kNotFound (no such command), kTimedOut, kLimitExceeded, kIo.
Result<CapturedOutput> RunCaptured(std::span<const std::string> words, std::chrono::milliseconds limit,
                                   std::size_t max_output);

}  // namespace longwire

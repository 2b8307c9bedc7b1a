#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "client/target/interrupt.h"

namespace longwire {

/// Lines of a terminal, a pipe or a file, read without losing Ctrl-C. Does not own the descriptor.
class LineInput {
 public:
  enum class Status { kLine, kEnd, kInterrupted };
  struct Answer {
    Status status = Status::kEnd;
    std::string line;  ///< without its line end
  };
  static constexpr std::size_t kMaxLineBytes = 64u << 10;  ///< a longer line is cut there

  LineInput(int descriptor, Interrupt& interrupt) : descriptor_(descriptor), interrupt_(interrupt) {}

  bool is_terminal() const;
  /// Waits for a line. `idle` runs a few times per second meanwhile and ends the wait by returning true.
  Answer Read(const std::function<bool()>& idle);

 private:
  std::optional<std::string> TakeLine();

  int descriptor_;
  Interrupt& interrupt_;
  std::string buffer_;
  bool ended_ = false;
};

}  // namespace longwire

#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace longwire {

/// How often something that strangers can cause is logged: kLines at once, then one each kRefill. Time is an
/// argument.
class LineLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kLines = 32;
  static constexpr std::chrono::seconds kRefill{2};

  /// For each line. nullopt: leave it out. Otherwise how many were left out since the last.
  std::optional<std::size_t> Take(Time now);

 private:
  std::size_t left_ = kLines, skipped_ = 0;
  Time filled_{};
};

}  // namespace longwire

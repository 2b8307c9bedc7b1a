#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "proto/error.h"

namespace longwire::test {

/// Many clients of one link that watch and drive nothing, on a thread of their own. They read what they are
/// told and count it.
class ObserverCrowd {
 public:
  struct Counts {
    std::uint64_t events = 0, output_bytes = 0, skipped_bytes = 0, gone = 0;
  };

  /// All of them have the link of the `-k` string open, within a minute.
  static Result<std::unique_ptr<ObserverCrowd>> Open(const std::string& kernel, int count);
  virtual ~ObserverCrowd() = default;

  virtual Counts counts() const = 0;
};

}  // namespace longwire::test

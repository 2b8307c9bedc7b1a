#pragma once

#include <string>

#include "proto/diagnosis.h"
#include "proto/kd/framer.h"

namespace longwire {

/// Judges what arrives on a line that should carry KD packets: how much, and whether it is KD, text or
/// garbage. No threads, no I/O.
class LineWitness {
 public:
  LineWitness() : framer_(std::chrono::seconds(1)) {}

  void Receive(kd::TimePoint now, kd::ByteView bytes);

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t packets() const { return packets_; }
  /// Enough came to say that there will be no KD packet in it: more than the rest of one in whose middle the
  /// listening began and a whole one behind it, or much text.
  bool IsHopeless() const {
    return packets_ == 0 && (bytes_ >= 2 * kd::kMaxFrame || (bytes_ >= kMuchText && IsMostlyText()));
  }
  /// The step framing, of what came so far. Something must have come.
  void Report(Diagnosis& diagnosis) const;

 private:
  /// Longer than the text that one packet of debug output carries.
  static constexpr std::uint64_t kMuchText = 640;

  /// One byte in twenty may be noise and it is still a text; garbage is printable by chance in a third.
  bool IsMostlyText() const { return printable_ * 20 >= bytes_ * 19; }

  kd::Framer framer_;
  std::uint64_t bytes_ = 0, packets_ = 0, bad_ = 0, printable_ = 0;
};

}  // namespace longwire

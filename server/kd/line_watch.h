#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/kd/bytes.h"
#include "proto/kd/link_machine.h"

namespace longwire {

/// Tells from what a line carries besides good packets what may be wrong with it: bytes that are neither
/// packets nor text come from a line of another speed, text from a console, and damaged packets between good
/// ones from noise. Says each once, until packets come again or the line is opened anew.
class LineWatch {
 public:
  /// Bytes that arrived, and what the link machine had counted when it had taken them.
  void OnBytes(kd::TimePoint now, kd::ByteView bytes, const kd::LinkCounters& counters);
  /// One sentence for a person, once.
  std::optional<std::string> TakeNotice(kd::TimePoint now);
  /// Why a target that answers nothing may do so: the same sentence, if there is something to say.
  std::string Suspicion() const;
  void Reset(const kd::LinkCounters& counters);

 private:
  std::uint64_t packets_ = 0, damaged_ = 0;         ///< as counted by the machine
  std::uint64_t junk_ = 0, binary_ = 0;             ///< bytes since the last good packet
  std::uint64_t noise_ = 0, packets_at_noise_ = 0;  ///< damaged packets of the current spell
  std::optional<kd::TimePoint> junk_since_, noise_since_;
  bool junk_told_ = false;
  std::optional<kd::TimePoint> noise_told_;
};

}  // namespace longwire

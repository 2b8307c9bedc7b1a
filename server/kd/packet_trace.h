#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "proto/kd/framer.h"

namespace longwire {

/// What Ctrl-D shows of a line: one text line for each packet, break-in byte and damage, in either direction.
/// A target that is dead answers nothing to what is sent again and again; a debugger that is dead sends
/// nothing. Off until switched on. Keeps at most kMaxPending bytes of text; what is more is counted.
class PacketTrace {
 public:
  static constexpr std::size_t kMaxPending = 64 * 1024;

  void Switch(bool on);
  bool on() const { return on_; }
  void OnReceived(kd::TimePoint now, kd::ByteView bytes) { Take(now, bytes, from_target_, false); }
  void OnSent(kd::TimePoint now, kd::ByteView bytes) { Take(now, bytes, to_target_, true); }
  /// The lines since the last call; empty if there are none.
  std::string TakeText();

 private:
  void Take(kd::TimePoint now, kd::ByteView bytes, kd::Framer& framer, bool sent);
  void Add(const std::string& line);

  static constexpr std::chrono::seconds kGap{1};
  bool on_ = false;
  kd::Framer from_target_{kGap}, to_target_{kGap};
  std::string text_;
  std::uint64_t left_out_ = 0;
};

}  // namespace longwire

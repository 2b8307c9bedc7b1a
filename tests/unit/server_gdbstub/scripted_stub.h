#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/gdb/packet.h"
#include "proto/kd/bytes.h"

namespace longwire::test {

/// A gdb stub of an x86-64 machine without a kernel, as good as the protocol allows and as bad as a test
/// wants. Bytes in, bytes out; nothing waits.
class ScriptedStub {
 public:
  static constexpr std::uint64_t kCode = 0xFFFFF80000001000, kStack = 0xFFFFF88000010000;

  ScriptedStub();

  void Receive(kd::ByteView bytes);
  std::string TakeOutput() { return std::exchange(output_, {}); }
  /// Unasked, framed as any packet.
  void Say(std::string_view payload);
  /// A running machine stops.
  void Stop(std::string reply);

  // ---- what it is like; each may be changed at any time
  std::vector<std::string> thread_answers = {"m01,02", "l"};  ///< to qfThreadInfo and each qsThreadInfo
  std::string why = "T05thread:01;";                          ///< to `?`
  bool knows_vcont = true, stops_acknowledging = true;
  bool silent = false;  ///< what is to be said is kept until it is not
  /// Comes before all else: an answer to this payload, or nullopt.
  std::function<std::optional<std::string>(std::string_view)> instead;
  /// Spoils a frame that is to be sent.
  std::function<void(std::string& frame)> spoil;
  std::map<std::uint64_t, kd::Bytes> pages;  ///< by address
  std::uint64_t program_counter = kCode;
  std::string stepped_thread = "01";  ///< that a step ends in

  // ---- what it heard
  std::vector<std::string> heard;  ///< payloads
  std::size_t Count(std::string_view payload) const;
  int acknowledges = 0, refusals = 0, interrupts = 0;  ///< '+', '-', 0x03
  bool running = false;

 private:
  std::optional<std::string> Answer(const std::string& payload);
  std::string Features(std::string_view range) const;
  std::string Memory(std::string_view range) const;
  std::string Registers() const;
  std::optional<std::string> Resume(bool step);

  gdb::Framer framer_;
  std::string output_, last_;
  std::size_t next_threads_ = 0;
};

}  // namespace longwire::test

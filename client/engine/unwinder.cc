#include "client/engine/unwinder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "client/engine/unwinder_arm64.h"
#include "client/engine/unwinder_x64.h"

namespace longwire {
namespace {

constexpr std::size_t kMaximumFrames = 1024;

class X64Walk {
 public:
  X64Walk(const UnwindSource& source, std::size_t maximum)
      : source_(source),
        maximum_(std::min(maximum, kMaximumFrames)),
        low_(source.stack_low),
        high_(source.stack_high) {}

  std::vector<StackFrame> Run(RegisterSet registers) {
    bool interrupted = true;
    while (frames_.size() < maximum_ && registers.program_counter() != 0) {
      const std::uint64_t rip = registers.program_counter(), rsp = registers.stack_pointer();
      if (!visited_.emplace(rip, rsp).second) break;
      frames_.push_back({registers, rsp, 0, false, {}});
      if (!Step(registers, interrupted)) break;
    }
    return std::move(frames_);
  }

 private:
  using Outcome = X64FrameUnwinder::Outcome;

  // Unwinds the last frame. False: it is the end of the walk.
  bool Step(RegisterSet& registers, bool& interrupted) {
    const std::uint64_t rsp = registers.stack_pointer();
    const auto module = source_.find_module(registers.program_counter() - (interrupted ? 0 : 1));
    X64FrameUnwinder unwinder(source_, registers);
    const Outcome outcome = module ? unwinder.Unwind(*module, interrupted) : UnwindUnknown(unwinder);
    StackFrame& frame = frames_.back();
    if (outcome == Outcome::kNoInformation) frame.warning = kNoUnwindInformation;
    if (outcome == Outcome::kUnreadable) {
      if (frame.warning.empty()) frame.warning = kNoUnwindInformation;
      return false;
    }
    frame.return_address = registers.program_counter();
    frame.trap_frame = outcome == Outcome::kMachineFrame;
    interrupted = frame.trap_frame;
    return frame.trap_frame ? AcceptInterruptedStack(unwinder.rsp()) : AcceptStack(rsp, unwinder.rsp());
  }

  // Code of no module: a leaf once, and only if its return address is code of a module.
  Outcome UnwindUnknown(X64FrameUnwinder& unwinder) {
    frames_.back().warning = kNoModule;
    if (std::exchange(unknown_seen_, true)) return Outcome::kUnreadable;
    const Outcome outcome = unwinder.PopReturnAddress();
    if (outcome == Outcome::kUnreadable || !source_.find_module(unwinder.rip())) return Outcome::kUnreadable;
    return outcome;
  }

  bool InBounds(std::uint64_t rsp) const { return rsp >= low_ && rsp <= high_; }

  bool AcceptStack(std::uint64_t before, std::uint64_t after) {
    const bool bounded = low_ < high_;
    if (after > before && (!bounded || InBounds(after))) return true;
    if (!source_.on_other_stack || !source_.on_other_stack(after)) return false;
    low_ = high_ = 0;
    return true;
  }

  // A trap may come from any stack, the user's included: beyond it the known bounds say nothing.
  bool AcceptInterruptedStack(std::uint64_t after) {
    if (!InBounds(after)) low_ = high_ = 0;
    return true;
  }

  const UnwindSource& source_;
  std::size_t maximum_;
  std::uint64_t low_, high_;
  bool unknown_seen_ = false;
  std::vector<StackFrame> frames_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> visited_;
};

/// By unwind data; where a module has none, by the chain of frame records ([fp] is the caller's fp, [fp+8]
/// the return address), which is said.
class Arm64Walk {
 public:
  Arm64Walk(const UnwindSource& source, std::size_t maximum)
      : source_(source), maximum_(std::min(maximum, kMaximumFrames)) {}

  std::vector<StackFrame> Run(RegisterSet registers) {
    bool interrupted = true;
    while (frames_.size() < maximum_ && registers.program_counter() != 0) {
      if (!visited_.emplace(registers.program_counter(), registers.stack_pointer()).second) break;
      frames_.push_back({registers, registers.stack_pointer(), 0, false, {}});
      if (!Step(registers, interrupted)) break;
    }
    return std::move(frames_);
  }

 private:
  bool Step(RegisterSet& registers, bool& interrupted) {
    StackFrame& frame = frames_.back();
    const auto module = source_.find_module(registers.program_counter() - (interrupted ? 0 : 4));
    const Arm64Outcome outcome =
        module ? UnwindArm64(source_, *module, interrupted, registers) : Arm64Outcome::kNoInformation;
    if (outcome == Arm64Outcome::kUnreadable) {
      frame.warning = kNoUnwindInformation;
      return false;
    }
    if (outcome == Arm64Outcome::kNoInformation) {
      if (!std::exchange(guessed_, true)) frame.warning = kNoUnwindInformation;
      if (!FollowRecord(registers)) return false;
    }
    frame.return_address = registers.program_counter();
    frame.trap_frame = interrupted = outcome == Arm64Outcome::kMachineFrame;
    if (interrupted) return true;
    const std::uint64_t sp = registers.stack_pointer();
    const bool bounded = source_.stack_low < source_.stack_high;
    if (sp < frame.child_sp || (bounded && (sp < source_.stack_low || sp > source_.stack_high))) return false;
    return source_.find_module(registers.program_counter()).has_value();
  }

  bool FollowRecord(RegisterSet& registers) {
    const std::uint64_t record = registers.frame_pointer();
    std::byte bytes[16];
    const bool bounded = source_.stack_low < source_.stack_high;
    if (record < registers.stack_pointer() || record % 8 != 0) return false;
    if (bounded && (record < source_.stack_low || record >= source_.stack_high)) return false;
    if (source_.read_memory(record, bytes) != sizeof bytes) return false;
    std::uint64_t words[2] = {};
    for (unsigned i = 16; i-- > 0;)
      words[i / 8] = words[i / 8] << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    registers.Set("sp", record + 16);
    registers.Set("fp", words[0]);
    registers.Set("pc", words[1]);
    return true;
  }

  const UnwindSource& source_;
  std::size_t maximum_;
  bool guessed_ = false;
  std::vector<StackFrame> frames_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> visited_;
};

}  // namespace

std::vector<StackFrame> WalkStack(const RegisterSet& registers, const UnwindSource& source,
                                  std::size_t maximum) {
  switch (registers.architecture()) {
    case Architecture::kX86: return WalkX86Frames(registers, source, maximum);
    case Architecture::kArm64: return Arm64Walk(source, maximum).Run(registers);
    case Architecture::kAmd64: break;
  }
  return X64Walk(source, maximum).Run(registers);
}

}  // namespace longwire

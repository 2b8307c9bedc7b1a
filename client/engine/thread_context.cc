#include "client/engine/thread_context.h"

#include <algorithm>

namespace longwire {
namespace {

constexpr std::size_t kContextBytes64 = 0x4D0;
constexpr std::uint8_t kStateRunning = 2;

/// Offset of a field of nt!_KSWITCH_FRAME, or the one every x64 release so far has.
std::uint64_t SwitchFrameField(Session& session, const char* name, std::uint64_t usual) {
  Result<TypeReference> type = session.symbols().FindType("nt!_KSWITCH_FRAME");
  if (!type) return usual;
  Result<TypeInfo> info = session.symbols().Describe(*type);
  if (!info) return usual;
  for (const TypeField& field : info->fields) {
    if (field.name == name) return field.offset;
  }
  return usual;
}

/// The processor that runs the thread; nullopt if none does.
std::optional<std::uint32_t> ProcessorOf(Session& session, std::uint64_t thread) {
  std::optional<std::uint64_t> blocks = session.DebuggerData(0x218);     // KiProcessorBlock
  std::optional<std::uint64_t> offset = session.DebuggerData(0x2B4, 2);  // Prcb CurrentThread
  if (session.target().stop()->thread == thread) return session.target().stop()->processor;
  if (!blocks || !offset) return std::nullopt;
  for (std::uint32_t processor = 0; processor < session.target().stop()->processors; ++processor) {
    Result<std::uint64_t> prcb =
        session.ReadPointer(*blocks + processor * std::uint64_t{session.pointer_size()});
    if (!prcb || *prcb == 0) continue;
    Result<std::uint64_t> current = session.ReadPointer(*prcb + *offset);
    if (current && *current == thread) return processor;
  }
  return std::nullopt;
}

}  // namespace

Result<RegisterSet> ThreadRegisters(Session& session, std::uint64_t thread) {
  if (!session.halted()) return Error{Errc::kTargetRunning, "the target is running; break in first (Ctrl-C)"};
  std::optional<std::uint64_t> state_offset = session.DebuggerData(0x2A2, 2);
  bool may_run = true;
  if (state_offset) {
    Result<std::uint64_t> state = session.ReadUnsigned(thread + *state_offset, 1);
    if (!state) return state.error();
    may_run = *state == kStateRunning;
  }
  if (may_run) {
    if (std::optional<std::uint32_t> processor = ProcessorOf(session, thread)) {
      Result<const RegisterSet*> registers = session.ProcessorRegisters(*processor);
      if (!registers) return registers.error();
      return **registers;
    }
  }
  if (session.architecture() != Architecture::kAmd64) {
    return Error{Errc::kUnsupported, "the context of a thread that waits can be read on x64 targets only"};
  }
  std::optional<std::uint64_t> stack_offset = session.DebuggerData(0x29C, 2);  // KThread KernelStack
  if (!stack_offset || *stack_offset == 0) {
    return Error{Errc::kNotFound,
                 "the target has no debugger data block, so the thread's stack cannot be found"};
  }
  Result<std::uint64_t> frame = session.ReadPointer(thread + *stack_offset);
  if (!frame) return frame.error();
  std::uint64_t return_offset = SwitchFrameField(session, "Return", 0x38);
  Result<std::uint64_t> counter = session.ReadPointer(*frame + return_offset);
  if (!counter) return counter.error();
  Result<std::uint64_t> frame_pointer = session.ReadPointer(*frame + SwitchFrameField(session, "Rbp", 0x30));
  if (!frame_pointer) return frame_pointer.error();
  RegisterSet registers(Architecture::kAmd64, std::vector<std::byte>(kContextBytes64));
  registers.Set("rip", *counter);
  registers.Set("rsp", *frame + return_offset + 8);
  registers.Set("rbp", *frame_pointer);
  return registers;
}

}  // namespace longwire

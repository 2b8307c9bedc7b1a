#include "client/commands/scope_commands.h"

#include <array>

#include "client/commands/memory_view.h"
#include "client/commands/number_text.h"
#include "client/commands/register_text.h"
#include "client/commands/stack_text.h"
#include "client/engine/module_reader.h"
#include "client/symbols/field_path.h"

namespace longwire {
namespace {

std::size_t ContextBytes(Architecture architecture) {
  return architecture == Architecture::kAmd64 ? 0x4d0 : architecture == Architecture::kX86 ? 0x2cc : 0x390;
}

Result<CommandFlow> ShowFrame(Session& session, const std::vector<StackFrame>& frames, std::size_t number,
                              bool with_registers, Report& report) {
  StackColumns columns;
  columns.numbers = true;
  StackText text(session, columns);
  text.Prepare(frames, number + 1);
  if (Result<void> written = text.Write(frames, number, report); !written) return written.error();
  if (!with_registers) return CommandFlow::kPrompt;
  return ShowRegisters(session, frames[number].registers, report);
}

Result<CommandFlow> Select(Session& session, FrameScope& scope, std::uint64_t number, bool with_registers,
                           Report& report) {
  constexpr std::uint64_t kMaxFrame = 1023;
  bool set_context = false;
  Result<RegisterSet> innermost = scope.Innermost(session, set_context);
  if (!innermost) return innermost.error();
  if (number > kMaxFrame)
    return Error{Errc::kNotFound, "Cannot find frame 0x" + HexDigits(number) + ", previous scope unchanged"};
  Result<std::vector<StackFrame>> frames = session.Walk(*innermost, number + 1);
  if (!frames) return frames.error();
  if (number >= frames->size()) {
    return Error{Errc::kNotFound, "Cannot find frame 0x" + HexDigits(number) + ", previous scope unchanged"};
  }
  if (number == 0 && !set_context) {
    session.ResetScope();
  } else {
    scope.SelectedFrom(*innermost, set_context, session.target().stop()->stop_counter);
    session.SetScope((*frames)[number].registers, static_cast<unsigned>(number));
  }
  return ShowFrame(session, *frames, number, with_registers, report);
}

Result<CommandFlow> Frame(Session& session, Arguments& arguments, Report& report, FrameScope& scope) {
  bool with_registers = false;
  while (true) {
    if (arguments.Option("/r"))
      with_registers = true;
    else if (!arguments.Option("/c"))
      break;
  }
  std::uint64_t number = session.frame_number();
  if (!arguments.AtEnd()) {
    Result<std::uint64_t> given = arguments.Expression();
    if (!given) return given.error();
    number = *given;
  }
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  return Select(session, scope, number, with_registers, report);
}

/// `.f+`, `.f-`.
Result<CommandFlow> NextFrame(Session& session, Arguments& arguments, Report& report, FrameScope& scope) {
  const std::string rest = arguments.TakeRest();
  if (rest != "+" && rest != "-") return SyntaxError(".f" + rest);
  if (rest == "-" && session.frame_number() == 0)
    return Error{Errc::kNotFound, "Cannot find frame -1, previous scope unchanged"};
  const std::uint64_t number = rest == "+" ? session.frame_number() + 1u : session.frame_number() - 1u;
  return Select(session, scope, number, false, report);
}

Result<CommandFlow> ResetContext(Session& session, Report& report) {
  session.ResetScope();
  report.Line("Resetting default scope");
  return CommandFlow::kPrompt;
}

Result<CommandFlow> SetContext(Session& session, Arguments& arguments, Report& report) {
  if (arguments.AtEnd()) return ResetContext(session, report);
  Result<std::uint64_t> address = arguments.Address();
  if (!address) return address.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  std::vector<std::byte> context(ContextBytes(session.architecture()));
  Result<void> read = session.ReadExact(*address, context);
  if (!read)
    return Error{read.error().code,
                 "Unable to get context record at " + session.Address(*address) + ": " + read.error().message,
                 *address};
  session.SetScope(RegisterSet(session.architecture(), std::move(context)), 0);
  return ShowRegisters(session, **session.Registers(), report);
}

struct TrapField {
  const char* name;      ///< of the register
  const char* field;     ///< of _KTRAP_FRAME
  std::uint16_t offset;  ///< without types; 0: not known
  std::uint8_t size;
};
// The x64 trap frame has kept this layout since Windows Server 2003.
constexpr TrapField kTrapFields64[] = {
    {"rax", "Rax", 0x30, 8},   {"rcx", "Rcx", 0x38, 8},     {"rdx", "Rdx", 0x40, 8},
    {"r8", "R8", 0x48, 8},     {"r9", "R9", 0x50, 8},       {"r10", "R10", 0x58, 8},
    {"r11", "R11", 0x60, 8},   {"rbx", "Rbx", 0x140, 8},    {"rdi", "Rdi", 0x148, 8},
    {"rsi", "Rsi", 0x150, 8},  {"rbp", "Rbp", 0x158, 8},    {"rip", "Rip", 0x168, 8},
    {"cs", "SegCs", 0x170, 2}, {"efl", "EFlags", 0x178, 4}, {"rsp", "Rsp", 0x180, 8},
    {"ss", "SegSs", 0x188, 2}};
constexpr TrapField kTrapFields32[] = {
    {"eax", "Eax", 0x44, 4},  {"ecx", "Ecx", 0x40, 4},    {"edx", "Edx", 0x3c, 4},  {"ebx", "Ebx", 0x5c, 4},
    {"esi", "Esi", 0x58, 4},  {"edi", "Edi", 0x54, 4},    {"ebp", "Ebp", 0x60, 4},  {"eip", "Eip", 0x68, 4},
    {"cs", "SegCs", 0x6c, 2}, {"efl", "EFlags", 0x70, 4}, {"ds", "SegDs", 0x38, 2}, {"es", "SegEs", 0x34, 2},
    {"fs", "SegFs", 0x50, 2}, {"gs", "SegGs", 0x30, 2}};
constexpr std::size_t kTrapBytes = 0x190;
constexpr std::size_t kTrapErrorCode32 = 0x64, kTrapStack32 = 0x74;

Result<CommandFlow> SetTrapFrame(Session& session, Arguments& arguments, Report& report) {
  if (arguments.AtEnd()) return ResetContext(session, report);
  Result<std::uint64_t> address = arguments.Address();
  if (!address) return address.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const Architecture architecture = session.architecture();
  if (architecture == Architecture::kArm64)
    return Error{Errc::kUnsupported, ".trap is not supported on ARM64 targets"};
  Result<MemoryView> view = ReadView(session, *address, kTrapBytes);
  if (!view) return view.error();
  if (!view->AnyKnown())
    return Error{Errc::kUnreadable, "Unable to read trap frame at " + session.Address(*address), *address};
  const Result<TypeReference> type = session.symbols().FindType("nt!_KTRAP_FRAME");
  RegisterSet registers(architecture, std::vector<std::byte>(ContextBytes(architecture)));
  const bool narrow = architecture == Architecture::kX86;
  const std::span<const TrapField> fields =
      narrow ? std::span<const TrapField>(kTrapFields32) : std::span<const TrapField>(kTrapFields64);
  for (const TrapField& field : fields) {
    std::uint64_t offset = field.offset;
    if (type) {
      if (Result<FieldLocation> found = FindField(session.symbols(), *type, field.field))
        offset = found->offset;
    }
    if (const auto value = view->Unsigned(offset, field.size)) registers.Set(field.name, *value);
  }
  if (narrow) {
    // Without a change of privilege the processor pushes no stack pointer: the frame ends where the stack
    // went on.
    const bool from_user = (registers.Get("cs").value_or(0) & 3) != 0;
    registers.Set("esp", from_user ? view->Unsigned(kTrapStack32, 4).value_or(0) : *address + kTrapStack32);
    report.Line("ErrCode = " + HexDigits(view->Unsigned(kTrapErrorCode32, 4).value_or(0), 8));
  } else {
    report.Line("NOTE: The trap frame does not contain all registers.");
    report.Line("Some register values may be zeroed or incorrect.");
  }
  session.SetScope(std::move(registers), 0);
  return ShowRegisters(session, **session.Registers(), report);
}

}  // namespace

Result<RegisterSet> FrameScope::Innermost(Session& session, bool& set_context) const {
  set_context = session.has_explicit_scope();
  const auto& stop = session.target().stop();
  if (set_context && session.frame_number() > 0 && innermost_ && stop &&
      stop->stop_counter == stop_counter_) {
    set_context = set_context_;
    return *innermost_;
  }
  Result<const RegisterSet*> registers = session.Registers();
  if (!registers) return registers.error();
  return **registers;
}

void FrameScope::SelectedFrom(const RegisterSet& innermost, bool set_context, std::uint64_t stop_counter) {
  innermost_ = innermost;
  set_context_ = set_context;
  stop_counter_ = stop_counter;
}

void AddScopeCommands(CommandTable& table, const std::shared_ptr<FrameScope>& scope) {
  table.Add({{".frame"},
             ".frame [/r] [NUMBER]",
             "Selects a frame of the stack, whose locals `dv` shows.",
             [scope](Session& session, Arguments& arguments, Report& report) {
               return Frame(session, arguments, report, *scope);
             }});
  table.Add({{".f"},
             ".f+ | .f-",
             "Selects the next or the previous frame.",
             [scope](Session& session, Arguments& arguments, Report& report) {
               return NextFrame(session, arguments, report, *scope);
             }});
  table.Add({{".cxr"},
             ".cxr [ADDRESS]",
             "Selects the registers of a CONTEXT record; without one resets them.",
             SetContext});
  table.Add({{".trap"},
             ".trap [ADDRESS]",
             "Selects the registers of a trap frame; without one resets them.",
             SetTrapFrame});
  table.Add({{".ecxr"},
             ".ecxr",
             "Selects the context of the exception; a kernel target has none.",
             [](Session&, Arguments&, Report&) -> Result<CommandFlow> {
               return Error{Errc::kUnsupported, "Unable to get exception context, HRESULT 0x8000FFFF"};
             }});
}

}  // namespace longwire

#include "client/extensions/host_table.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "client/engine/session.h"
#include "client/extensions/list_plan.h"
#include "client/symbols/field_path.h"

namespace longwire {
namespace {

/// Of one list that is read ahead; what is missing then is read when it is asked for.
constexpr int kMostPlanRuns = 16;

HostState& StateOf(lw_session* session) { return *reinterpret_cast<HostState*>(session); }
Session& SessionOf(lw_session* session) { return StateOf(session).session; }

lw_status Fail(lw_session* session, const Error& error) {
  StateOf(session).last_error = error.message;
  return static_cast<lw_status>(error.code);
}

void CopyText(std::string_view text, char* out, std::uint32_t capacity) {
  if (capacity == 0) return;
  const std::size_t length = std::min<std::size_t>(text.size(), capacity - 1);
  std::memcpy(out, text.data(), length);
  out[length] = '\0';
}

AddressSpace SpaceOf(lw_session* session, const lw_space& space) {
  switch (space.kind) {
    case LW_SPACE_PHYSICAL: return AddressSpace::Physical();
    case LW_SPACE_PAGE_TABLE: return AddressSpace::PageTable(space.directory_base);
    default: return SessionOf(session).address_space();
  }
}

// ---- output ----

void Output(lw_session* session, const char* text) { StateOf(session).report.Text(text); }
void ErrorOutput(lw_session* session, const char* text) { StateOf(session).error_text += text; }

void RowBegin(lw_session* session, const char* kind) {
  StateOf(session).row_kind = kind;
  StateOf(session).row.clear();
}
void RowString(lw_session* session, const char* name, const char* value) {
  StateOf(session).row.push_back({name, std::string(value)});
}
void RowHex(lw_session* session, const char* name, std::uint64_t value) {
  StateOf(session).row.push_back({name, Hex{value}});
}
void RowNumber(lw_session* session, const char* name, std::int64_t value) {
  StateOf(session).row.push_back({name, value});
}
void RowEnd(lw_session* session, const char* text) {
  HostState& state = StateOf(session);
  state.report.Row(state.row_kind, std::move(state.row), text);
  state.row.clear();
}

const char* LastError(lw_session* session) { return StateOf(session).last_error.c_str(); }
int Interrupted(lw_session* session) { return SessionOf(session).interrupt().raised() ? 1 : 0; }

// ---- target ----

std::uint32_t PointerSizeOf(lw_session* session) { return SessionOf(session).pointer_size(); }

std::uint32_t MachineOf(lw_session* session) {
  const auto& description = SessionOf(session).target().description();
  return description ? description->machine : 0;
}

std::uint32_t ProcessorCount(lw_session* session) {
  const auto& description = SessionOf(session).target().description();
  return description ? description->processors : 0;
}

std::uint32_t CurrentProcessor(lw_session* session) { return SessionOf(session).processor(); }

std::uint64_t CurrentThread(lw_session* session) {
  Session& engine = SessionOf(session);
  if (engine.selected_thread() != 0) return engine.selected_thread();
  return engine.target().stop() ? engine.target().stop()->thread : 0;
}

std::uint64_t CurrentProcess(lw_session* session) { return SessionOf(session).selected_process(); }

lw_status DebuggerData(lw_session* session, std::uint32_t offset, void* out, std::uint32_t size) {
  const auto& description = SessionOf(session).target().description();
  if (!description || offset > description->debugger_data.size() ||
      size > description->debugger_data.size() - offset) {
    return Fail(session, Error{Errc::kNotFound, "the target's debugger data block does not hold this field"});
  }
  std::memcpy(out, description->debugger_data.data() + offset, size);
  return 0;
}

// ---- memory ----

lw_status Read(lw_session* session, lw_space space, std::uint64_t address, void* out, std::uint64_t size,
               std::uint64_t* read) {
  if (read) *read = 0;
  std::span<std::byte> bytes(static_cast<std::byte*>(out), size);
  Result<std::size_t> result = SessionOf(session).target().Read(SpaceOf(session, space), address, bytes);
  if (!result && result.error().code != Errc::kUnreadable) return Fail(session, result.error());
  const std::size_t readable = result ? *result : 0;
  if (read) *read = readable;
  if (read ? readable == 0 && size != 0 : readable < size) {
    const std::uint64_t missing = address + readable;
    return Fail(session, Error{Errc::kUnreadable,
                               "Unable to read memory at " + SessionOf(session).Address(missing), missing});
  }
  return 0;
}

lw_status Write(lw_session* session, lw_space space, std::uint64_t address, const void* data,
                std::uint64_t size) {
  std::span<const std::byte> bytes(static_cast<const std::byte*>(data), size);
  Result<std::size_t> written = SessionOf(session).target().Write(SpaceOf(session, space), address, bytes);
  if (!written) return Fail(session, written.error());
  if (*written < size) {
    return Fail(session, Error{Errc::kUnreadable, "Unable to write memory at " +
                                                      SessionOf(session).Address(address + *written)});
  }
  return 0;
}

void Prefetch(lw_session* session, lw_space space, const lw_range* ranges, std::uint32_t count) {
  std::vector<rpc::ReadRange> wanted;
  for (std::uint32_t i = 0; i < count; ++i) wanted.push_back({ranges[i].address, ranges[i].size});
  SessionOf(session).target().Prefetch(SpaceOf(session, space), wanted);
}

lw_status RunPlan(lw_session* session, const plan::Plan& plan, int (*visit)(void*, const lw_plan_record*),
                  void* context) {
  if (Result<void> valid = plan::Validate(plan); !valid) return Fail(session, valid.error());
  Result<plan::Output> output = SessionOf(session).target().Run(plan);
  if (!output) return Fail(session, output.error());
  std::size_t at = 0;
  for (const plan::Record& record : output->records) {
    const lw_plan_record out{record.tag,
                             0,
                             record.address,
                             record.value,
                             reinterpret_cast<const std::uint8_t*>(output->data.data()) + at,
                             record.data_size};
    at += record.data_size;
    if (visit && visit(context, &out) == 0) break;
  }
  return 0;
}

lw_status PrefetchList(lw_session* session, lw_space space, const lw_list* list) {
  Session& engine = SessionOf(session);
  Result<plan::Plan> plan = BuildListPlan(SpaceOf(session, space), *list, engine.pointer_size());
  if (!plan) return Fail(session, plan.error());
  if (Result<void> valid = plan::Validate(*plan); !valid) return Fail(session, valid.error());
  // A long list on a slow line takes longer than one plan may: what was read is known to the server, so the
  // next run passes it without asking the target and gets further.
  std::size_t known = 0;
  for (int run = 0; run < kMostPlanRuns; ++run) {
    Result<plan::Output> output = engine.target().Run(*plan);
    if (!output) return Fail(session, output.error());
    if (output->ending != plan::Ending::kTimeLimit || output->records.size() <= known) break;
    known = output->records.size();
  }
  return 0;
}

lw_status RunPlanOf(lw_session* session, const lw_plan_instruction* program, std::uint32_t count,
                    int (*visit)(void*, const lw_plan_record*), void* context) {
  if (count > plan::kMaxInstructions)
    return Fail(session, Error{Errc::kLimitExceeded, "read plan is too long"});
  plan::Plan plan;
  for (std::uint32_t i = 0; i < count; ++i) {
    const lw_plan_instruction& in = program[i];
    plan.program.push_back(
        {static_cast<plan::Op>(in.op), in.a, in.b, in.c, in.size, in.target, in.immediate});
  }
  return RunPlan(session, plan, visit, context);
}

// ---- registers, expressions, stacks ----

lw_status RegisterValue(lw_session* session, const char* name, std::uint64_t* value) {
  Result<const RegisterSet*> registers = SessionOf(session).Registers();
  if (!registers) return Fail(session, registers.error());
  std::optional<std::uint64_t> found = (*registers)->Get(name);
  if (!found)
    return Fail(session, Error{Errc::kNotFound, std::string("Bad register error in '") + name + "'"});
  *value = *found;
  return 0;
}

lw_status Evaluate(lw_session* session, const char* expression, std::uint64_t* value) {
  Result<std::uint64_t> result = SessionOf(session).Evaluate(expression);
  if (!result) return Fail(session, result.error());
  *value = *result;
  return 0;
}

lw_status WalkStackOf(lw_session* session, std::uint64_t instruction_pointer, std::uint64_t stack_pointer,
                      std::uint64_t frame_pointer, lw_frame* frames, std::uint32_t capacity,
                      std::uint32_t* count) {
  *count = 0;
  Session& engine = SessionOf(session);
  Result<const RegisterSet*> scope = engine.Registers();
  if (!scope) return Fail(session, scope.error());
  RegisterSet start = **scope;
  if (stack_pointer != 0) {
    start.Set("rip", instruction_pointer);
    start.Set("rsp", stack_pointer);
    start.Set("rbp", frame_pointer);
  }
  Result<std::vector<StackFrame>> walk = engine.Walk(start, capacity);
  if (!walk) return Fail(session, walk.error());
  for (const StackFrame& frame : *walk) {
    if (*count >= capacity) break;
    frames[(*count)++] = {frame.registers.program_counter(), frame.child_sp, frame.return_address};
  }
  return 0;
}

// ---- symbols and types ----

lw_status SymbolAddress(lw_session* session, const char* name, std::uint64_t* address) {
  Result<std::uint64_t> found = SessionOf(session).symbols().Resolve(name);
  if (!found) return Fail(session, found.error());
  *address = *found;
  return 0;
}

void NameOf(lw_session* session, std::uint64_t address, char* out, std::uint32_t capacity) {
  CopyText(SessionOf(session).NameOf(address), out, capacity);
}

lw_status TypeSize(lw_session* session, const char* type, std::uint64_t* size) {
  SymbolTable& symbols = SessionOf(session).symbols();
  Result<TypeReference> found = symbols.FindType(type);
  if (!found) return Fail(session, found.error());
  Result<TypeInfo> info = symbols.Describe(*found);
  if (!info) return Fail(session, info.error());
  *size = info->size;
  return 0;
}

lw_status FieldOf(lw_session* session, const char* type, const char* path, lw_field_info* out) {
  SymbolTable& symbols = SessionOf(session).symbols();
  Result<TypeReference> found = symbols.FindType(type);
  if (!found) return Fail(session, found.error());
  Result<FieldLocation> field = FindField(symbols, *found, path);
  if (!field) return Fail(session, field.error());
  *out = {field->offset, field->size, field->bit_position, field->bit_count};
  return 0;
}

lw_status Enumerator(lw_session* session, const char* type, std::int64_t value, char* out,
                     std::uint32_t capacity) {
  SymbolTable& symbols = SessionOf(session).symbols();
  Result<TypeReference> found = symbols.FindType(type);
  if (!found) return Fail(session, found.error());
  Result<TypeInfo> info = symbols.Describe(*found);
  if (!info) return Fail(session, info.error());
  for (const TypeEnumerator& enumerator : info->enumerators) {
    if (enumerator.value != value) continue;
    CopyText(enumerator.name, out, capacity);
    return 0;
  }
  return Fail(session, Error{Errc::kNotFound, std::string("no enumerator of ") + type + " has the value " +
                                                  std::to_string(value)});
}

void SelectProcess(lw_session* session, std::uint64_t process, std::uint64_t directory_base) {
  if (process == 0) {
    SessionOf(session).ResetProcess();
  } else {
    SessionOf(session).SelectProcess(process, directory_base);
  }
}

constexpr lw_host kHost = {
    sizeof(lw_host),
    LW_EXTENSION_VERSION,
    Output,
    ErrorOutput,
    RowBegin,
    RowString,
    RowHex,
    RowNumber,
    RowEnd,
    LastError,
    Interrupted,
    PointerSizeOf,
    MachineOf,
    ProcessorCount,
    CurrentProcessor,
    CurrentThread,
    CurrentProcess,
    DebuggerData,
    Read,
    Write,
    Prefetch,
    PrefetchList,
    RunPlanOf,
    RegisterValue,
    Evaluate,
    WalkStackOf,
    SymbolAddress,
    NameOf,
    TypeSize,
    FieldOf,
    Enumerator,
    SelectProcess,
};

}  // namespace

const lw_host& HostCall::host() const { return kHost; }

std::string HostCall::ErrorText(std::string_view command) const {
  if (!state_.error_text.empty()) return state_.error_text;
  if (!state_.last_error.empty()) return state_.last_error;
  return "!" + std::string(command) + " failed";
}

}  // namespace longwire

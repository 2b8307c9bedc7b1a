#include "client/commands/local_variables.h"

#include <algorithm>

#include "client/commands/number_text.h"

namespace longwire {
namespace {

constexpr std::uint64_t kMaxVariableBytes = 64 * 1024;

/// A value held by a register as memory of its size.
MemoryView ViewOfRegister(std::uint64_t value, std::uint64_t size) {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(size, 8));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return MemoryView(0, std::move(bytes));
}

}  // namespace

Result<std::vector<FrameVariable>> ReadFrameVariables(Session& session, const RegisterSet& registers) {
  const std::uint64_t address = registers.program_counter();
  (void)session.NameOf(address);  // loads the symbols
  Result<std::vector<LocalVariable>> locals = session.symbols().FindLocals(address);
  if (!locals) return locals.error();
  Module* module = session.modules().FindByAddress(address);
  std::vector<FrameVariable> variables;
  std::vector<rpc::ReadRange> ranges;
  for (LocalVariable& local : *locals) {
    FrameVariable variable;
    variable.type = {module, local.type};
    if (Result<TypeInfo> info = session.symbols().Describe(variable.type))
      variable.size = std::min(info->size, kMaxVariableBytes);
    const VariableLocation& location = local.location;
    const auto value = registers.Get(location.register_name);
    if (location.kind == VariableLocation::Kind::kRegister && value && variable.size <= 8) {
      variable.value = ViewOfRegister(*value, variable.size);
      variable.known = true;
    } else if (location.kind == VariableLocation::Kind::kRegisterRelative && value) {
      variable.address = *value + static_cast<std::uint64_t>(location.offset);
      if (session.pointer_size() == 4) *variable.address &= 0xffffffff;
      ranges.push_back({*variable.address, variable.size});
    }
    variable.variable = std::move(local);
    variables.push_back(std::move(variable));
  }
  if (!ranges.empty()) session.target().Prefetch(session.address_space(), ranges);
  for (FrameVariable& variable : variables) {
    if (!variable.address) continue;
    Result<MemoryView> view = ReadView(session, *variable.address, variable.size);
    if (!view) return view.error();
    variable.known = view->Known(0, variable.size);
    variable.value = std::move(*view);
  }
  return variables;
}

Result<std::vector<FrameVariable>> ReadFrameVariables(Session& session) {
  Result<const RegisterSet*> registers = session.Registers();
  if (!registers) return registers.error();
  return ReadFrameVariables(session, **registers);
}

std::string RegisterLocationText(const FrameVariable& variable) {
  const VariableLocation& location = variable.variable.location;
  if (location.kind == VariableLocation::Kind::kUnavailable) return "";
  std::string text = "@" + location.register_name;
  if (location.kind == VariableLocation::Kind::kRegister) return text;
  const bool negative = location.offset < 0;
  const std::uint64_t distance = negative ? 0 - static_cast<std::uint64_t>(location.offset)
                                          : static_cast<std::uint64_t>(location.offset);
  return text + (negative ? "-0x" : "+0x") + HexDigits(distance, 4);
}

std::string LocationText(Session& session, const FrameVariable& variable) {
  if (variable.address) return "@ 0x" + session.Address(*variable.address);
  const std::string name = variable.variable.location.register_name;
  return name.empty() ? "<value unavailable>" : "@ " + name;
}

}  // namespace longwire

#include "client/commands/local_variables.h"

#include <algorithm>

#include "client/commands/number_text.h"

namespace longwire {
namespace {

constexpr std::uint64_t kMaxVariableBytes = 64 * 1024;

/// What a register holds, as memory of at most `size` bytes; empty if the frame does not have it.
std::vector<std::byte> BytesOfRegister(const RegisterSet& registers, const std::string& name,
                                       std::uint64_t size) {
  std::vector<std::byte> bytes;
  if (const auto value = registers.Get(name)) {
    bytes.resize(std::min<std::uint64_t>(size, 8));
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(*value >> (8 * i));
  } else if (const auto vector = registers.GetVector(name)) {
    bytes.assign(vector->begin(),
                 vector->begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(size, 16)));
  }
  return bytes;
}

/// A place in memory relative to a register of the frame.
std::optional<std::uint64_t> PlaceOf(Session& session, const RegisterSet& registers, const std::string& name,
                                     std::int64_t offset) {
  const auto value = registers.Get(name);
  if (!value) return std::nullopt;
  const std::uint64_t address = *value + static_cast<std::uint64_t>(offset);
  return session.pointer_size() == 4 ? address & 0xffffffff : address;
}

/// Where a piece ends in a variable of `size` bytes.
std::uint64_t EndOfPiece(const std::vector<VariablePiece>& pieces, std::size_t index, std::uint64_t size) {
  return std::min<std::uint64_t>(index + 1 < pieces.size() ? pieces[index + 1].at : size, size);
}

/// Puts a variable together whose parts the compiler keeps apart.
Result<void> ReadPieces(Session& session, const RegisterSet& registers, FrameVariable& variable) {
  const std::vector<VariablePiece>& pieces = variable.variable.location.pieces;
  variable.value = MemoryView(0, variable.size);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const VariablePiece& piece = pieces[i];
    const std::uint64_t end = EndOfPiece(pieces, i, variable.size);
    if (piece.at >= end) continue;
    if (!piece.offset) {
      variable.value.Fill(piece.at, BytesOfRegister(registers, piece.register_name, end - piece.at));
      continue;
    }
    const auto address = PlaceOf(session, registers, piece.register_name, *piece.offset);
    if (!address) continue;
    Result<MemoryView> view = ReadView(session, *address, end - piece.at);
    if (!view) return view.error();
    if (view->Known(0, view->size())) variable.value.Fill(piece.at, view->bytes());
  }
  variable.known = variable.value.Known(0, variable.size);
  return {};
}

/// "@rcx" or "@rsp+0x0030".
std::string PlaceText(const std::string& register_name, std::optional<std::int64_t> offset) {
  if (!offset) return "@" + register_name;
  const bool negative = *offset < 0;
  const std::uint64_t distance =
      negative ? 0 - static_cast<std::uint64_t>(*offset) : static_cast<std::uint64_t>(*offset);
  return "@" + register_name + (negative ? "-0x" : "+0x") + HexDigits(distance, 4);
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
    if (location.kind == VariableLocation::Kind::kRegister) {
      std::vector<std::byte> bytes = BytesOfRegister(registers, location.register_name, variable.size);
      variable.known = !bytes.empty() && bytes.size() == variable.size;
      if (variable.known) variable.value = MemoryView(0, std::move(bytes));
    } else if (location.kind == VariableLocation::Kind::kRegisterRelative) {
      variable.address = PlaceOf(session, registers, location.register_name, location.offset);
      if (variable.address) ranges.push_back({*variable.address, variable.size});
    }
    for (std::size_t i = 0; i < location.pieces.size(); ++i) {
      const VariablePiece& piece = location.pieces[i];
      const std::uint64_t end = EndOfPiece(location.pieces, i, variable.size);
      if (!piece.offset || piece.at >= end) continue;
      if (const auto place = PlaceOf(session, registers, piece.register_name, *piece.offset))
        ranges.push_back({*place, end - piece.at});
    }
    variable.variable = std::move(local);
    variables.push_back(std::move(variable));
  }
  if (!ranges.empty()) session.target().Prefetch(session.address_space(), ranges);
  for (FrameVariable& variable : variables) {
    if (!variable.variable.location.pieces.empty()) {
      if (Result<void> read = ReadPieces(session, registers, variable); !read) return read.error();
    }
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
  if (location.kind == VariableLocation::Kind::kRegister)
    return PlaceText(location.register_name, std::nullopt);
  if (location.kind == VariableLocation::Kind::kRegisterRelative)
    return PlaceText(location.register_name, location.offset);
  std::string text;
  for (const VariablePiece& piece : location.pieces)
    text += (text.empty() ? "" : ",") + PlaceText(piece.register_name, piece.offset);
  return text;
}

std::string LocationText(Session& session, const FrameVariable& variable) {
  if (variable.address) return "@ 0x" + session.Address(*variable.address);
  const std::string place = RegisterLocationText(variable);
  return place.empty() ? "<value unavailable>" : "@ " + place.substr(1);
}

}  // namespace longwire

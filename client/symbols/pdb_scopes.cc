#include "client/symbols/pdb_scopes.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "client/symbols/pdb_symbols.h"

namespace longwire {
namespace {

constexpr std::uint16_t kMachineI386 = 0x14c, kMachineAmd64 = 0x8664, kMachineArm64 = 0xaa64;
constexpr std::uint16_t kLocalIsParameter = 1, kLocalIsOptimizedOut = 0x100;
constexpr std::size_t kMaximumNesting = 256, kMaximumLocals = 1 << 16, kMaximumPieces = 64;

using Kind = VariableLocation::Kind;

std::string Amd64RegisterName(std::uint16_t number) {
  static constexpr std::array<const char*, 8> kLow = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"};
  static constexpr std::array<const char*, 4> kBytes = {"sil", "dil", "bpl", "spl"};
  if (number >= 328 && number < 336) return kLow[number - 328];
  if (number >= 324 && number < 328) return kBytes[number - 324];
  if (number >= 336 && number < 368) {
    static constexpr std::array<const char*, 4> kSuffix = {"", "b", "w", "d"};
    return "r" + std::to_string(8 + (number - 336) % 8) + kSuffix[(number - 336) / 8];
  }
  if (number >= 252 && number < 260) return "xmm" + std::to_string(8 + number - 252);
  return {};
}

std::string Arm64RegisterName(std::uint16_t number) {
  if (number >= 10 && number <= 40) return "w" + std::to_string(number - 10);
  if (number >= 50 && number <= 78) return "x" + std::to_string(number - 50);
  if (number == 79) return "fp";
  if (number == 80) return "lr";
  if (number == 81) return "sp";
  if (number >= 140 && number <= 171) return "d" + std::to_string(number - 140);
  return {};
}

class ScopeReader {
 public:
  ScopeReader(const PdbContainer& container, PdbTypes& types, std::span<const std::uint8_t> stream,
              std::uint32_t rva)
      : container_(container), types_(types), stream_(stream), rva_(rva) {}

  std::vector<LocalVariable> Read(std::uint32_t procedure);

 private:
  enum class Scope { kVisible, kOutside };
  bool Open(const SymbolRecord& record);
  void Variable(const SymbolRecord& record);
  void Range(const SymbolRecord& record);
  bool InRange(ByteCursor& cursor) const;
  void FrameProcedure(const SymbolRecord& record);
  void Piece(std::uint32_t at, std::string register_name, std::optional<std::int64_t> offset);
  std::string Register(std::uint16_t number) const {
    return CodeViewRegisterName(container_.machine(), number);
  }
  void Add(std::string_view name, TypeId type, bool parameter, VariableLocation location);
  VariableLocation FrameRelative(std::int64_t offset) const;
  bool Visible() const { return std::find(scopes_.begin(), scopes_.end(), Scope::kOutside) == scopes_.end(); }

  const PdbContainer& container_;
  PdbTypes& types_;
  std::span<const std::uint8_t> stream_;
  std::uint32_t rva_;
  std::vector<Scope> scopes_;
  std::size_t unclaimed_parameters_ = 0;
  std::string local_base_, parameter_base_;
  bool local_open_ = false;  // the last variable is an S_LOCAL that still waits for its ranges
  std::vector<std::pair<std::size_t, LocalVariable>> found_;  // nesting depth, variable
};

std::vector<LocalVariable> ScopeReader::Read(std::uint32_t procedure) {
  if (procedure >= stream_.size()) return {};
  ByteCursor cursor(stream_.subspan(procedure));
  SymbolRecord record;
  if (!NextSymbolRecord(cursor, record)) return {};
  const auto head = ParseProcedure(record);
  if (!head) return {};
  unclaimed_parameters_ = types_.Parameters(head->type).size();
  scopes_.push_back(Scope::kVisible);
  while (!scopes_.empty() && NextSymbolRecord(cursor, record)) {
    if (record.kind == kSymEnd || record.kind == kSymInlineSiteEnd || record.kind == kSymProcIdEnd) {
      scopes_.pop_back();
      local_open_ = false;
    } else if (!Open(record) && Visible()) {
      Variable(record);
    }
    if (scopes_.size() > kMaximumNesting || found_.size() > kMaximumLocals) break;
  }
  std::stable_sort(found_.begin(), found_.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<LocalVariable> locals;
  for (auto& [depth, variable] : found_) locals.push_back(std::move(variable));
  return locals;
}

// Handles records that open a scope.
bool ScopeReader::Open(const SymbolRecord& record) {
  ByteCursor cursor(record.data);
  if (record.kind == kSymBlock) {
    cursor.Skip(8);
    const std::uint32_t length = cursor.U32();
    const std::uint32_t offset = cursor.U32();
    const auto start = container_.Rva(cursor.U16(), offset);
    const bool holds = cursor.ok() && start && rva_ >= *start && rva_ - *start < length;
    scopes_.push_back(holds ? Scope::kVisible : Scope::kOutside);
    return true;
  }
  const bool opens = IsProcedure(record.kind) || record.kind == kSymThunk || record.kind == kSymSepCode ||
                     record.kind == kSymInlineSite || record.kind == kSymInlineSite2;
  if (opens) scopes_.push_back(Scope::kOutside);
  return opens;
}

void ScopeReader::Add(std::string_view name, TypeId type, bool parameter, VariableLocation location) {
  found_.push_back({scopes_.size(), LocalVariable{std::string(name), type, parameter, std::move(location)}});
}

VariableLocation ScopeReader::FrameRelative(std::int64_t offset) const {
  const bool parameter = !found_.empty() && found_.back().second.is_parameter;
  const std::string& base = parameter ? parameter_base_ : local_base_;
  return {base.empty() ? Kind::kUnavailable : Kind::kRegisterRelative, base, offset};
}

void ScopeReader::Variable(const SymbolRecord& record) {
  ByteCursor cursor(record.data);
  const bool was_open = local_open_;
  local_open_ = false;
  switch (record.kind) {
    case kSymFrameProc: FrameProcedure(record); return;
    case kSymRegisterRelative: {
      const std::int32_t offset = cursor.I32();
      const TypeId type = cursor.U32();
      const std::string base = Register(cursor.U16());
      const std::string_view name = cursor.CString();
      if (!cursor.ok()) return;
      // These records do not say what is a parameter; parameters come first and as often as the type has
      // them.
      const bool parameter = scopes_.size() == 1 && (name == "this" || unclaimed_parameters_ > 0);
      if (parameter && name != "this") --unclaimed_parameters_;
      Add(name, type, parameter, {base.empty() ? Kind::kUnavailable : Kind::kRegisterRelative, base, offset});
      return;
    }
    case kSymBpRelative: {
      const std::int32_t offset = cursor.I32();
      const TypeId type = cursor.U32();
      const std::string_view name = cursor.CString();
      const char* base = container_.machine() == kMachineI386 ? "ebp" : "rbp";
      if (cursor.ok()) Add(name, type, offset > 0, {Kind::kRegisterRelative, base, offset});
      return;
    }
    case kSymRegister: {
      const TypeId type = cursor.U32();
      const std::string name = Register(cursor.U16());
      const std::string_view text = cursor.CString();
      if (cursor.ok()) Add(text, type, false, {name.empty() ? Kind::kUnavailable : Kind::kRegister, name, 0});
      return;
    }
    case kSymLocal: {
      const TypeId type = cursor.U32();
      const std::uint16_t flags = cursor.U16();
      const std::string_view name = cursor.CString();
      if (!cursor.ok()) return;
      Add(name, type, (flags & kLocalIsParameter) != 0, {});
      local_open_ = (flags & kLocalIsOptimizedOut) == 0;
      return;
    }
    default:
      local_open_ = was_open && record.kind >= kSymDefRange && record.kind <= kSymDefRangeRegisterRelative;
      if (local_open_) Range(record);
  }
}

// Whether the range and gaps at the cursor hold the RVA.
bool ScopeReader::InRange(ByteCursor& cursor) const {
  const std::uint32_t offset = cursor.U32();
  const auto start = container_.Rva(cursor.U16(), offset);
  const std::uint16_t length = cursor.U16();
  if (!cursor.ok() || !start || rva_ < *start || rva_ - *start >= length) return false;
  while (cursor.remaining() >= 4) {
    const std::uint16_t gap = cursor.U16();
    const std::uint16_t gap_length = cursor.U16();
    if (rva_ - *start >= gap && rva_ - *start - gap < gap_length) return false;
  }
  return true;
}

void ScopeReader::Range(const SymbolRecord& record) {
  ByteCursor cursor(record.data);
  VariableLocation location;
  bool applies = false;
  switch (record.kind) {
    case kSymDefRangeRegister:
      location = {Kind::kRegister, Register(cursor.U16()), 0};
      cursor.U16();
      applies = InRange(cursor) && !location.register_name.empty();
      break;
    case kSymDefRangeFrame:
      location = FrameRelative(cursor.I32());
      applies = InRange(cursor);
      break;
    case kSymDefRangeFrameFullScope:
      location = FrameRelative(cursor.I32());
      applies = cursor.ok();
      break;
    case kSymDefRangeRegisterRelative: {
      location = {Kind::kRegisterRelative, Register(cursor.U16()), 0};
      const std::uint16_t flags = cursor.U16();
      location.offset = cursor.I32();
      applies = InRange(cursor) && !location.register_name.empty();
      // A spilled member of a larger variable: its offset there is above the flags.
      if (applies && (flags & 1) != 0) {
        applies = false;
        Piece(flags >> 4, std::move(location.register_name), location.offset);
      }
      break;
    }
    case kSymDefRangeSubfieldRegister: {
      std::string name = Register(cursor.U16());
      cursor.U16();
      const std::uint32_t at = cursor.U32() & 0xFFF;
      if (InRange(cursor) && !name.empty()) Piece(at, std::move(name), std::nullopt);
      break;
    }
    default: break;  // ranges in a program of their own, which no compiler writes
  }
  if (applies) found_.back().second.location = std::move(location);
}

/// Adds to where the last variable lives, unless all of it has a place.
void ScopeReader::Piece(std::uint32_t at, std::string register_name, std::optional<std::int64_t> offset) {
  VariableLocation& location = found_.back().second.location;
  if (location.kind != Kind::kUnavailable && location.kind != Kind::kPieces) return;
  location.kind = Kind::kPieces;
  std::vector<VariablePiece>& pieces = location.pieces;
  const auto behind = std::find_if(pieces.begin(), pieces.end(), [at](const auto& p) { return p.at >= at; });
  if (behind != pieces.end() && behind->at == at) return;
  if (pieces.size() < kMaximumPieces) pieces.insert(behind, {at, std::move(register_name), offset});
}

void ScopeReader::FrameProcedure(const SymbolRecord& record) {
  ByteCursor cursor(record.data);
  cursor.Skip(22);
  const std::uint32_t flags = cursor.U32();
  if (!cursor.ok() || scopes_.size() != 1) return;
  const auto base = [this](std::uint32_t encoded) -> std::string {
    static constexpr std::array<const char*, 4> kAmd64 = {"", "rsp", "rbp", "r13"};
    static constexpr std::array<const char*, 4> kI386 = {"", "", "ebp",
                                                         "ebx"};  // 1: virtual frame, not known here
    static constexpr std::array<const char*, 4> kArm64 = {"", "sp", "fp", "x19"};
    switch (container_.machine()) {
      case kMachineAmd64: return kAmd64[encoded];
      case kMachineI386: return kI386[encoded];
      case kMachineArm64: return kArm64[encoded];
      default: return "";
    }
  };
  local_base_ = base(flags >> 14 & 3);
  parameter_base_ = base(flags >> 16 & 3);
}

}  // namespace

std::string CodeViewRegisterName(std::uint16_t machine, std::uint16_t number) {
  static constexpr std::array<const char*, 25> kI386 = {
      "",   "al", "cl", "dl", "bl",  "ah",  "ch",  "dh",  "bh",  "ax",  "cx",  "dx", "bx",
      "sp", "bp", "si", "di", "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
  if (machine == kMachineArm64) return Arm64RegisterName(number);
  if (number < kI386.size()) return kI386[number];
  if (number >= 154 && number < 162) return "xmm" + std::to_string(number - 154);
  return machine == kMachineAmd64 ? Amd64RegisterName(number) : std::string();
}

std::vector<LocalVariable> ReadPdbLocals(const PdbContainer& container, PdbTypes& types, std::size_t module,
                                         std::uint32_t procedure, std::uint32_t rva) {
  return ScopeReader(container, types, container.Module(module).symbols, rva).Read(procedure);
}

}  // namespace longwire

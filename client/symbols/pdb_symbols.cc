#include "client/symbols/pdb_symbols.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "client/symbols/folded_name.h"

namespace longwire {
namespace {

constexpr std::uint16_t kMachineI386 = 0x14c;
constexpr std::size_t kNeighbourContributions = 64;  // how far Next() looks for the next private symbol

Error NoSymbol() { return Error{Errc::kNotFound, "no symbol there"}; }

bool HasAddress(std::uint16_t kind) {
  return kind == kSymPublic || kind == kSymGlobalData || kind == kSymLocalData;
}

// "_main" -> "main", "_DllMain@12" -> "DllMain", "@Fast@8" -> "Fast"; anything else unchanged.
std::string_view WithoutX86Decoration(std::string_view name) {
  if (name.size() < 2 || (name[0] != '_' && name[0] != '@')) return name;
  std::string_view plain = name.substr(1);
  const std::size_t at = plain.rfind('@');
  const bool counted = at != std::string_view::npos && at > 0 && at + 1 < plain.size() &&
                       plain.find_first_not_of("0123456789", at + 1) == std::string_view::npos;
  if (counted) return plain.substr(0, at);
  return name[0] == '_' ? plain : name;
}

struct DataRecord {
  TypeId type = 0;
  std::uint32_t offset = 0;
  std::uint16_t section = 0;
  std::string_view name;
};
// S_GDATA32, S_LDATA32; S_PUB32 has flags in the place of the type.
std::optional<DataRecord> ParseData(const SymbolRecord& record) {
  ByteCursor cursor(record.data);
  DataRecord data;
  data.type = cursor.U32();
  data.offset = cursor.U32();
  data.section = cursor.U16();
  data.name = cursor.CString();
  return cursor.ok() ? std::optional(data) : std::nullopt;
}

}  // namespace

bool NextSymbolRecord(ByteCursor& cursor, SymbolRecord& record) {
  if (cursor.remaining() < 4) return false;
  record.offset = static_cast<std::uint32_t>(cursor.position());
  const std::uint16_t length = cursor.U16();
  if (length < 2) return false;
  record.kind = cursor.U16();
  record.data = cursor.Take(length - 2);
  return cursor.ok();
}

bool IsProcedure(std::uint16_t kind) {
  return kind == kSymGlobalProc || kind == kSymLocalProc || kind == kSymGlobalProcId ||
         kind == kSymLocalProcId;
}

std::optional<ProcedureRecord> ParseProcedure(const SymbolRecord& record) {
  ByteCursor cursor(record.data);
  cursor.Skip(12);  // parent, end, next
  ProcedureRecord procedure;
  procedure.length = cursor.U32();
  cursor.Skip(8);  // ends of prologue and start of epilogue
  procedure.type = cursor.U32();
  procedure.offset = cursor.U32();
  procedure.section = cursor.U16();
  cursor.U8();
  procedure.name = cursor.CString();
  return cursor.ok() ? std::optional(procedure) : std::nullopt;
}

PdbSymbols::PdbSymbols(const PdbContainer& container, PdbTypes& types)
    : container_(container), types_(types), is_x86_(container.machine() == kMachineI386) {}

void PdbSymbols::Index() {
  if (indexed_) return;
  indexed_ = true;
  ByteCursor cursor(container_.symbol_records());
  for (SymbolRecord record; NextSymbolRecord(cursor, record);) IndexRecord(record);
  std::sort(by_rva_.begin(), by_rva_.end(), [this](std::uint32_t a, std::uint32_t b) {
    const Entry &x = entries_[a], &y = entries_[b];
    return std::tuple(x.rva, x.kind == kSymPublic, a) < std::tuple(y.rva, y.kind == kSymPublic, b);
  });
  const auto less = [](const NameEntry& a, const NameEntry& b) {
    return std::pair(a.hash, a.entry) < std::pair(b.hash, b.entry);
  };
  std::sort(names_.begin(), names_.end(), less);
  std::sort(typedefs_.begin(), typedefs_.end(), less);
}

void PdbSymbols::IndexRecord(const SymbolRecord& record) {
  Entry entry{record.offset, 0, record.kind};
  std::string_view name;
  if (HasAddress(record.kind)) {
    const auto data = ParseData(record);
    if (!data) return;
    const auto rva = container_.Rva(data->section, data->offset);
    if (!rva) return;
    entry.rva = *rva;
    name = data->name;
    by_rva_.push_back(static_cast<std::uint32_t>(entries_.size()));
  } else if (record.kind == kSymProcRef || record.kind == kSymLocalProcRef || record.kind == kSymUdt) {
    name = RawName(entry);
    if (name.empty()) return;
    if (record.kind == kSymUdt) {
      typedefs_.push_back({FoldedHash(name), record.offset});
      return;
    }
  } else {
    return;
  }
  has_private_ = has_private_ || record.kind != kSymPublic;
  const auto index = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back(entry);
  names_.push_back({FoldedHash(name), index});
  if (!is_x86_ || record.kind != kSymPublic) return;
  const std::string_view plain = WithoutX86Decoration(name);
  if (plain != name) names_.push_back({FoldedHash(plain), index});
}

SymbolRecord PdbSymbols::RecordAt(std::span<const std::uint8_t> stream, std::uint32_t offset) const {
  SymbolRecord record;
  if (offset >= stream.size()) return {};
  ByteCursor cursor(stream.subspan(offset));
  if (!NextSymbolRecord(cursor, record)) return {};
  record.offset = offset;
  return record;
}

std::string_view PdbSymbols::RawName(const Entry& entry) const {
  const SymbolRecord record = RecordAt(container_.symbol_records(), entry.offset);
  ByteCursor cursor(record.data);
  cursor.Skip(entry.kind == kSymUdt ? 4 : 10);
  return cursor.CString();
}

std::string PdbSymbols::DisplayName(std::string_view raw) const {
  if (raw.starts_with('?')) return UndecorateCxxName(raw);
  return std::string(is_x86_ ? WithoutX86Decoration(raw) : raw);
}

std::optional<Symbol> PdbSymbols::Make(const Entry& entry) {
  const SymbolRecord record = RecordAt(container_.symbol_records(), entry.offset);
  if (!HasAddress(entry.kind)) {
    ByteCursor cursor(record.data);
    cursor.U32();
    const std::uint32_t offset = cursor.U32();
    const std::uint16_t module = cursor.U16();
    if (!cursor.ok() || module == 0) return std::nullopt;
    return MakeFromModule(module - 1u, offset);
  }
  const auto data = ParseData(record);
  if (!data) return std::nullopt;
  Symbol symbol;
  symbol.rva = entry.rva;
  symbol.is_public = entry.kind == kSymPublic;
  if (symbol.is_public) {
    symbol.name = DisplayName(data->name);
    symbol.is_function = (data->type & 3) != 0;  // code or function
  } else {
    symbol.name = data->name;
    symbol.type = data->type;
    symbol.size = types_.SizeOf(data->type);
  }
  return symbol;
}

std::optional<Symbol> PdbSymbols::MakeFromModule(std::uint32_t module, std::uint32_t offset) {
  const SymbolRecord record = RecordAt(container_.Module(module).symbols, offset);
  Symbol symbol;
  std::optional<std::uint32_t> rva;
  if (IsProcedure(record.kind)) {
    const auto procedure = ParseProcedure(record);
    if (!procedure) return std::nullopt;
    rva = container_.Rva(procedure->section, procedure->offset);
    symbol.name = procedure->name;
    symbol.size = procedure->length;
    const bool type_is_id = record.kind == kSymGlobalProcId || record.kind == kSymLocalProcId;
    symbol.type = type_is_id ? 0 : procedure->type;
    symbol.is_function = true;
  } else if (record.kind == kSymGlobalData || record.kind == kSymLocalData) {
    const auto data = ParseData(record);
    if (!data) return std::nullopt;
    rva = container_.Rva(data->section, data->offset);
    symbol.name = data->name;
    symbol.type = data->type;
    symbol.size = types_.SizeOf(data->type);
  } else if (record.kind == kSymThunk) {
    ByteCursor cursor(record.data);
    cursor.Skip(12);
    const std::uint32_t target = cursor.U32();
    rva = container_.Rva(cursor.U16(), target);
    symbol.size = cursor.U16();
    cursor.U8();
    symbol.name = cursor.CString();
    symbol.is_function = true;
    if (!cursor.ok()) return std::nullopt;
  }
  if (!rva || symbol.name.empty()) return std::nullopt;
  symbol.rva = *rva;
  return symbol;
}

std::optional<Symbol> PdbSymbols::Lookup(const std::vector<NameEntry>& names, std::string_view name) {
  const std::uint32_t hash = FoldedHash(name);
  auto found = std::lower_bound(names.begin(), names.end(), hash,
                                [](const NameEntry& e, std::uint32_t value) { return e.hash < value; });
  std::optional<Symbol> best;
  int best_rank = 0;
  for (; found != names.end() && found->hash == hash; ++found) {
    const Entry& entry = entries_[found->entry];
    const std::string_view raw = RawName(entry);
    const bool is_public = entry.kind == kSymPublic;
    const std::string display = is_public ? DisplayName(raw) : std::string(raw);
    if (!EqualFolded(raw, name) && !EqualFolded(display, name)) continue;
    const int rank = 1 + (is_public ? 0 : 1) + (raw == name || display == name ? 2 : 0);
    if (rank <= best_rank) continue;
    auto symbol = Make(entry);
    if (!symbol) continue;
    best = std::move(symbol);
    best_rank = rank;
  }
  return best;
}

// Undecorating every C++ public takes long in large files, so it waits for the first name not found
// otherwise.
void PdbSymbols::IndexDecorated() {
  if (decorated_indexed_) return;
  decorated_indexed_ = true;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].kind != kSymPublic) continue;
    const std::string_view raw = RawName(entries_[i]);
    if (raw.starts_with('?')) decorated_names_.push_back({FoldedHash(UndecorateCxxName(raw)), i});
  }
  std::sort(decorated_names_.begin(), decorated_names_.end(), [](const NameEntry& a, const NameEntry& b) {
    return std::pair(a.hash, a.entry) < std::pair(b.hash, b.entry);
  });
}

Result<Symbol> PdbSymbols::Find(std::string_view name) {
  Index();
  if (auto symbol = Lookup(names_, name)) return *std::move(symbol);
  IndexDecorated();
  if (auto symbol = Lookup(decorated_names_, name)) return *std::move(symbol);
  return Error{Errc::kNotFound, "no symbol " + std::string(name)};
}

std::optional<std::uint32_t> PdbSymbols::ModuleAt(std::uint32_t rva) const {
  const auto& all = container_.contributions();
  auto after = std::upper_bound(all.begin(), all.end(), rva,
                                [](std::uint32_t value, const PdbContribution& c) { return value < c.rva; });
  if (after == all.begin() || rva - (after - 1)->rva >= (after - 1)->size) return std::nullopt;
  return (after - 1)->module;
}

const std::vector<PdbSymbols::ModuleSymbol>& PdbSymbols::ModuleSymbols(std::uint32_t module) {
  if (auto known = modules_.find(module); known != modules_.end()) return known->second;
  std::vector<ModuleSymbol>& symbols = modules_[module];
  const auto stream = container_.Module(module).symbols;
  ByteCursor cursor(stream);
  cursor.Skip(4);  // signature
  for (SymbolRecord record; NextSymbolRecord(cursor, record);) {
    const bool wanted = IsProcedure(record.kind) || record.kind == kSymThunk ||
                        record.kind == kSymGlobalData || record.kind == kSymLocalData;
    if (!wanted) continue;
    if (auto symbol = MakeFromModule(module, record.offset)) {
      const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(symbol->size, UINT32_MAX));
      symbols.push_back({symbol->rva, record.offset, length});
    }
  }
  std::stable_sort(symbols.begin(), symbols.end(),
                   [](const auto& a, const auto& b) { return a.rva < b.rva; });
  return symbols;
}

std::optional<std::uint32_t> PdbSymbols::ProcedureAt(std::uint32_t module, std::uint32_t rva) {
  const auto& symbols = ModuleSymbols(module);
  auto after = std::upper_bound(symbols.begin(), symbols.end(), rva,
                                [](std::uint32_t value, const ModuleSymbol& s) { return value < s.rva; });
  while (after != symbols.begin()) {
    --after;
    const SymbolRecord record = RecordAt(container_.Module(module).symbols, after->offset);
    if (!IsProcedure(record.kind)) continue;
    if (rva - after->rva < after->length) return after->offset;
    return std::nullopt;
  }
  return std::nullopt;
}

Result<Symbol> PdbSymbols::Nearest(std::uint32_t rva) {
  Index();
  std::optional<Symbol> best;
  if (const auto module = ModuleAt(rva)) {
    const auto& symbols = ModuleSymbols(*module);
    auto after = std::upper_bound(symbols.begin(), symbols.end(), rva,
                                  [](std::uint32_t value, const ModuleSymbol& s) { return value < s.rva; });
    if (after != symbols.begin()) {
      // Several names at one address (folded functions): the first as stored.
      auto at = std::lower_bound(symbols.begin(), after, (after - 1)->rva,
                                 [](const ModuleSymbol& s, std::uint32_t value) { return s.rva < value; });
      best = MakeFromModule(*module, at->offset);
    }
  }
  auto after =
      std::upper_bound(by_rva_.begin(), by_rva_.end(), rva,
                       [this](std::uint32_t value, std::uint32_t e) { return value < entries_[e].rva; });
  if (after != by_rva_.begin()) {
    const std::uint32_t nearest = entries_[*(after - 1)].rva;
    auto at = std::lower_bound(by_rva_.begin(), after, nearest, [this](std::uint32_t e, std::uint32_t value) {
      return entries_[e].rva < value;
    });
    if (!best || nearest > best->rva)
      if (auto symbol = Make(entries_[*at])) best = std::move(symbol);
  }
  if (!best) return NoSymbol();
  return *std::move(best);
}

Result<Symbol> PdbSymbols::Next(std::uint32_t rva) {
  Index();
  std::optional<Symbol> best;
  const auto& all = container_.contributions();
  auto contribution =
      std::upper_bound(all.begin(), all.end(), rva,
                       [](std::uint32_t value, const PdbContribution& c) { return value < c.rva; });
  if (contribution != all.begin()) --contribution;
  for (std::size_t i = 0; !best && i < kNeighbourContributions && contribution != all.end();
       ++i, ++contribution) {
    const auto& symbols = ModuleSymbols(contribution->module);
    const std::uint32_t above = std::max(rva, contribution->rva == 0 ? 0 : contribution->rva - 1);
    auto next = std::upper_bound(symbols.begin(), symbols.end(), above,
                                 [](std::uint32_t value, const ModuleSymbol& s) { return value < s.rva; });
    if (next != symbols.end() && next->rva - contribution->rva < contribution->size)
      best = MakeFromModule(contribution->module, next->offset);
  }
  auto next =
      std::upper_bound(by_rva_.begin(), by_rva_.end(), rva,
                       [this](std::uint32_t value, std::uint32_t e) { return value < entries_[e].rva; });
  if (next != by_rva_.end() && (!best || entries_[*next].rva < best->rva))
    if (auto symbol = Make(entries_[*next])) best = std::move(symbol);
  if (!best) return NoSymbol();
  return *std::move(best);
}

void PdbSymbols::ForEach(const std::function<bool(std::string_view)>& accepts,
                         const std::function<bool(const Symbol&)>& visit) {
  Index();
  std::unordered_set<std::uint32_t> private_addresses;
  for (const Entry& entry : entries_) {
    if (entry.kind == kSymPublic || !accepts(RawName(entry))) continue;
    const auto symbol = Make(entry);
    if (!symbol) continue;
    private_addresses.insert(symbol->rva);
    if (!visit(*symbol)) return;
  }
  for (const Entry& entry : entries_) {
    if (entry.kind != kSymPublic || private_addresses.contains(entry.rva)) continue;
    if (!accepts(DisplayName(RawName(entry)))) continue;
    const auto symbol = Make(entry);
    if (symbol && !visit(*symbol)) return;
  }
}

Result<TypeId> PdbSymbols::FindTypedef(std::string_view name) {
  Index();
  const std::uint32_t hash = FoldedHash(name);
  auto found = std::lower_bound(typedefs_.begin(), typedefs_.end(), hash,
                                [](const NameEntry& e, std::uint32_t value) { return e.hash < value; });
  TypeId folded = 0;
  for (; found != typedefs_.end() && found->hash == hash; ++found) {
    const Entry entry{found->entry, 0, kSymUdt};
    const std::string_view candidate = RawName(entry);
    const TypeId type = ByteCursor(RecordAt(container_.symbol_records(), found->entry).data).U32();
    if (candidate == name) return type;
    if (EqualFolded(candidate, name)) folded = type;
  }
  if (folded == 0) return Error{Errc::kNotFound, "no type " + std::string(name)};
  return folded;
}

}  // namespace longwire

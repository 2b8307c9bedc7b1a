#include "client/symbols/export_symbols.h"

#include <algorithm>

#include "client/symbols/folded_name.h"
#include "client/symbols/pdb_container.h"

namespace longwire {
namespace {

class ExportSymbols final : public SymbolFile {
 public:
  ExportSymbols(std::vector<PeExport> exports, PdbIdentity identity)
      : exports_(std::move(exports)), identity_(std::move(identity)) {
    for (PeExport& entry : exports_) entry.name = UndecorateCxxName(entry.name);
    std::stable_sort(exports_.begin(), exports_.end(),
                     [](const auto& a, const auto& b) { return a.rva < b.rva; });
  }

  const PdbIdentity& identity() const override { return identity_; }
  bool has_private_symbols() const override { return false; }

  Result<Symbol> FindSymbol(std::string_view name) override {
    const PeExport* folded = nullptr;
    for (const PeExport& entry : exports_) {
      if (entry.name == name) return Make(entry);
      if (folded == nullptr && EqualFolded(entry.name, name)) folded = &entry;
    }
    if (folded == nullptr) return Error{Errc::kNotFound, "no export " + std::string(name)};
    return Make(*folded);
  }
  Result<Symbol> NearestSymbol(std::uint32_t rva) override {
    const auto after = After(rva);
    if (after == exports_.begin()) return Error{Errc::kNotFound, "no export at or below this address"};
    const auto at = std::lower_bound(exports_.cbegin(), after, (after - 1)->rva,
                                     [](const PeExport& e, std::uint32_t value) { return e.rva < value; });
    return Make(*at);
  }
  Result<Symbol> NextSymbol(std::uint32_t rva) override {
    const auto after = After(rva);
    if (after == exports_.end()) return Error{Errc::kNotFound, "no export above this address"};
    return Make(*after);
  }
  void ForEachSymbol(const std::function<bool(std::string_view)>& accepts,
                     const std::function<bool(const Symbol&)>& visit) override {
    for (const PeExport& entry : exports_)
      if (accepts(entry.name) && !visit(Make(entry))) return;
  }

  Result<TypeId> FindType(std::string_view) override { return NoTypes(); }
  void ForEachType(const std::function<bool(std::string_view)>&,
                   const std::function<bool(TypeId, std::string_view)>&) override {}
  Result<TypeInfo> DescribeType(TypeId) override { return NoTypes(); }
  Result<SourceLine> FindLine(std::uint32_t) override { return NoTypes(); }
  Result<std::vector<LocalVariable>> FindLocals(std::uint32_t) override { return NoTypes(); }

 private:
  static Error NoTypes() { return Error{Errc::kNotFound, "export symbols hold names only"}; }
  static Symbol Make(const PeExport& entry) {
    Symbol symbol;
    symbol.name = entry.name;
    symbol.rva = entry.rva;
    symbol.is_public = true;
    return symbol;
  }
  std::vector<PeExport>::const_iterator After(std::uint32_t rva) const {
    return std::upper_bound(exports_.begin(), exports_.end(), rva,
                            [](std::uint32_t value, const PeExport& e) { return value < e.rva; });
  }

  std::vector<PeExport> exports_;
  PdbIdentity identity_;
};

}  // namespace

std::unique_ptr<SymbolFile> MakeExportSymbols(std::vector<PeExport> exports, PdbIdentity identity) {
  return std::make_unique<ExportSymbols>(std::move(exports), std::move(identity));
}

}  // namespace longwire

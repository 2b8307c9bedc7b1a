#include "client/symbols/pdb_file.h"

#include <exception>
#include <utility>

#include "client/symbols/pdb_container.h"
#include "client/symbols/pdb_lines.h"
#include "client/symbols/pdb_scopes.h"
#include "client/symbols/pdb_symbols.h"
#include "client/symbols/pdb_types.h"

namespace longwire {
namespace {

unsigned PointerSizeOf(std::uint16_t machine) { return machine == 0x8664 || machine == 0xaa64 ? 8 : 4; }

// Allocation failures and length errors of LLVM and of the containers here are the file's fault.
template <class Function>
auto Guarded(const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& e) {
    return Error{Errc::kMalformed, std::string("the PDB is damaged: ") + e.what()};
  }
}

class PdbSymbolFile final : public SymbolFile {
 public:
  explicit PdbSymbolFile(std::unique_ptr<PdbContainer> container)
      : container_(std::move(container)),
        types_(container_->types(), PointerSizeOf(container_->machine())),
        symbols_(*container_, types_),
        has_private_(!container_->stripped() && symbols_.has_private_symbols()) {}

  const PdbIdentity& identity() const override { return container_->identity(); }
  bool has_private_symbols() const override { return has_private_; }

  Result<Symbol> FindSymbol(std::string_view name) override {
    return Guarded([&]() -> Result<Symbol> { return symbols_.Find(name); });
  }
  Result<Symbol> NearestSymbol(std::uint32_t rva) override {
    return Guarded([&]() -> Result<Symbol> { return symbols_.Nearest(rva); });
  }
  Result<Symbol> NextSymbol(std::uint32_t rva) override {
    return Guarded([&]() -> Result<Symbol> { return symbols_.Next(rva); });
  }
  void ForEachSymbol(const std::function<bool(std::string_view)>& accepts,
                     const std::function<bool(const Symbol&)>& visit) override {
    symbols_.ForEach(accepts, visit);
  }

  Result<TypeId> FindType(std::string_view name) override {
    return Guarded([&]() -> Result<TypeId> {
      auto found = types_.Find(name);
      if (found || found.error().code != Errc::kNotFound) return found;
      std::string_view plain = name;
      while (plain.ends_with(' ') || plain.ends_with('*')) plain.remove_suffix(1);
      auto type = symbols_.FindTypedef(plain);
      if (!type || plain.size() == name.size()) return type;
      return *type | kPointerTo;
    });
  }
  void ForEachType(const std::function<bool(std::string_view)>& accepts,
                   const std::function<bool(TypeId, std::string_view)>& visit) override {
    types_.ForEach(accepts, visit);
  }
  Result<TypeInfo> DescribeType(TypeId id) override {
    return Guarded([&]() -> Result<TypeInfo> { return types_.Describe(id); });
  }

  Result<SourceLine> FindLine(std::uint32_t rva) override {
    return Guarded([&]() -> Result<SourceLine> {
      const auto module = symbols_.ModuleAt(rva);
      if (!module) return Error{Errc::kNotFound, "no source line for this address"};
      return FindPdbLine(*container_, *module, rva);
    });
  }
  Result<std::vector<LocalVariable>> FindLocals(std::uint32_t rva) override {
    return Guarded([&]() -> Result<std::vector<LocalVariable>> {
      const auto module = symbols_.ModuleAt(rva);
      const auto procedure = module ? symbols_.ProcedureAt(*module, rva) : std::nullopt;
      if (!procedure)
        return Error{Errc::kNotFound, "no private symbols describe the function at this address"};
      return ReadPdbLocals(*container_, types_, *module, *procedure, rva);
    });
  }

  void ReadEverything();

 private:
  std::unique_ptr<PdbContainer> container_;
  PdbTypes types_;
  PdbSymbols symbols_;
  bool has_private_;
};

void PdbSymbolFile::ReadEverything() {
  for (TypeId id = types_.first(); id < types_.end(); ++id) (void)types_.Describe(id);
  (void)types_.Find("not there");
  (void)symbols_.Find("not there");
  (void)symbols_.FindTypedef("not there");
  symbols_.ForEach([](std::string_view) { return true; }, [](const Symbol&) { return true; });
  for (std::uint32_t module = 0; module < container_->module_count(); ++module) {
    CountPdbLines(*container_, module);
    ByteCursor cursor(container_->Module(module).symbols);
    cursor.Skip(4);
    for (SymbolRecord record; NextSymbolRecord(cursor, record);) {
      if (!IsProcedure(record.kind)) continue;
      const auto procedure = ParseProcedure(record);
      const auto rva = procedure ? container_->Rva(procedure->section, procedure->offset) : std::nullopt;
      if (!rva) continue;
      (void)ReadPdbLocals(*container_, types_, module, record.offset, *rva);
      (void)symbols_.ProcedureAt(module, *rva);
    }
  }
  for (const PdbContribution& contribution : container_->contributions()) {
    (void)symbols_.Nearest(contribution.rva);
    (void)symbols_.Next(contribution.rva);
  }
}

}  // namespace

Result<std::unique_ptr<SymbolFile>> OpenPdbInProcess(const std::string& path) {
  return Guarded([&]() -> Result<std::unique_ptr<SymbolFile>> {
    auto container = PdbContainer::Open(path);
    if (!container) return container.error();
    return std::unique_ptr<SymbolFile>(std::make_unique<PdbSymbolFile>(*std::move(container)));
  });
}

Result<void> ReadWholePdb(const std::string& path) {
  return Guarded([&]() -> Result<void> {
    auto container = PdbContainer::Open(path);
    if (!container) return container.error();
    PdbSymbolFile(*std::move(container)).ReadEverything();
    return {};
  });
}

}  // namespace longwire

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "client/symbols/module.h"
#include "client/symbols/symbol_file.h"
#include "client/symbols/symbol_loader.h"
#include "client/symbols/type_info.h"
#include "proto/error.h"

namespace longwire {

/// A symbol, or a place in a module without one, near an address.
struct NearbySymbol {
  Module* module = nullptr;
  std::optional<Symbol> symbol;    ///< nullopt: the module has no symbol at or below the address
  std::uint64_t address = 0;       ///< of the symbol, or the module's base
  std::uint64_t displacement = 0;  ///< from `address`
  std::string Text() const;        ///< "nt!Foo+0x1c", "nt!Foo", "mydrv+0x334c"
};

/// A type inside the symbols of one module. Valid while the module keeps its symbols.
struct TypeReference {
  Module* module = nullptr;
  TypeId id = 0;
};

/// The symbols of a whole target: modules, their files, and the rules that tie names to addresses
/// (engine.md 2.6). Loads what a question needs and no more. Engine thread only; Module pointers live as in
/// ModuleList.
class SymbolTable {
 public:
  ModuleList& modules() { return modules_; }
  const ModuleList& modules() const { return modules_; }
  SymbolLoader& loader() { return loader_; }

  /// Address of "mod!sym", "sym" or "mod" (its base). "a!b" loads only a; a bare name asks the loaded modules
  /// first, then the deferred ones in order. kNotFound: "Couldn't resolve error at 'foo!bar'"; kUsage:
  /// "Ambiguous symbol error at 'bar'" when two loaded modules have it.
  Result<std::uint64_t> Resolve(std::string_view name);
  /// The same with the symbol and its module; kNotFound also for a bare module name.
  struct Found {
    Module* module = nullptr;
    Symbol symbol;
    std::uint64_t address() const { return module->base() + symbol.rva; }
  };
  Result<Found> FindSymbol(std::string_view name);

  /// Nearest symbol at or below the address; kNotFound when no module holds the address.
  Result<NearbySymbol> Nearest(std::uint64_t address);
  /// Next symbol above the address in the same module; kNotFound.
  Result<NearbySymbol> Next(std::uint64_t address);
  /// "nt!Foo+0x1c", "mydrv+0x334c", or "" when no module holds the address.
  std::string NameOf(std::uint64_t address);

  /// "mod!Type" or "Type" (an optional struct/union/enum/class keyword is skipped). kNotFound: "Symbol X not
  /// found."
  Result<TypeReference> FindType(std::string_view name);
  Result<TypeInfo> Describe(const TypeReference& type);

  /// Symbols that match "modpat!pattern" or "pattern" (engine.md 2.9); loads every module whose name matches
  /// when the pattern has a module part, no deferred one otherwise. `visit` returns false to stop.
  void ForEachSymbol(std::string_view pattern,
                     const std::function<bool(Module&, const Symbol&, std::uint64_t address)>& visit);
  /// Types that match "modpat!pattern"; same rules.
  void ForEachType(std::string_view pattern,
                   const std::function<bool(Module&, TypeId, std::string_view)>& visit);

  Result<SourceLine> FindLine(std::uint64_t address);
  Result<std::vector<LocalVariable>> FindLocals(std::uint64_t address);

 private:
  SymbolFile* Symbols(Module& module);  ///< loads if deferred; null without symbols
  using NameFilter = std::function<bool(std::string_view)>;
  /// The symbol files a pattern asks for, with the pattern for their names. `visit` returns false to stop.
  void ForEachFile(std::string_view pattern,
                   const std::function<bool(Module&, SymbolFile&, const NameFilter&)>& visit);

  ModuleList modules_;
  SymbolLoader loader_;
};

}  // namespace longwire

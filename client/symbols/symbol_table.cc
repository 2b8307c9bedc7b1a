#include "client/symbols/symbol_table.h"

#include <cstdio>
#include <vector>

#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

Error Unresolved(std::string_view name) {
  return Error{Errc::kNotFound, "Couldn't resolve error at '" + std::string(name) + "'"};
}

Error NoType(std::string_view name) {
  return Error{Errc::kNotFound, "Symbol " + std::string(name) + " not found."};
}

// Splits "mod!rest"; the module part is empty and `qualified` false without a "!".
struct QualifiedName {
  std::string_view module, rest;
  bool qualified = false;
};
QualifiedName SplitName(std::string_view name) {
  const std::size_t mark = name.find('!');
  if (mark == std::string_view::npos) return {{}, name, false};
  return {name.substr(0, mark), name.substr(mark + 1), true};
}

std::string_view WithoutKeyword(std::string_view name) {
  for (std::string_view keyword : {"struct ", "union ", "enum ", "class "})
    if (name.starts_with(keyword)) return name.substr(keyword.size());
  return name;
}

}  // namespace

std::string NearbySymbol::Text() const {
  std::string text = module->name();
  if (symbol) text += "!" + symbol->name;
  if (displacement == 0) return text;
  char suffix[24];
  std::snprintf(suffix, sizeof suffix, "+0x%llx", static_cast<unsigned long long>(displacement));
  return text + suffix;
}

SymbolFile* SymbolTable::Symbols(Module& module) {
  loader_.Load(module);
  return module.symbols();
}

Result<SymbolTable::Found> SymbolTable::FindSymbol(std::string_view name) {
  const QualifiedName parts = SplitName(name);
  if (parts.qualified) {
    Module* module = modules_.FindByName(parts.module);
    SymbolFile* symbols = module == nullptr ? nullptr : Symbols(*module);
    if (symbols == nullptr) return Unresolved(name);
    auto symbol = symbols->FindSymbol(parts.rest);
    if (!symbol) return Unresolved(name);
    return Found{module, *std::move(symbol)};
  }
  std::optional<Found> only;
  std::vector<Module*> deferred;
  for (const auto& module : modules_.modules()) {
    if (module->state() == SymbolState::kDeferred) deferred.push_back(module.get());
    if (module->symbols() == nullptr) continue;
    auto symbol = module->symbols()->FindSymbol(name);
    if (!symbol) continue;
    if (only) return Error{Errc::kUsage, "Ambiguous symbol error at '" + std::string(name) + "'"};
    only = Found{module.get(), *std::move(symbol)};
  }
  if (only) return *std::move(only);
  if (loader_.options().no_unqualified_loads) return Unresolved(name);
  for (Module* module : deferred) {
    SymbolFile* symbols = Symbols(*module);
    if (symbols == nullptr) continue;
    if (auto symbol = symbols->FindSymbol(name)) return Found{module, *std::move(symbol)};
  }
  return Unresolved(name);
}

Result<std::uint64_t> SymbolTable::Resolve(std::string_view name) {
  // A module's own name is its base, and costs no loading.
  if (const Module* module = modules_.FindByName(name)) return module->base();
  auto found = FindSymbol(name);
  if (!found) return found.error();
  return found->address();
}

Result<NearbySymbol> SymbolTable::Nearest(std::uint64_t address) {
  Module* module = modules_.FindByAddress(address);
  if (module == nullptr) return Error{Errc::kNotFound, "no module holds this address"};
  NearbySymbol nearby{module, std::nullopt, module->base(), address - module->base()};
  SymbolFile* symbols = Symbols(*module);
  if (symbols == nullptr) return nearby;
  auto symbol = symbols->NearestSymbol(static_cast<std::uint32_t>(address - module->base()));
  if (!symbol) return nearby;
  nearby.address = module->base() + symbol->rva;
  nearby.displacement = address - nearby.address;
  nearby.symbol = *std::move(symbol);
  return nearby;
}

Result<NearbySymbol> SymbolTable::Next(std::uint64_t address) {
  const Error none{Errc::kNotFound, "no symbol above this address in its module"};
  Module* module = modules_.FindByAddress(address);
  SymbolFile* symbols = module == nullptr ? nullptr : Symbols(*module);
  if (symbols == nullptr) return none;
  auto symbol = symbols->NextSymbol(static_cast<std::uint32_t>(address - module->base()));
  if (!symbol) return none;
  const std::uint64_t at = module->base() + symbol->rva;
  return NearbySymbol{module, *std::move(symbol), at, 0};
}

std::string SymbolTable::NameOf(std::uint64_t address) {
  const auto nearby = Nearest(address);
  return nearby ? nearby->Text() : std::string();
}

Result<TypeReference> SymbolTable::FindType(std::string_view name) {
  const QualifiedName parts = SplitName(WithoutKeyword(name));
  const std::string_view plain = WithoutKeyword(parts.rest);
  if (parts.qualified) {
    Module* module = modules_.FindByName(WithoutKeyword(parts.module));
    SymbolFile* symbols = module == nullptr ? nullptr : Symbols(*module);
    if (symbols == nullptr) return NoType(name);
    auto type = symbols->FindType(plain);
    if (!type) return NoType(name);
    return TypeReference{module, *type};
  }
  for (const bool deferred : {false, true}) {
    if (deferred && loader_.options().no_unqualified_loads) break;
    for (const auto& module : modules_.modules()) {
      if ((module->state() == SymbolState::kDeferred) != deferred) continue;
      SymbolFile* symbols = Symbols(*module);
      if (symbols == nullptr) continue;
      if (auto type = symbols->FindType(plain)) return TypeReference{module.get(), *type};
    }
  }
  return NoType(name);
}

Result<TypeInfo> SymbolTable::Describe(const TypeReference& type) {
  if (type.module == nullptr || type.module->symbols() == nullptr)
    return Error{Errc::kNotFound, "the type's module has no symbols any more"};
  return type.module->symbols()->DescribeType(type.id);
}

void SymbolTable::ForEachFile(std::string_view pattern,
                              const std::function<bool(Module&, SymbolFile&, const NameFilter&)>& visit) {
  const QualifiedName parts = SplitName(pattern);
  const NameFilter filter = [wildcard = Wildcard(parts.rest)](std::string_view name) {
    return wildcard.Matches(name);
  };
  for (Module* module : modules_.Match(parts.qualified ? parts.module : "*")) {
    if (!parts.qualified && module->state() == SymbolState::kDeferred) continue;
    SymbolFile* symbols = Symbols(*module);
    if (symbols != nullptr && !visit(*module, *symbols, filter)) return;
  }
}

void SymbolTable::ForEachSymbol(
    std::string_view pattern,
    const std::function<bool(Module&, const Symbol&, std::uint64_t address)>& visit) {
  ForEachFile(pattern, [&](Module& module, SymbolFile& symbols, const NameFilter& filter) {
    bool more = true;
    symbols.ForEachSymbol(filter, [&](const Symbol& symbol) {
      return more = visit(module, symbol, module.base() + symbol.rva);
    });
    return more;
  });
}

void SymbolTable::ForEachType(std::string_view pattern,
                              const std::function<bool(Module&, TypeId, std::string_view)>& visit) {
  ForEachFile(pattern, [&](Module& module, SymbolFile& symbols, const NameFilter& filter) {
    bool more = true;
    symbols.ForEachType(filter,
                        [&](TypeId id, std::string_view name) { return more = visit(module, id, name); });
    return more;
  });
}

Result<SourceLine> SymbolTable::FindLine(std::uint64_t address) {
  Module* module = modules_.FindByAddress(address);
  SymbolFile* symbols = module == nullptr ? nullptr : Symbols(*module);
  if (symbols == nullptr) return Error{Errc::kNotFound, "no source line for this address"};
  return symbols->FindLine(static_cast<std::uint32_t>(address - module->base()));
}

Result<std::vector<LocalVariable>> SymbolTable::FindLocals(std::uint64_t address) {
  Module* module = modules_.FindByAddress(address);
  SymbolFile* symbols = module == nullptr ? nullptr : Symbols(*module);
  if (symbols == nullptr)
    return Error{Errc::kNotFound, "Private symbols (symbols.pri) are required for locals."};
  return symbols->FindLocals(static_cast<std::uint32_t>(address - module->base()));
}

}  // namespace longwire

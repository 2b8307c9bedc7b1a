#include "client/symbols/module.h"

#include <algorithm>
#include <cstdio>
#include <unordered_map>

#include "client/symbols/folded_name.h"
#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

std::string_view LastPart(std::string_view path) {
  const std::size_t slash = path.find_last_of("/\\");
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string Hexadecimal(std::uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
  return text;
}

// Files that play a role under several names (engine.md 2.6).
bool IsHal(std::string_view stem) {
  return EqualFolded(stem, "hal") || EqualFolded(stem, "halacpi") || EqualFolded(stem, "halaacpi") ||
         EqualFolded(stem, "halmacpi") || EqualFolded(stem, "halapic") || EqualFolded(stem, "halmps");
}
bool IsKernel(std::string_view stem) {
  return EqualFolded(stem, "ntoskrnl") || EqualFolded(stem, "ntkrnlmp") || EqualFolded(stem, "ntkrnlpa") ||
         EqualFolded(stem, "ntkrpamp") || EqualFolded(stem, "ntkrla57");
}
bool IsKdTransport(std::string_view file) {
  for (std::string_view name : {"kdcom.dll", "kdnet.dll", "kd1394.dll", "kdusb.dll", "kdstub.dll",
                                "kdserial.dll", "kd_02_8086.dll", "kdhvcom.dll"})
    if (EqualFolded(file, name)) return true;
  return false;
}

}  // namespace

std::string_view SymbolStateName(SymbolState state) {
  switch (state) {
    case SymbolState::kDeferred: return "deferred";
    case SymbolState::kPdb: return "pdb symbols";
    case SymbolState::kPrivatePdb: return "private pdb symbols";
    case SymbolState::kExport: return "export symbols";
    case SymbolState::kNone: return "no symbols";
  }
  return "no symbols";
}

std::string ModuleNameOf(const ModuleRecord& record) {
  if (record.is_kernel) return "nt";
  const std::string_view file = LastPart(record.image_name.empty() ? record.image_path : record.image_name);
  const std::size_t dot = file.rfind('.');
  const std::string_view stem = dot == std::string_view::npos || dot == 0 ? file : file.substr(0, dot);
  if (IsKernel(stem)) return "nt";
  if (IsHal(stem)) return "hal";
  if (IsKdTransport(file)) return "kdcom";
  if (stem.empty() || (stem[0] >= '0' && stem[0] <= '9')) return "image" + Hexadecimal(record.base);
  std::string name(stem);
  for (char& c : name)
    if (!IsNameCharacter(c)) c = '_';
  return name;
}

Module::Module(ModuleRecord record, std::string name) : record_(std::move(record)), name_(std::move(name)) {
  if (record_.image_name.empty()) record_.image_name = LastPart(record_.image_path);
}

void Module::Discard() {
  state_ = SymbolState::kDeferred;
  mismatched_ = image_searched_ = false;
  symbol_path_.clear();
  load_error_.clear();
  identity_.reset();
  symbols_.reset();
  image_.reset();
  headers_.reset();
}

std::string ModuleList::UniqueName(const ModuleRecord& record) const {
  std::string name = ModuleNameOf(record);
  if (FindByName(name) == nullptr) return name;
  return name + "_" + Hexadecimal(record.base);
}

void ModuleList::Sort() {
  by_address_.clear();
  for (const auto& module : modules_) by_address_.push_back(module.get());
  std::sort(by_address_.begin(), by_address_.end(),
            [](const Module* a, const Module* b) { return a->base() < b->base(); });
}

void ModuleList::Replace(std::vector<ModuleRecord> records) {
  std::vector<std::unique_ptr<Module>> old = std::move(modules_);
  modules_.clear();
  std::unordered_map<std::uint64_t, std::size_t> by_base;
  for (std::size_t i = 0; i < old.size(); ++i) by_base.emplace(old[i]->base(), i);
  std::unordered_map<std::string, bool> names;
  for (ModuleRecord& record : records) {
    auto fresh = std::make_unique<Module>(std::move(record), "");
    const ModuleRecord& now = fresh->record_;
    fresh->name_ = ModuleNameOf(now);
    if (!names.emplace(FoldedCopy(fresh->name_), true).second) fresh->name_ += "_" + Hexadecimal(now.base);
    const auto known = by_base.find(now.base);
    Module* same = known == by_base.end() ? nullptr : old[known->second].get();
    const bool keep = same != nullptr && same->size() == fresh->size() &&
                      same->timestamp() == fresh->timestamp() &&
                      EqualFolded(same->image_name(), fresh->image_name());
    if (keep) {
      same->name_ = fresh->name_;
      same->record_ = now;
      modules_.push_back(std::move(old[known->second]));
      by_base.erase(known);
    } else {
      modules_.push_back(std::move(fresh));
    }
  }
  Sort();
}

Module& ModuleList::Add(ModuleRecord record) {
  std::erase_if(modules_, [&](const auto& module) { return module->base() == record.base; });
  std::string name = UniqueName(record);
  modules_.push_back(std::make_unique<Module>(std::move(record), std::move(name)));
  Module& added = *modules_.back();
  Sort();
  return added;
}

void ModuleList::Remove(const Module& module) {
  std::erase_if(modules_, [&](const auto& candidate) { return candidate.get() == &module; });
  Sort();
}

void ModuleList::Clear() {
  modules_.clear();
  by_address_.clear();
  unloaded_.clear();
}

Module* ModuleList::FindByAddress(std::uint64_t address) const {
  auto after = std::upper_bound(by_address_.begin(), by_address_.end(), address,
                                [](std::uint64_t value, const Module* m) { return value < m->base(); });
  if (after == by_address_.begin() || !(*(after - 1))->Contains(address)) return nullptr;
  return *(after - 1);
}

Module* ModuleList::FindByName(std::string_view name) const {
  for (const auto& module : modules_)
    if (EqualFolded(module->name(), name)) return module.get();
  return nullptr;
}

Module* ModuleList::FindByImageName(std::string_view image_name) const {
  for (const auto& module : modules_)
    if (EqualFolded(module->image_name(), image_name)) return module.get();
  return nullptr;
}

std::vector<Module*> ModuleList::Match(std::string_view pattern) const {
  const Wildcard wildcard(pattern);
  std::vector<Module*> matching;
  for (const auto& module : modules_)
    if (wildcard.Matches(module->name())) matching.push_back(module.get());
  return matching;
}

}  // namespace longwire

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/symbols/pe_image.h"
#include "client/symbols/symbol_file.h"

namespace longwire {

/// What is known of a module's symbols; the words of `lm` (engine.md 3.3).
enum class SymbolState : std::uint8_t { kDeferred, kPdb, kPrivatePdb, kExport, kNone };
/// "deferred", "pdb symbols", "private pdb symbols", "export symbols", "no symbols".
std::string_view SymbolStateName(SymbolState state);

/// One entry of the target's loaded-module or unloaded-module list.
struct ModuleRecord {
  std::uint64_t base = 0;
  std::uint32_t size = 0;
  std::string image_name;  ///< BaseDllName, "mydrv.sys"; empty: the last part of image_path
  std::string image_path;  ///< FullDllName, "\SystemRoot\System32\drivers\mydrv.sys"
  std::uint32_t timestamp = 0, checksum = 0;
  std::uint32_t flags = 0;  ///< loader flags, as the target holds them
  bool is_kernel = false;   ///< the kernel itself: its module name is `nt` whatever the file is called
};

/// Module name of an image name (engine.md 2.6): no extension, other characters become `_`, `nt` and `hal` by
/// role.
std::string ModuleNameOf(const ModuleRecord& record);

/// One image in the target, with what was loaded for it. Owned by ModuleList; engine thread only. Pointers
/// returned live until the symbols are discarded or the module leaves the list.
class Module {
 public:
  Module(ModuleRecord record, std::string name);

  const ModuleRecord& record() const { return record_; }
  std::uint64_t base() const { return record_.base; }
  std::uint64_t size() const { return record_.size; }
  std::uint64_t end() const { return record_.base + record_.size; }
  bool Contains(std::uint64_t address) const { return address - record_.base < record_.size; }
  const std::string& name() const { return name_; }
  const std::string& image_name() const { return record_.image_name; }
  const std::string& image_path() const { return record_.image_path; }
  std::uint32_t timestamp() const { return record_.timestamp; }
  std::uint32_t checksum() const { return record_.checksum; }
  std::uint32_t flags() const { return record_.flags; }

  SymbolState state() const { return state_; }
  bool mismatched() const { return mismatched_; }                  ///< the file's identity is not the image's
  const std::string& symbol_path() const { return symbol_path_; }  ///< file the symbols came from, else empty
  const std::string& load_error() const { return load_error_; }  ///< why there is nothing better, else empty
  const PdbIdentity* identity() const {
    return identity_.get();
  }                                                            ///< as the image records it; null if unknown
  SymbolFile* symbols() const { return symbols_.get(); }       ///< null while deferred and without symbols
  const PeFile* image() const { return image_.get(); }         ///< image file found on this machine, or null
  const PeHeaders* headers() const { return headers_.get(); }  ///< null until loaded or asked for

  /// Back to deferred; closes the files.
  void Discard();

 private:
  friend class SymbolLoader;
  friend class ModuleList;
  ModuleRecord record_;
  std::string name_;
  SymbolState state_ = SymbolState::kDeferred;
  bool mismatched_ = false, image_searched_ = false;
  std::string symbol_path_, load_error_;
  std::unique_ptr<PdbIdentity> identity_;
  std::unique_ptr<SymbolFile> symbols_;
  std::unique_ptr<PeFile> image_;
  std::unique_ptr<PeHeaders> headers_;
};

/// The loaded and unloaded modules of a target, in the target's order. Engine thread only.
class ModuleList {
 public:
  /// Replaces the list; modules with equal base, size, time stamp and image name keep what was loaded for
  /// them.
  void Replace(std::vector<ModuleRecord> records);
  /// Adds one module, or replaces the one at the same base.
  Module& Add(ModuleRecord record);
  void Remove(const Module& module);
  void Clear();

  const std::vector<std::unique_ptr<Module>>& modules() const { return modules_; }
  std::size_t size() const { return modules_.size(); }
  Module* FindByAddress(std::uint64_t address) const;
  /// By module name, case-insensitive; null if there is none.
  Module* FindByName(std::string_view name) const;
  /// By image name ("mydrv.sys"), case-insensitive; null if there is none.
  Module* FindByImageName(std::string_view image_name) const;
  /// Modules whose name matches a pattern (engine.md 2.9), in list order.
  std::vector<Module*> Match(std::string_view pattern) const;

  void SetUnloaded(std::vector<ModuleRecord> records) { unloaded_ = std::move(records); }
  const std::vector<ModuleRecord>& unloaded() const { return unloaded_; }

 private:
  std::string UniqueName(const ModuleRecord& record) const;
  void Sort();

  std::vector<std::unique_ptr<Module>> modules_;
  std::vector<Module*> by_address_;
  std::vector<ModuleRecord> unloaded_;
};

}  // namespace longwire

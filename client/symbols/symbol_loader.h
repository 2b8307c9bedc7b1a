#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "client/symbols/module.h"
#include "client/symbols/symbol_path.h"
#include "proto/error.h"

namespace longwire {

/// Symbol options that decide what is loaded (remote-debugging.md 10.5).
struct SymbolOptions {
  bool noisy = false;                 ///< DEBUG: the search is traced
  bool load_anything = false;         ///< LOAD_ANYTHING, `.reload /i`: accept a mismatched file
  bool exact = false;                 ///< EXACT_SYMBOLS: no export symbols when the right file is missing
  bool no_unqualified_loads = false;  ///< NO_UNQUALIFIED_LOADS: a bare name loads nothing
};

/// Reads target memory at a virtual address; returns the readable prefix's length.
using MemoryReader = std::function<std::size_t(std::uint64_t address, std::span<std::byte> out)>;

/// The policy that turns a module into symbols: identity from the image file (found by time stamp and size)
/// or from the PE header in target memory, then the PDB along the symbol path, then the image's exports, then
/// nothing. Never throws; takes no longer than its file and memory reads. Engine thread only.
class SymbolLoader {
 public:
  SymbolOptions& options() { return options_; }
  const SymbolPath& symbol_path() const { return symbol_path_; }
  const SymbolPath& image_path() const { return image_path_; }
  void set_symbol_path(SymbolPath path) { symbol_path_ = std::move(path); }
  void set_image_path(SymbolPath path) { image_path_ = std::move(path); }
  /// Receives the lines of `!sym noisy` and, always, the `*** ERROR`/`*** WARNING` lines of engine.md 2.13.
  void set_trace(SearchTrace trace) { trace_ = std::move(trace); }
  void set_memory_reader(MemoryReader reader) { memory_ = std::move(reader); }

  /// Loads the symbols of a deferred module; does nothing for any other. The outcome is in the module.
  void Load(Module& module) const;
  void Load(Module& module, const RvaReader& target_reader) const;
  /// Headers of the image, from its file or from target memory; remembered in the module. kNotFound.
  Result<const PeHeaders*> Headers(Module& module) const;
  /// Reads image bytes at an RVA: the image file first, target memory otherwise.
  std::size_t ReadImage(Module& module, std::uint32_t rva, std::span<std::byte> out) const;
  /// Reader of the module's bytes in target memory.
  RvaReader TargetReader(const Module& module) const;

 private:
  void FindImageFile(Module& module) const;
  void FindIdentity(Module& module, const RvaReader& target_reader) const;
  bool LoadPdb(Module& module) const;
  bool LoadExports(Module& module, const RvaReader& target_reader) const;
  void Trace(const std::string& line) const;
  void Warn(const std::string& line) const;

  SymbolOptions options_;
  SymbolPath symbol_path_, image_path_;
  SearchTrace trace_;
  MemoryReader memory_;
};

}  // namespace longwire

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/symbols/pe_image.h"
#include "client/symbols/symbol_file.h"
#include "proto/error.h"

namespace longwire {

/// A symbol or image path (remote-debugging.md 10.1): directories, srv* chains and cache* elements. HTTP
/// stores are parsed and reported as not supported yet when they are reached.
class SymbolPath {
 public:
  struct Element {
    enum class Kind { kDirectory, kStoreChain, kCache } kind = Kind::kDirectory;
    std::vector<std::string> stores;  ///< kStoreChain: left to right; kDirectory, kCache: one entry
  };

  static Result<SymbolPath> Parse(std::string_view text);
  const std::string& text() const { return text_; }
  const std::vector<Element>& elements() const { return elements_; }
  std::string Expanded() const;  ///< with the default stores written out, as `.sympath` shows it

 private:
  std::string text_;
  std::vector<Element> elements_;
};

/// One line of `!sym noisy`.
using SearchTrace = std::function<void(std::string_view)>;

/// Finds and verifies; the result is a path of a file that has the identity (or, in plain directories, a
/// mismatched one only if `accept_mismatch`). kNotFound lists the places tried in the message.
Result<std::string> FindPdb(const SymbolPath& path, const PdbIdentity& identity, std::string_view image_name,
                            bool accept_mismatch, const SearchTrace& trace);
Result<std::string> FindImage(const SymbolPath& path, std::string_view image_name, std::uint32_t timestamp,
                              std::uint32_t size_of_image, const SearchTrace& trace);

/// Default downstream store: DBGHELP_HOMEDIR/sym, else $XDG_CACHE_HOME/longwire/sym, else
/// ~/.cache/longwire/sym.
std::string DefaultStore();

}  // namespace longwire

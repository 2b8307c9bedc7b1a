#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <utility>

#include "client/symbols/folded_name.h"
#include "client/symbols/pdb_identity.h"
#include "client/symbols/symbol_path.h"
#include "client/symbols/symbol_store.h"

namespace longwire {
namespace {

constexpr std::size_t kMaximumPlacesListed = 8;

enum class Match { kExact, kMismatch, kUnusable };
using Verifier = std::function<Match(const std::string& path)>;

/// One file looked for along a whole path.
class Search {
 public:
  Search(std::string name, std::string key, std::string_view image_name, Verifier verify,
         const SearchTrace& trace)
      : name_(std::move(name)), key_(std::move(key)), verify_(std::move(verify)), trace_(trace) {
    const std::size_t dot = image_name.rfind('.');
    if (dot != std::string_view::npos) kind_ = SafeFileName(image_name.substr(dot + 1)).value_or("");
  }

  Result<std::string> Run(const SymbolPath& path, bool accept_mismatch) {
    for (const SymbolPath::Element& element : path.elements()) {
      if (auto found = Try(element)) return *found;
    }
    if (auto found = TryDirectory(".")) return Cached(*found);
    for (const char* parent : {"../dll", "../exe", "../sys"})
      if (auto found = TryFile(parent)) return Cached(*found);
    if (accept_mismatch && !mismatched_.empty()) return mismatched_;
    return Error{Errc::kNotFound, NotFoundMessage()};
  }

 private:
  std::optional<std::string> Try(const SymbolPath::Element& element) {
    using Kind = SymbolPath::Element::Kind;
    if (element.kind == Kind::kStoreChain) return TryChain(element.stores);
    if (element.kind == Kind::kDirectory) {
      const auto directory = StoreDirectory(element.stores[0]);
      auto found = directory ? TryDirectory(*directory) : std::nullopt;
      return found ? std::optional(Cached(*found)) : std::nullopt;
    }
    const auto root = StoreDirectory(element.stores[0]);
    if (!root) return std::nullopt;
    if (auto found = TryStore(*root)) return Cached(*found);
    caches_.push_back(*root);
    return std::nullopt;
  }

  std::optional<std::string> TryChain(const std::vector<std::string>& stores) {
    for (std::size_t i = 0; i < stores.size(); ++i) {
      const auto root = StoreDirectory(stores[i]);
      if (!root) {
        Trace("SYMSRV:  " + stores[i] + " is not reached: web stores and unmapped shares are not supported");
        Place(stores[i]);
        continue;
      }
      auto found = TryStore(*root);
      if (!found) continue;
      // Every store left of the hit gets a copy; the leftmost one that could be written is used.
      for (std::size_t left = i; left-- > 0;) {
        const auto target = StoreDirectory(stores[left]);
        if (!target) continue;
        if (auto copy = CopyIntoStore(*target, name_, key_, *found)) found = copy;
      }
      return Cached(*found);
    }
    return std::nullopt;
  }

  std::optional<std::string> TryStore(const std::string& root) {
    Place(root + "/" + name_ + "/" + key_);
    const auto file = LookUpInStore(root, name_, key_, trace_);
    if (!file) return std::nullopt;
    if (verify_(*file) == Match::kExact) return file;
    Trace("SYMSRV:  " + *file + " - mismatched");
    return std::nullopt;
  }

  std::optional<std::string> TryDirectory(const std::string& directory) {
    Place(directory);
    if (!kind_.empty()) {
      if (auto found = TryFile(directory + "/symbols/" + kind_)) return found;
      if (auto found = TryFile(directory + "/" + kind_)) return found;
    }
    return TryFile(directory);
  }

  std::optional<std::string> TryFile(const std::string& directory) {
    const auto file = FindIgnoringCase(directory, name_);
    if (!file) {
      Trace("DBGHELP: " + directory + "/" + name_ + " - file not found");
      return std::nullopt;
    }
    switch (verify_(*file)) {
      case Match::kExact: return file;
      case Match::kMismatch:
        Trace("DBGHELP: " + *file + " - mismatched " + Extension());
        if (mismatched_.empty()) mismatched_ = *file;
        return std::nullopt;
      case Match::kUnusable: Trace("DBGHELP: " + *file + " - damaged or not of the right kind"); break;
    }
    return std::nullopt;
  }

  /// Copies a hit into the caches named left of it; gives the leftmost copy.
  std::string Cached(std::string found) {
    for (std::size_t i = caches_.size(); i-- > 0;)
      if (auto copy = CopyIntoStore(caches_[i], name_, key_, found)) found = *copy;
    return found;
  }

  std::string Extension() const {
    const std::size_t dot = name_.rfind('.');
    return dot == std::string::npos ? "file" : FoldedCopy(name_.substr(dot + 1));
  }
  void Trace(const std::string& line) const {
    if (trace_) trace_(line);
  }
  void Place(std::string place) {
    ++places_count_;
    if (places_.size() < kMaximumPlacesListed) places_.push_back(std::move(place));
  }
  std::string NotFoundMessage() const {
    std::string message = name_ + " (" + key_ + ") was not found in ";
    for (std::size_t i = 0; i < places_.size(); ++i) message += (i > 0 ? ", " : "") + places_[i];
    if (places_count_ > places_.size())
      message += " and " + std::to_string(places_count_ - places_.size()) + " more";
    if (!mismatched_.empty()) message += "; " + mismatched_ + " does not match";
    return message;
  }

  std::string name_, key_, kind_;
  Verifier verify_;
  const SearchTrace& trace_;
  std::vector<std::string> caches_, places_;
  std::size_t places_count_ = 0;
  std::string mismatched_;
};

}  // namespace

Result<std::string> FindPdb(const SymbolPath& path, const PdbIdentity& identity, std::string_view image_name,
                            bool accept_mismatch, const SearchTrace& trace) {
  const auto name = SafeFileName(identity.name);
  if (!name) return Error{Errc::kMalformed, "the image names a PDB that is no file name"};
  const auto verify = [&identity](const std::string& file) {
    const auto found = ReadPdbFileIdentity(file);
    if (!found) return Match::kUnusable;
    return *found == identity ? Match::kExact : Match::kMismatch;
  };
  return Search(*name, identity.Key(), image_name, verify, trace).Run(path, accept_mismatch);
}

Result<std::string> FindImage(const SymbolPath& path, std::string_view image_name, std::uint32_t timestamp,
                              std::uint32_t size_of_image, const SearchTrace& trace) {
  const auto name = SafeFileName(image_name);
  if (!name) return Error{Errc::kMalformed, "the module's image name is no file name"};
  const auto verify = [&](const std::string& file) {
    const auto image = PeFile::Open(file);
    if (!image) return Match::kUnusable;
    const PeHeaders& headers = (*image)->headers();
    const bool same = headers.timestamp == timestamp && headers.size_of_image == size_of_image;
    return same ? Match::kExact : Match::kMismatch;
  };
  char key[24];
  std::snprintf(key, sizeof key, "%08X%x", timestamp, size_of_image);
  return Search(*name, key, *name, verify, trace).Run(path, false);
}

}  // namespace longwire

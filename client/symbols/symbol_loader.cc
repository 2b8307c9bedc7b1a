#include "client/symbols/symbol_loader.h"

#include <algorithm>

#include "client/symbols/export_symbols.h"

namespace longwire {
namespace {

RvaReader FileReader(const PeFile& file) {
  return [&file](std::uint32_t rva, std::span<std::byte> out) { return file.Read(rva, out); };
}

}  // namespace

void SymbolLoader::Trace(const std::string& line) const {
  if (options_.noisy && trace_) trace_(line);
}

void SymbolLoader::Warn(const std::string& line) const {
  if (trace_) trace_(line);
}

RvaReader SymbolLoader::TargetReader(const Module& module) const {
  const std::uint64_t base = module.base(), size = module.size();
  return [this, base, size](std::uint32_t rva, std::span<std::byte> out) -> std::size_t {
    if (!memory_ || rva >= size) return 0;
    return memory_(base + rva,
                   out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size - rva))));
  };
}

void SymbolLoader::Load(Module& module) const { Load(module, TargetReader(module)); }

void SymbolLoader::Load(Module& module, const RvaReader& target_reader) const {
  if (module.state() != SymbolState::kDeferred) return;
  FindImageFile(module);
  FindIdentity(module, target_reader);
  if (LoadPdb(module)) return;
  if (!options_.exact && LoadExports(module, target_reader)) {
    Warn("*** ERROR: Symbol file could not be found.  Defaulted to export symbols for " +
         module.image_name() + " - ");
    return;
  }
  module.state_ = SymbolState::kNone;
  Warn("*** ERROR: Module load completed but symbols could not be loaded for " + module.image_name());
  Trace("DBGHELP: " + module.name() + " - no symbols loaded");
}

void SymbolLoader::FindImageFile(Module& module) const {
  if (module.image_searched_) return;
  module.image_searched_ = true;
  if (module.timestamp() == 0 || module.image_name().empty()) return;
  const SearchTrace trace = [this](std::string_view line) { Trace(std::string(line)); };
  for (const SymbolPath* path : {&image_path_, &symbol_path_}) {
    const auto size = static_cast<std::uint32_t>(module.size());
    auto file = FindImage(*path, module.image_name(), module.timestamp(), size, trace);
    if (!file) continue;
    auto opened = PeFile::Open(*file);
    if (!opened) continue;
    module.image_ = *std::move(opened);
    module.headers_ = std::make_unique<PeHeaders>(module.image_->headers());
    return;
  }
}

void SymbolLoader::FindIdentity(Module& module, const RvaReader& target_reader) const {
  if (module.image_) {
    if (auto identity = ReadPdbIdentity(module.image_->headers(), FileReader(*module.image_))) {
      module.identity_ = std::make_unique<PdbIdentity>(*std::move(identity));
      return;
    }
  }
  auto headers = ParsePeHeaders(target_reader);
  if (!headers) {
    module.load_error_ =
        "Unable to read image header for " + module.image_name() + ": " + headers.error().message;
    return;
  }
  auto identity = ReadPdbIdentity(*headers, target_reader);
  if (!module.headers_) module.headers_ = std::make_unique<PeHeaders>(*std::move(headers));
  if (identity)
    module.identity_ = std::make_unique<PdbIdentity>(*std::move(identity));
  else
    module.load_error_ = module.image_name() + ": " + identity.error().message;
}

bool SymbolLoader::LoadPdb(Module& module) const {
  if (!module.identity_) return false;
  const SearchTrace trace = [this](std::string_view line) { Trace(std::string(line)); };
  auto file = FindPdb(symbol_path_, *module.identity_, module.image_name(), options_.load_anything, trace);
  if (!file && module.image_) {
    // A PDB next to the image that was found, as a build leaves it.
    const std::string& image = module.image_->path();
    if (auto beside = SymbolPath::Parse(image.substr(0, image.rfind('/') + 1)))
      if (auto found = FindPdb(*beside, *module.identity_, "", options_.load_anything, trace)) file = found;
  }
  if (!file) {
    module.load_error_ = file.error().message;
    return false;
  }
  auto opened = OpenPdb(*file);
  if (!opened) {
    module.load_error_ = opened.error().message;
    Trace("DBGHELP: " + *file + " - " + opened.error().message);
    return false;
  }
  module.symbols_ = *std::move(opened);
  module.symbol_path_ = *file;
  module.load_error_.clear();
  module.mismatched_ = !(module.symbols_->identity() == *module.identity_);
  const bool has_private = module.symbols_->has_private_symbols();
  module.state_ = has_private ? SymbolState::kPrivatePdb : SymbolState::kPdb;
  if (module.mismatched_) Warn("*** WARNING: Unable to verify timestamp for " + module.image_name());
  Trace("DBGHELP: " + module.name() + (has_private ? " - private symbols & lines" : " - public symbols"));
  return true;
}

bool SymbolLoader::LoadExports(Module& module, const RvaReader& target_reader) const {
  if (!module.headers_) return false;
  const auto exports = module.image_ ? ReadExports(module.image_->headers(), FileReader(*module.image_))
                                     : ReadExports(*module.headers_, target_reader);
  if (!exports || exports->empty()) return false;
  module.symbols_ = MakeExportSymbols(*exports, module.identity_ ? *module.identity_ : PdbIdentity{});
  module.symbol_path_ = module.image_ ? module.image_->path() : "";
  module.state_ = SymbolState::kExport;
  Trace("DBGHELP: " + module.name() + " - export symbols");
  return true;
}

Result<const PeHeaders*> SymbolLoader::Headers(Module& module) const {
  if (!module.headers_) FindImageFile(module);
  if (!module.headers_) {
    auto headers = ParsePeHeaders(TargetReader(module));
    if (!headers)
      return Error{Errc::kNotFound, "no image header of " + module.name() + ": " + headers.error().message};
    module.headers_ = std::make_unique<PeHeaders>(*std::move(headers));
  }
  return module.headers_.get();
}

std::size_t SymbolLoader::ReadImage(Module& module, std::uint32_t rva, std::span<std::byte> out) const {
  FindImageFile(module);
  std::size_t done = module.image_ ? module.image_->Read(rva, out) : 0;
  if (done < out.size())
    done += TargetReader(module)(rva + static_cast<std::uint32_t>(done), out.subspan(done));
  return done;
}

}  // namespace longwire

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/symbols/symbol_file.h"
#include "proto/error.h"

namespace longwire {

/// Symbol records and C13 line information of one compiland; empty if it has none.
struct PdbModuleStream {
  std::span<const std::uint8_t>
      symbols;  ///< starts at the stream's offset 0, so that S_PROCREF offsets index it
  std::span<const std::uint8_t> lines;
};

/// Piece of a section that one compiland contributed.
struct PdbContribution {
  std::uint32_t rva = 0, size = 0;
  std::uint32_t module = 0;
};

/// The streams of a PDB as checked byte ranges: multi-stream file and debug-information stream are read by
/// LLVM, which no other header of this room mentions. Spans live as long as the container. Not thread-safe.
class PdbContainer {
 public:
  static Result<std::unique_ptr<PdbContainer>> Open(const std::string& path);
  virtual ~PdbContainer() = default;

  virtual const PdbIdentity& identity() const = 0;
  virtual std::uint16_t machine() const = 0;                         ///< IMAGE_FILE_MACHINE
  virtual bool stripped() const = 0;                                 ///< private symbols were removed
  virtual std::span<const std::uint8_t> types() const = 0;           ///< the whole TPI stream; may be empty
  virtual std::span<const std::uint8_t> symbol_records() const = 0;  ///< may be empty
  virtual std::size_t module_count() const = 0;
  virtual PdbModuleStream Module(std::size_t index) const = 0;
  virtual const std::vector<PdbContribution>& contributions() const = 0;  ///< sorted by RVA
  /// RVA of section:offset in the final image, after OMAP translation; nullopt if it is in none.
  virtual std::optional<std::uint32_t> Rva(std::uint16_t section, std::uint32_t offset) const = 0;
  /// Text of the string table (`/names`) at an offset; empty if there is none.
  virtual std::string_view String(std::uint32_t offset) const = 0;
};

/// Name without decoration, arguments or access (llvm::demangle); the text itself if it is not an MSVC C++
/// name.
std::string UndecorateCxxName(std::string_view decorated);

}  // namespace longwire

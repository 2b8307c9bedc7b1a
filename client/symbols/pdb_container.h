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
  ~PdbContainer();
  PdbContainer(const PdbContainer&) = delete;
  PdbContainer& operator=(const PdbContainer&) = delete;

  const PdbIdentity& identity() const;
  std::uint16_t machine() const;                         ///< IMAGE_FILE_MACHINE
  bool stripped() const;                                 ///< private symbols were removed
  std::span<const std::uint8_t> types() const;           ///< the whole TPI stream; may be empty
  std::span<const std::uint8_t> symbol_records() const;  ///< may be empty
  std::size_t module_count() const;
  PdbModuleStream Module(std::size_t index) const;
  const std::vector<PdbContribution>& contributions() const;  ///< sorted by RVA
  /// RVA of section:offset in the final image, after OMAP translation; nullopt if it is in none.
  std::optional<std::uint32_t> Rva(std::uint16_t section, std::uint32_t offset) const;
  /// Text of the string table (`/names`) at an offset; empty if there is none.
  std::string_view String(std::uint32_t offset) const;

 private:
  // Not an abstract class: the implementation is compiled without RTTI, which sanitizers need on polymorphic
  // objects.
  class Streams;
  explicit PdbContainer(std::unique_ptr<Streams> streams);
  std::unique_ptr<Streams> streams_;
};

/// Name without decoration, arguments or access (llvm::demangle); the text itself if it is not an MSVC C++
/// name.
std::string UndecorateCxxName(std::string_view decorated);

}  // namespace longwire

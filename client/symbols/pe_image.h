#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/symbols/symbol_file.h"
#include "proto/error.h"

namespace longwire {

struct PeSection {
  std::string name;
  std::uint32_t rva = 0, virtual_size = 0, file_offset = 0, file_size = 0, characteristics = 0;
};

struct PeDirectory {
  std::uint32_t rva = 0, size = 0;
};

/// Headers of a PE image, from a file or from target memory.
struct PeHeaders {
  std::uint16_t machine = 0;
  std::uint32_t timestamp = 0, size_of_image = 0, checksum = 0, entry_point = 0;
  std::uint64_t image_base = 0;
  bool is_64bit = true;
  std::vector<PeDirectory> directories;  ///< at most 16
  std::vector<PeSection> sections;       ///< at most 96
};

/// Reads up to out.size() bytes at an RVA of the image; returns the readable prefix's length.
using RvaReader = std::function<std::size_t(std::uint32_t rva, std::span<std::byte> out)>;

Result<PeHeaders> ParsePeHeaders(const RvaReader& read);
/// From the debug directory's RSDS record; kNotFound if the image has none.
Result<PdbIdentity> ReadPdbIdentity(const PeHeaders& headers, const RvaReader& read);
/// True when the debug directory holds a reproducible-build entry (type 16): the time stamp is a hash.
bool IsReproducibleBuild(const PeHeaders& headers, const RvaReader& read);
struct PeExport {
  std::string name;
  std::uint32_t rva = 0;
};
Result<std::vector<PeExport>> ReadExports(const PeHeaders& headers, const RvaReader& read);

/// An image file, mapped; RVAs are read through the section table.
class PeFile {
 public:
  static Result<std::unique_ptr<PeFile>> Open(const std::string& path);
  virtual ~PeFile() = default;
  virtual const PeHeaders& headers() const = 0;
  virtual const std::string& path() const = 0;
  virtual std::size_t Read(std::uint32_t rva, std::span<std::byte> out) const = 0;
};

}  // namespace longwire

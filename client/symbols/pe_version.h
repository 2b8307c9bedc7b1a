#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "client/symbols/pe_image.h"
#include "proto/error.h"

namespace longwire {

/// The version resource of an image, as `lmv` shows it (engine.md 3.3).
struct PeVersion {
  std::uint64_t file_version = 0, product_version = 0;  ///< four 16-bit parts, most significant first
  std::uint32_t flags_mask = 0, flags = 0, os = 0, type = 0, subtype = 0;
  std::uint64_t date = 0;
  std::vector<std::pair<std::uint16_t, std::uint16_t>> translations;  ///< language, code page
  std::vector<std::pair<std::string, std::string>> strings;  ///< of the first string table, in file order
};

/// Reads resource type 16 (RT_VERSION). kNotFound if the image has none, kMalformed, kUnreadable.
Result<PeVersion> ReadPeVersion(const PeHeaders& headers, const RvaReader& read);
/// "10.0.19041.546"
std::string FormatVersion(std::uint64_t version);

}  // namespace longwire

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/dump/kernel_header.h"

namespace longwire::dump {

inline constexpr std::uint64_t kPageBytes = 0x1000;

/// Where in the file a page of physical memory is. Sizes are those of the payload's tables, whatever the dump
/// holds.
class PageMap {
 public:
  /// Raw pages of the header's runs (engine.md 1.4).
  static Result<PageMap> OfRuns(const DumpFile& file, const KernelHeader& header);
  /// `SDMP`/`FDMP` and a bitmap (engine.md 1.5).
  static Result<PageMap> OfBitmap(const DumpFile& file, const KernelHeader& header);
  /// `RDMP` and ranges (engine.md 1.6).
  static Result<PageMap> OfRanges(const DumpFile& file, const KernelHeader& header);

  /// File offset of the page with number `page`, if the dump has it.
  std::optional<std::uint64_t> Find(std::uint64_t page) const;
  std::uint64_t pages() const { return pages_; }
  const std::string& warning() const { return warning_; }  ///< what is missing of the file; may be empty

 private:
  struct Range {
    std::uint64_t first_page = 0, pages = 0, offset = 0;
  };
  Result<void> Append(std::uint64_t first_page, std::uint64_t pages, std::uint64_t& offset);
  Result<void> Finish(const DumpFile& file);

  std::vector<Range> ranges_;  ///< by first page
  std::vector<std::uint64_t> bits_;
  std::vector<std::uint64_t> rank_;  ///< set bits before each group of 8 words
  std::uint64_t first_offset_ = 0;   ///< of the first page of the bitmap
  std::uint64_t pages_ = 0;
  std::string warning_;
};

}  // namespace longwire::dump

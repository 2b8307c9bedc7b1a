#include "proto/dump/page_map.h"

#include <algorithm>
#include <bit>

namespace longwire::dump {
namespace {

constexpr std::uint64_t kMaxPage = std::uint64_t{1} << 40;         // 52 bits of physical address
constexpr std::uint64_t kMaxBitmapPages = std::uint64_t{1} << 32;  // 16 TiB of memory, 512 MiB of bitmap
constexpr std::size_t kMaxRanges = 1u << 20;
constexpr std::size_t kWordsPerGroup = 8;

Error Damaged(const char* what) {
  return {Errc::kMalformed,
          std::string("the dump is damaged: ") + what + "; copy it again or take another one"};
}

}  // namespace

Result<void> PageMap::Append(std::uint64_t first_page, std::uint64_t pages, std::uint64_t& offset) {
  if (first_page >= kMaxPage || pages > kMaxPage - first_page)
    return Damaged("a range of pages lies beyond any memory");
  ranges_.push_back({first_page, pages, offset});
  offset += pages * kPageBytes;
  pages_ += pages;
  return {};
}

/// Ranges may come in any order but must not overlap: a page has one place.
Result<void> PageMap::Finish(const DumpFile& file) {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.first_page < b.first_page; });
  for (std::size_t i = 1; i < ranges_.size(); ++i) {
    if (ranges_[i].first_page < ranges_[i - 1].first_page + ranges_[i - 1].pages)
      return Damaged("two ranges of pages overlap");
  }
  std::uint64_t end = 0;
  for (const Range& range : ranges_) end = std::max(end, range.offset + range.pages * kPageBytes);
  if (end > file.size())
    warning_ = "the dump is cut: " + std::to_string((end - file.size()) >> 10) + " KiB of memory are missing";
  return {};
}

Result<PageMap> PageMap::OfRuns(const DumpFile& file, const KernelHeader& header) {
  if (header.runs.empty()) return Damaged("it holds no list of its memory");
  PageMap map;
  std::uint64_t offset = header.payload;
  for (const KernelHeader::Run& run : header.runs) {
    if (auto added = map.Append(run.first_page, run.pages, offset); !added) return added.error();
  }
  if (auto done = map.Finish(file); !done) return done.error();
  return map;
}

Result<PageMap> PageMap::OfRanges(const DumpFile& file, const KernelHeader& header) {
  const kd::Bytes head = file.ReadBytes(header.payload, 0x30);
  const std::uint64_t metadata = kd::Load64(head, 0x10);
  std::uint64_t offset = kd::Load64(head, 0x18);
  if (head.size() < 0x30 || kd::Load32(head, 0) != 0x40 || offset != metadata + header.payload + 0x20 ||
      offset > file.size())
    return Damaged("its page ranges (RDMP) contradict themselves");
  const std::uint64_t begin = header.payload + 0x30;
  if (offset < begin || (offset - begin) / 16 > kMaxRanges)
    return Damaged("its list of page ranges is too long");
  const kd::Bytes list = file.ReadBytes(begin, static_cast<std::size_t>(offset - begin));
  PageMap map;
  for (std::size_t at = 0; at + 16 <= list.size(); at += 16) {
    const std::uint64_t page = kd::Load64(list, at), count = kd::Load64(list, at + 8);
    if (page == 0 || count == 0) break;
    if (auto added = map.Append(page, count, offset); !added) return added.error();
  }
  if (map.ranges_.empty()) return Damaged("its list of page ranges is empty");
  if (auto done = map.Finish(file); !done) return done.error();
  return map;
}

Result<PageMap> PageMap::OfBitmap(const DumpFile& file, const KernelHeader& header) {
  const kd::Bytes head = file.ReadBytes(header.payload, 0x38);
  const std::uint64_t pages = kd::Load64(head, 0x30), present = kd::Load64(head, 0x28);
  PageMap map;
  map.first_offset_ = kd::Load64(head, 0x20);
  const std::uint64_t bitmap_end = header.payload + 0x38 + (pages + 7) / 8;
  if (head.size() < 0x38 || pages == 0 || pages > kMaxBitmapPages || map.first_offset_ < bitmap_end ||
      map.first_offset_ > bitmap_end + kPageBytes)
    return Damaged("its bitmap of pages contradicts its header");
  if (!file.Holds(header.payload + 0x38, (pages + 7) / 8))
    return Damaged("it is cut inside its bitmap of pages");
  const kd::Bytes bytes = file.ReadBytes(header.payload + 0x38, static_cast<std::size_t>((pages + 7) / 8));
  map.bits_.resize((pages + 63) / 64);
  for (std::size_t i = 0; i < map.bits_.size(); ++i) map.bits_[i] = kd::Load64(bytes, i * 8);
  if (pages % 64 != 0) map.bits_.back() &= (std::uint64_t{1} << (pages % 64)) - 1;
  for (std::size_t i = 0; i < map.bits_.size(); ++i) {
    if (i % kWordsPerGroup == 0) map.rank_.push_back(map.pages_);
    map.pages_ += static_cast<std::uint64_t>(std::popcount(map.bits_[i]));
  }
  if (map.pages_ != present)
    map.warning_ = "the dump's bitmap names " + std::to_string(map.pages_) + " pages, its header " +
                   std::to_string(present);
  const std::uint64_t end = map.first_offset_ + map.pages_ * kPageBytes;
  if (end > file.size())
    map.warning_ =
        "the dump is cut: " + std::to_string((end - file.size()) >> 10) + " KiB of memory are missing";
  return map;
}

std::optional<std::uint64_t> PageMap::Find(std::uint64_t page) const {
  if (!bits_.empty()) {
    const std::uint64_t word = page / 64;
    if (word >= bits_.size() || (bits_[word] >> (page % 64) & 1) == 0) return std::nullopt;
    std::uint64_t before = rank_[word / kWordsPerGroup];
    for (std::uint64_t i = word / kWordsPerGroup * kWordsPerGroup; i < word; ++i)
      before += static_cast<std::uint64_t>(std::popcount(bits_[i]));
    before +=
        static_cast<std::uint64_t>(std::popcount(bits_[word] & ((std::uint64_t{1} << (page % 64)) - 1)));
    return first_offset_ + before * kPageBytes;
  }
  auto range = std::upper_bound(ranges_.begin(), ranges_.end(), page,
                                [](std::uint64_t wanted, const Range& at) { return wanted < at.first_page; });
  if (range == ranges_.begin()) return std::nullopt;
  --range;
  if (page - range->first_page >= range->pages) return std::nullopt;
  return range->offset + (page - range->first_page) * kPageBytes;
}

}  // namespace longwire::dump

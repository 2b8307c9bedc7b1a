#include "proto/dump/memory_windows.h"

#include <algorithm>
#include <set>

namespace longwire::dump {

bool MemoryWindows::Add(const DumpFile& file, std::uint64_t address, std::uint64_t offset,
                        std::uint64_t size) {
  if (offset >= file.size()) return false;
  size = std::min(size, file.size() - offset);
  if (size == 0 || address + size < address) return false;
  added_.push_back({address, offset, size});
  return true;
}

/// A sweep over all borders: between two of them the window added first of those that are open counts.
void MemoryWindows::Seal() {
  struct Border {
    std::uint64_t address;
    std::size_t window;
    bool opens;
  };
  std::vector<Border> borders;
  borders.reserve(2 * added_.size());
  for (std::size_t i = 0; i < added_.size(); ++i) {
    borders.push_back({added_[i].address, i, true});
    borders.push_back({added_[i].address + added_[i].size, i, false});
  }
  std::sort(borders.begin(), borders.end(),
            [](const Border& a, const Border& b) { return a.address < b.address; });
  pieces_.clear();
  std::set<std::size_t> open;
  for (std::size_t i = 0; i < borders.size(); ++i) {
    if (borders[i].opens) {
      open.insert(borders[i].window);
    } else {
      open.erase(borders[i].window);
    }
    if (open.empty() || borders[i + 1].address == borders[i].address) continue;
    const Window& window = added_[*open.begin()];
    const std::uint64_t from = borders[i].address;
    pieces_.push_back({from, window.offset + (from - window.address), borders[i + 1].address - from});
  }
}

std::size_t MemoryWindows::Read(const DumpFile& file, std::uint64_t address, std::span<std::byte> out) const {
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), address,
                                [](std::uint64_t at, const Window& a) { return at < a.address; });
  if (piece == pieces_.begin()) return 0;
  --piece;
  std::size_t done = 0;
  for (; piece != pieces_.end() && done < out.size(); ++piece) {
    const std::uint64_t at = address + done;
    if (at < piece->address || at - piece->address >= piece->size) break;
    const std::uint64_t inside = at - piece->address;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - done, piece->size - inside));
    const std::size_t read = file.Read(piece->offset + inside, out.subspan(done, wanted));
    done += read;
    if (read < wanted) break;
  }
  return done;
}

}  // namespace longwire::dump

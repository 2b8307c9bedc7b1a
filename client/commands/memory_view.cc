#include "client/commands/memory_view.h"

#include <algorithm>

namespace longwire {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

std::uint64_t BytesToPageEnd(std::uint64_t address) { return kPageBytes - address % kPageBytes; }

}  // namespace

Error Cancelled() { return Error{Errc::kCancelled, "cancelled by the user"}; }

bool MemoryView::Known(std::size_t offset, std::size_t size) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset) return false;
  const auto first = known_.begin() + static_cast<std::ptrdiff_t>(offset);
  return std::all_of(first, first + static_cast<std::ptrdiff_t>(size), [](bool known) { return known; });
}

void MemoryView::Fill(std::size_t offset, std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size() && offset + i < bytes_.size(); ++i) {
    bytes_[offset + i] = bytes[i];
    known_[offset + i] = true;
  }
}

bool MemoryView::AnyKnown() const { return std::find(known_.begin(), known_.end(), true) != known_.end(); }

std::optional<std::uint64_t> MemoryView::Unsigned(std::size_t offset, unsigned size) const {
  if (size > 8 || !Known(offset, size)) return std::nullopt;
  std::uint64_t value = 0;
  for (unsigned i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes_[offset + i]);
  return value;
}

Result<MemoryView> ReadView(Session& session, AddressSpace space, std::uint64_t address, std::size_t size) {
  if (size > kMaxViewBytes)
    return Error{Errc::kLimitExceeded, "a command reads at most 4 MB at once; give a shorter range"};
  if (size > 0 && address + (size - 1) < address) size = static_cast<std::size_t>(0 - address);
  MemoryView view(address, size);
  // Readability changes at page borders only: asked for page by page, a hole does not hide what lies behind
  // it.
  std::vector<rpc::ReadRange> pages;
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t part = std::min(BytesToPageEnd(address + done), size - done);
    pages.push_back({address + done, part});
    done += part;
  }
  if (pages.size() > 1) session.target().Prefetch(space, pages);
  for (std::size_t done = 0; done < size;) {
    if (session.interrupt().raised()) return Cancelled();
    const std::size_t left = size - done;
    Result<std::size_t> read =
        session.target().Read(space, address + done, std::span(view.bytes_).subspan(done, left));
    if (!read && read.error().code != Errc::kUnreadable) return read.error();
    const auto learn = [&](std::size_t count) {
      std::fill_n(view.known_.begin() + static_cast<std::ptrdiff_t>(done), count, true);
    };
    const std::size_t got = read ? std::min(*read, left) : 0;
    learn(got);
    done += got;
    if (got == left) break;
    const auto hole =
        static_cast<std::size_t>(std::min<std::uint64_t>(BytesToPageEnd(address + done), size - done));
    if (space == session.address_space())
      learn(session.ReadCodeOfImage(address + done, std::span(view.bytes_).subspan(done, hole)));
    done += hole;
  }
  return view;
}

}  // namespace longwire

#include "transport/stream.h"

namespace longwire {

std::size_t Stream::TryWrite(std::span<const std::byte>) noexcept { return 0; }

Result<void> Stream::SetBaud(std::uint32_t) {
  return Error{Errc::kUnsupported, peer().address + " has no line speed to change."};
}

}  // namespace longwire

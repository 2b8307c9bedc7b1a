#include "transport/stream.h"

namespace longwire {

std::size_t Stream::TryWrite(std::span<const std::byte>) noexcept { return 0; }

}  // namespace longwire

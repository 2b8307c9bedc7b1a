// PE headers, debug directory, exports and version resource of an image whose bytes are the input.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "client/symbols/pe_image.h"
#include "client/symbols/pe_version.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const longwire::RvaReader read = [&](std::uint32_t rva, std::span<std::byte> out) -> std::size_t {
    if (rva >= size) return 0;
    const std::size_t count = std::min(out.size(), size - rva);
    std::memcpy(out.data(), data + rva, count);
    return count;
  };
  const auto headers = longwire::ParsePeHeaders(read);
  if (!headers) return 0;
  (void)longwire::ReadPdbIdentity(*headers, read);
  (void)longwire::IsReproducibleBuild(*headers, read);
  (void)longwire::ReadExports(*headers, read);
  (void)longwire::ReadPeVersion(*headers, read);
  return 0;
}

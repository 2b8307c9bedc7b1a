// Page-table walks over entries of hostile memory: mode, base, address, then one entry per read.
#include <cstdlib>

#include "proto/kd/translation.h"

using namespace longwire::kd;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = std::as_bytes(std::span(data, size));
  if (size < 17) return 0;
  Translation walk(static_cast<PagingMode>(data[0] % 5), Load64(input, 1), Load64(input, 9));
  std::size_t at = 17;
  int reads = 0;
  while (walk.Next().outcome == Translation::Outcome::kRead) {
    if (++reads > 5) std::abort();
    const auto state = walk.Next();
    if (state.length != 4 && state.length != 8) std::abort();
    if (state.address >> 52 != 0) std::abort();
    walk.Supply(input.subspan(at, std::min<std::size_t>(state.length, size - at)));
    at = std::min(size, at + state.length);
  }
  if (walk.Resolved() && (walk.Next().page_size == 0 || walk.Next().address >> 52 != 0)) std::abort();
  return 0;
}

// A walk over an image and a stack made of the input: unwind data, code and return addresses are all hostile.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "client/engine/unwind_epilog.h"
#include "client/engine/unwind_info.h"
#include "client/engine/unwinder.h"

using namespace longwire;

namespace {

constexpr std::uint64_t kBase = 0x140000000;
constexpr std::uint64_t kStack = 0x10000;

std::size_t CopyFrom(std::span<const std::byte> from, std::uint64_t at, std::span<std::byte> out) {
  if (at >= from.size()) return 0;
  const std::size_t size = std::min<std::size_t>(out.size(), from.size() - at);
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), size, out.begin());
  return size;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  if (const Result<UnwindInfo> info = ParseUnwindInfo(bytes); info && info->codes.size() > 255) std::abort();
  DecodeEpilog(bytes, 0, 5, false);
  if (size < 4) return 0;
  // Two bytes: RVA of the instruction pointer; two: where .pdata ends. The image is the input itself, and so
  // is the stack.
  const std::uint32_t rva = data[0] | static_cast<std::uint32_t>(data[1]) << 8;
  const std::uint32_t table_size = data[2] | static_cast<std::uint32_t>(data[3]) << 8;
  const std::span<const std::byte> image = bytes.subspan(4);
  UnwindSource source;
  source.find_module = [](std::uint64_t address) -> std::optional<UnwindModule> {
    if (address - kBase < 0x10000) return UnwindModule{kBase, 0x10000};
    return std::nullopt;
  };
  source.read_image = [&](std::uint64_t, std::uint32_t at, std::span<std::byte> out) {
    return CopyFrom(image, at, out);
  };
  source.read_memory = [&](std::uint64_t address, std::span<std::byte> out) {
    return CopyFrom(image, address >= kBase ? address - kBase : address - kStack, out);
  };
  source.exception_directory = [&](std::uint64_t) {
    return std::optional(std::pair(std::uint32_t{0}, table_size));
  };
  for (const Architecture architecture : {Architecture::kAmd64, Architecture::kX86, Architecture::kArm64}) {
    RegisterSet registers(architecture, std::vector<std::byte>(0x4d0));
    for (const char* name : {"rip", "pc", "eip"}) registers.Set(name, kBase + rva);
    for (const char* name : {"rsp", "rbp", "sp", "fp", "esp", "ebp"}) registers.Set(name, kStack);
    if (WalkStack(registers, source, 64).size() > 64) std::abort();
  }
  return 0;
}

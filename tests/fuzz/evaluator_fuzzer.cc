// The MASM evaluator and the range parser over arbitrary text; memory, symbols and registers answer from the
// input.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "client/engine/evaluator.h"

using namespace longwire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  EvaluationScope scope;
  scope.architecture = data[0] & 1 ? Architecture::kX86 : Architecture::kAmd64;
  scope.sign_extend_32 = data[0] & 2;
  scope.radix = data[0] & 4 ? 10 : data[0] & 8 ? 8 : 16;
  const auto named = [](std::string_view name) -> Result<std::uint64_t> {
    if (name.size() % 3 == 0) return Error{Errc::kNotFound, "not found"};
    return name.size() * 0x1000;
  };
  const auto read = [](std::uint64_t address, std::span<std::byte> out) -> Result<std::size_t> {
    if (address % 7 == 0) return Error{Errc::kUnreadable, "unreadable", address};
    for (std::byte& byte : out) byte = static_cast<std::byte>(address++);
    return address % 5 == 0 ? out.size() / 2 : out.size();
  };
  scope.symbol = named;
  scope.register_value = named;
  scope.read_virtual = read;
  scope.read_physical = read;
  const std::string_view all(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string_view text = all;
  if (EvaluateMasm(text, scope) && text.data() + text.size() != all.data() + all.size()) std::abort();
  text = all;
  const Result<AddressRange> range = ParseRange(text, data[0] >> 4, scope);
  if (range && text.data() + text.size() != all.data() + all.size()) std::abort();
  return 0;
}

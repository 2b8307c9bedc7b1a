// Lines of a recording: what is read is written and read back the same.
#include <cstdlib>

#include "proto/recording/recording.h"

using namespace longwire::recording;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto entry = ParseEntry(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!entry) return 0;
  const auto again = ParseEntry(FormatEntry(*entry));
  if (!again || again->kind != entry->kind || again->bytes != entry->bytes) std::abort();
  return 0;
}

// Driver replacement maps (.kdfiles): what is read is written and read again the same, and is found by its
// names.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "client/engine/driver_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longwire;
  const auto map = ParseDriverMap({reinterpret_cast<const char*>(data), size});
  if (!map) return 0;
  DriverFiles files;
  std::string text;
  for (const DriverFile& file : *map) {
    if (file.target.empty() || file.host.empty()) std::abort();
    text += "map\n" + file.target + "\n" + file.host + "\n";
    if (!files.Add(file)) std::abort();
  }
  const auto again = ParseDriverMap(text);
  if (!again || again->size() != map->size()) std::abort();
  for (const DriverFile& file : *map)
    if (!files.Find(file.target)) std::abort();
  return 0;
}

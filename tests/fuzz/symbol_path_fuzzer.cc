// Symbol paths: what is shown for a path is a path again, and means the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "client/symbols/symbol_path.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using longwire::SymbolPath;
  const auto path = SymbolPath::Parse({reinterpret_cast<const char*>(data), size});
  if (!path) return 0;
  for (const SymbolPath::Element& element : path->elements())
    if (element.stores.empty()) std::abort();
  const auto again = SymbolPath::Parse(path->text());
  if (!again || again->elements().size() != path->elements().size()) std::abort();
  if (again->Expanded() != path->Expanded()) std::abort();
  return 0;
}

// The loaded-module and unloaded-driver lists of a target whose memory is the input: links, lengths and
// buffers are all hostile. The first byte chooses the pointer size.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "client/engine/module_reader.h"
#include "tests/support/fake_target.h"

using namespace longwire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 1 << 14) return 0;
  constexpr std::uint64_t kBase = 0x10000, kUnloadedVariable = kBase + 0x18;
  FakeTarget target;
  target.Map(kBase, std::as_bytes(std::span(data + 1, size - 1)));
  ModuleListAddresses addresses;
  addresses.loaded_list = kBase;
  addresses.kernel_base = 0x1000;
  if (data[0] & 2) addresses.unloaded_array_variable = kUnloadedVariable;
  const auto modules = ReadTargetModules(target, addresses, data[0] & 1 ? 4 : 8);
  if (!modules) return 0;
  if (modules->loaded.size() > 4096 || modules->unloaded.size() > 50) std::abort();
  for (const ModuleRecord& module : modules->loaded)
    if (module.base == 0 || module.size == 0) std::abort();
  return 0;
}

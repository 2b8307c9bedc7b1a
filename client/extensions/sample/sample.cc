// A sample extension: build it with nothing but the two headers,
//     g++ -std=c++20 -shared -fPIC -I DIRECTORY_OF_THE_HEADERS sample.cc -o sample.so
// then `.load ./sample.so` and `!hello nt!PsLoadedModuleList` in the debugger.
#include "longwire_extension.hpp"

namespace {

lw_status Hello(const lw_host* host, lw_session* session, const char* arguments) {
  lw::Debugger debugger(host, session);
  if (*arguments == '\0') {
    debugger.Print("Hello from the sample extension. Give me an address.\n");
    return 0;
  }
  std::optional<std::uint64_t> address = debugger.Evaluate(arguments);
  std::optional<std::uint64_t> value = address ? debugger.ReadPointer(*address) : std::nullopt;
  if (!value) {
    debugger.Error(debugger.LastError());
    return 1;
  }
  lw::Row(debugger, "pointer")
      .Hex("address", *address)
      .Hex("value", *value)
      .End(lw::Text("%s holds %016llx %s", debugger.NameOf(*address).c_str(),
                    static_cast<unsigned long long>(*value), debugger.NameOf(*value).c_str()));
  return 0;
}

const lw_command kCommands[] = {{"hello", "hello [address]", "Shows the pointer at an address.", Hello}};

const lw_extension kExtension = {
    sizeof(lw_extension),
    LW_EXTENSION_VERSION,
    "sample",
    "a sample extension",
    "1.0",
    kCommands,
    1,
    sizeof(lw_command),
    nullptr,
    nullptr,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const lw_extension* longwire_extension_query(uint32_t) {
  return &kExtension;
}

// An extension that is right, or has one thing wrong: VARIANT_... says which.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "longwire_extension.h"

namespace {

/// Appends to the file LW_EXTENSION_TRACE names, which outlives the extension.
void Trace(const char* what) {
  const char* path = std::getenv("LW_EXTENSION_TRACE");
  std::FILE* file = path ? std::fopen(path, "a") : nullptr;
  if (!file) return;
  std::fputs(what, file);
  std::fclose(file);
}

[[maybe_unused]] lw_status Speak(const lw_host* host, lw_session* session, const char* arguments) {
  host->output(session, "variant: ");
  host->output(session, arguments);
  host->output(session, "\n");
  return 0;
}

[[maybe_unused]] lw_status Throw(const lw_host*, lw_session*, const char*) {
  throw std::runtime_error("on purpose");
}

lw_status Fail(const lw_host* host, lw_session* session, const char*) {
  host->error(session, "it went wrong");
  return 4000000;  // no code of the debugger
}

lw_status Load(const lw_host*, lw_session*) {
  Trace("load ");
#ifdef VARIANT_REFUSES
  return 1;
#else
  return 0;
#endif
}

void Unload() { Trace("unload "); }

const lw_command kCommands[] = {
#if defined VARIANT_THROWS
    {"speak", "speak", "Throws.", Throw},
#elif defined VARIANT_NAMELESS
    {nullptr, "speak", "Has no name.", Speak},
#else
    {"speak", "speak TEXT", "Repeats.", Speak},
#endif
    {"fail", "fail", "Fails.", Fail},
};

const lw_extension kExtension = {
    sizeof(lw_extension),
#ifdef VARIANT_NEWER
    LW_EXTENSION_VERSION + 1,
#else
    LW_EXTENSION_VERSION,
#endif
    "variant",
    "a variant",
    "1.0",
    kCommands,
    2,
#ifdef VARIANT_DAMAGED
    sizeof(lw_command) - 8,
#else
    sizeof(lw_command),
#endif
    Load,
    Unload,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const lw_extension* longwire_extension_query(uint32_t) {
  return &kExtension;
}

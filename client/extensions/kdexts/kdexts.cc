// The bundled extension: commands that know NT's kernel structures. It uses the extension interface and
// nothing else.
#include "longwire_extension.h"
#include "processes.h"
#include "threads.h"
#include "virtual_memory.h"

namespace {

lw_status Help(const lw_host* host, lw_session* session, const char*);

const lw_command kCommands[] = {
    {"process", "process [address|pid|0|-1 [flags]] [image]",
     "Shows processes; flags: 1 times, 2 threads, 4 stacks, 8 short stacks.", kdexts::Process},
    {"thread", "thread [address [flags]]", "Shows a thread; flags: 2 waits and details, 4 stack.",
     kdexts::Thread},
    {"vm", "vm [1]", "Shows how much memory there is, and who has it.", kdexts::VirtualMemory},
    {"help", "help", "Lists the commands of this extension.", Help},
};

lw_status Help(const lw_host* host, lw_session* session, const char*) {
  for (const lw_command& command : kCommands) {
    host->output(session, "!");
    host->output(session, command.grammar);
    host->output(session, "\n    ");
    host->output(session, command.help);
    host->output(session, "\n");
  }
  return 0;
}

const lw_extension kExtension = {
    sizeof(lw_extension),
    LW_EXTENSION_VERSION,
    "kdexts",
    "processes, threads and memory of NT kernels",
    LONGWIRE_VERSION,
    kCommands,
    sizeof kCommands / sizeof kCommands[0],
    sizeof(lw_command),
    nullptr,
    nullptr,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const lw_extension* longwire_extension_query(uint32_t) {
  return &kExtension;
}

// What commands cost between client and server and on the KD link, each in a client that was just started.
#include <cstdio>
#include <memory>
#include <string>

#include "tests/support/debug_session.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/test_machine.h"

using namespace longwire;
using namespace longwire::test;

namespace {

/// A client of its own for each command, at the stop of a break-in that was shown to the user.
bool Show(const TestMachine& machine, const KdsrvProcess& server, const std::string& command) {
  SessionOptions options;
  options.symbol_path = machine.symbol_directory();
  std::string error;
  const std::unique_ptr<DebugSession> kd = DebugSession::Open(
      server.KernelStringFor("com:pipe,port=" + machine.socket_path() + ",resets=0,reconnect"), options,
      &error);
  if (!kd) {
    std::fprintf(stderr, "round_trips: %s\n", error.c_str());
    return false;
  }
  const CommandCost stop = kd->ShowStop();
  const CommandCost cost = command.empty() ? stop : kd->Run(command);
  if (!cost.error.empty()) std::fprintf(stderr, "%s: %s", command.c_str(), cost.error.c_str());
  std::printf("%-28s %11llu %8llu %12llu %10llu %9llu\n",
              command.empty() ? "(showing the stop)" : command.c_str(),
              static_cast<unsigned long long>(cost.client.round_trips),
              static_cast<unsigned long long>(cost.client.requests),
              static_cast<unsigned long long>(cost.client.bytes_received + cost.client.bytes_sent),
              static_cast<unsigned long long>(cost.link.bytes_received + cost.link.bytes_sent),
              static_cast<unsigned long long>(cost.link.exchanges));
  return cost.error.empty();
}

}  // namespace

int main() {
  bool good = true;
  for (const char variant : {'a', 'b'}) {
    TestMachineOptions options;
    options.variant = variant;
    options.extra_processes = 200;
    std::string error;
    const std::unique_ptr<TestMachine> machine = TestMachine::Start(options, &error);
    if (!machine) {
      std::fprintf(stderr, "round_trips: %s\n", error.c_str());
      return 1;
    }
    const KdsrvProcess server(KDSRV_PATH);
    std::printf("variant %c\n%-28s %11s %8s %12s %10s %9s\n", variant, "command", "round trips", "requests",
                "client bytes", "link bytes", "exchanges");
    const std::string demo = variant == 'a' ? "lwdemo" : "quartz";
    for (const std::string& command :
         {std::string(), std::string("lm"), std::string(".reload"), std::string("k"), std::string("r"),
          std::string("u"), std::string("dd @rsp"), std::string("dps @rsp"), std::string("lmv m nt"),
          std::string("dt nt!_EPROCESS poi(nt!PsInitialSystemProcess)"),
          "dt " + demo + "!_DEMO_DEVICE " + demo + "!g_Device", "x " + demo + "!g_*",
          std::string("!process 0 0"), std::string("!process 0 7")}) {
      good = Show(*machine, server, command) && good;
    }
  }
  return good ? 0 : 1;
}

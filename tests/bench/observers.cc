// What observers cost the driver: a list of commands alone, and with fifty clients that watch, one of which
// is stopped.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/debug_session.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/observer_crowd.h"
#include "tests/support/test_machine.h"

using namespace longwire;
using namespace longwire::test;

namespace {

constexpr int kCrowd = 49;
constexpr int kRounds = 20;

double Once(DebugSession& kd) {
  const auto begin = std::chrono::steady_clock::now();
  for (const char* command : {"eb lwdemo!g_Answer 0", "k", "lm", "dd @rsp L2000", "u", "!process 0 0"}) {
    const CommandCost cost = kd.Run(command);
    if (!cost.error.empty()) std::fprintf(stderr, "%s: %s", command, cost.error.c_str());
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double Median(DebugSession& kd) {
  Once(kd);
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) rounds.push_back(Once(kd));
  std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
  return rounds[kRounds / 2];
}

int Fail(const std::string& why) {
  std::fprintf(stderr, "observers: %s\n", why.c_str());
  return 1;
}

}  // namespace

int main() {
  std::string error;
  const std::unique_ptr<TestMachine> machine = TestMachine::Start({}, &error);
  if (!machine) return Fail(error);
  const KdsrvProcess server(KDSRV_PATH);
  const std::string kernel = server.KernelStringFor("com:pipe,port=" + machine->socket_path());
  SessionOptions options;
  options.symbol_path = machine->symbol_directory();
  const std::unique_ptr<DebugSession> kd = DebugSession::Open(kernel, options, &error);
  if (!kd) return Fail(error);
  kd->ShowStop();
  const double alone = Median(*kd);
  auto crowd = ObserverCrowd::Open(kernel, kCrowd);
  if (!crowd) return Fail(crowd.error().message);
  ChildProcess frozen({KD_PATH, "-k", kernel, "--observe", "-kqm"}, ChildProcess::Input::kPipe);
  if (!frozen.WaitFor("kd> ")) return Fail(frozen.both());
  frozen.Signal(SIGSTOP);
  const double watched = Median(*kd);
  std::printf(
      "commands alone            %8.2f ms (median of %d)\nwith %d observers        %8.2f ms\nratio        "
      "             %8.3f\n",
      alone, kRounds, kCrowd + 1, watched, watched / alone);
  return 0;
}

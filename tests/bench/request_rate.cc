// Small reads with one in flight: in this process, through a kdsrv on loopback, and through one with a
// password (TLS 1.3).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/halted_target.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/test_machine.h"

using namespace longwire;
using namespace longwire::test;

namespace {

constexpr int kRounds = 5;
constexpr std::size_t kReadBytes = 16;
/// The ways take turns within a round, so that the load of the machine is the same for each.
constexpr int kTurns = 20;

/// One way to a machine of its own, halted.
struct Way {
  const char* name;
  std::unique_ptr<TestMachine> machine;
  std::unique_ptr<KdsrvProcess> server;
  std::unique_ptr<Target> target;
  std::size_t reads = 0;  ///< of the round
  double seconds = 0;     ///< of the round
  std::vector<double> rates;

  double Median() {
    std::sort(rates.begin(), rates.end());
    return rates[rates.size() / 2];
  }
};

bool Open(Way& way, bool through_server, const std::string& password, Interrupt& interrupt) {
  std::string error;
  way.machine = TestMachine::Start({}, &error);
  if (way.machine) {
    std::string kernel = "com:pipe,port=" + way.machine->socket_path() + ",resets=0";
    if (through_server) {
      way.server = std::make_unique<KdsrvProcess>(KDSRV_PATH, password);
      kernel = way.server->KernelStringFor(kernel);
    }
    way.target = OpenHaltedTarget(kernel, interrupt, &error);
  }
  if (!way.target) std::fprintf(stderr, "request_rate: %s: %s\n", way.name, error.c_str());
  return way.target != nullptr;
}

bool TakeTurn(Way& way, std::chrono::duration<double> span) {
  const std::uint64_t address = way.target->stop()->program_counter;
  std::byte out[kReadBytes];
  const auto started = std::chrono::steady_clock::now();
  std::chrono::duration<double> elapsed{};
  while (elapsed < span) {
    const Result<std::size_t> read = way.target->ReadUncached(AddressSpace::Virtual(), address, out);
    if (!read || *read != kReadBytes) return false;
    ++way.reads;
    elapsed = std::chrono::steady_clock::now() - started;
  }
  way.seconds += elapsed.count();
  return true;
}

bool RunRound(std::span<Way> ways, std::chrono::duration<double> span) {
  for (int turn = 0; turn < kTurns; ++turn) {
    for (Way& way : ways) {
      if (!TakeTurn(way, span / kTurns)) return false;
    }
  }
  for (Way& way : ways) {
    way.rates.push_back(static_cast<double>(std::exchange(way.reads, 0)) / std::exchange(way.seconds, 0));
  }
  return true;
}

}  // namespace

/// Usage: request_rate [SECONDS a round]
int main(int argc, char** argv) {
  const std::chrono::duration<double> span(argc > 1 ? std::atof(argv[1]) : 1.0);
  Interrupt interrupt;
  Way ways[3] = {{"in process"}, {"kdsrv, tcp"}, {"kdsrv, tcp, password (TLS 1.3)"}};
  for (int i = 0; i < 3; ++i) {
    if (!Open(ways[i], i > 0, i == 2 ? "correct0horse0battery" : "", interrupt)) return 1;
  }
  for (int round = 0; round < kRounds; ++round) {
    if (!RunRound(ways, span)) return 1;
  }
  const double direct = ways[0].Median();
  for (Way& way : ways) {
    const double median = way.Median();
    std::printf("%-32s median of %d: %7.0f reads/s, %.3f of direct (lowest %.0f, highest %.0f)\n", way.name,
                kRounds, median, median / direct, way.rates.front(), way.rates.back());
  }
  for (Way& way : ways) (void)way.target->Close(true);
  return 0;
}

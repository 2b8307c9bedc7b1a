#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "tests/soak/soak_session.h"
#include "tests/support/fault_line.h"
#include "tests/support/halted_target.h"
#include "tests/support/kd_probe.h"

namespace longwire::test {
namespace {

using Clock = SoakSession::Clock;

struct Arguments {
  long seconds = 100;
  std::uint64_t seed = std::random_device()();
  double rate = 0.1;
  std::uint64_t least = 0;  ///< operations; a slow machine takes longer for them
  long slow = 0;            ///< milliseconds of an operation whose packets are shown; 0: none
};

constexpr char kUsage[] =
    "usage: lw_fault_soak [--seconds N] [--seed N] [--rate SHARE] [--least OPERATIONS] [--slow MS]\n"
    "Random operations on the test machine through a line that hits SHARE (0.1) of its packets,\n"
    "for N seconds and at least OPERATIONS.\n";

bool Parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--seconds") {
      arguments.seconds = std::atol(argv[i + 1]);
    } else if (key == "--seed") {
      arguments.seed = std::strtoull(argv[i + 1], nullptr, 0);
    } else if (key == "--rate") {
      arguments.rate = std::atof(argv[i + 1]);
    } else if (key == "--least") {
      arguments.least = std::strtoull(argv[i + 1], nullptr, 0);
    } else if (key == "--slow") {
      arguments.slow = std::atol(argv[i + 1]);
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

/// Raises the interrupt when no operation ends for so long that it hangs.
class Watchdog {
 public:
  explicit Watchdog(Interrupt& interrupt) : interrupt_(interrupt), thread_([this] { Run(); }) {}
  ~Watchdog() {
    stopping_ = true;
    thread_.join();
  }
  void Feed() { fed_ = Clock::now().time_since_epoch().count(); }

 private:
  void Run() {
    while (!stopping_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      const Clock::time_point fed{Clock::duration(fed_)};
      if (Clock::now() - fed > std::chrono::seconds(240)) interrupt_.Raise();
    }
  }
  Interrupt& interrupt_;
  std::atomic<bool> stopping_{false};
  std::atomic<Clock::rep> fed_{Clock::now().time_since_epoch().count()};
  std::thread thread_;
};

void Show(const Arguments& arguments, const SoakSession::Tally& tally, const FaultCounts& faults) {
  std::uint64_t done = 0;
  for (const auto& [name, count] : tally.done) done += count;
  std::printf(
      "seed %llu: %llu operations, %llu answered, %llu errors; %llu stops, %llu stray, %llu restarts, "
      "%llu losses, %llu outputs lost in a reset; slowest %lld ms (%s)\n",
      static_cast<unsigned long long>(arguments.seed), static_cast<unsigned long long>(tally.operations),
      static_cast<unsigned long long>(done), static_cast<unsigned long long>(tally.errors),
      static_cast<unsigned long long>(tally.stops), static_cast<unsigned long long>(tally.stray_stops),
      static_cast<unsigned long long>(tally.restarts), static_cast<unsigned long long>(tally.losses),
      static_cast<unsigned long long>(tally.lost_outputs), static_cast<long long>(tally.slowest.count()),
      tally.slowest_name.c_str());
  std::printf("%llu packets, %llu hit:", static_cast<unsigned long long>(faults.packets),
              static_cast<unsigned long long>(faults.total()));
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    std::printf(" %llu %s", static_cast<unsigned long long>(faults.hit[i]), FaultName(static_cast<Fault>(i)));
  }
  std::printf("\n");
  for (const auto& [name, count] : tally.done)
    std::printf("  %6llu %s\n", static_cast<unsigned long long>(count), name.c_str());
  for (const auto& [name, count] : tally.errors_by_name)
    std::printf("  error %llu x %s\n", static_cast<unsigned long long>(count), name.c_str());
  std::fflush(stdout);
}

int Failed(const Arguments& arguments, const std::string& what) {
  std::fprintf(stderr, "soak: seed %llu: %s\n", static_cast<unsigned long long>(arguments.seed),
               what.c_str());
  return 1;
}

int Run(const Arguments& arguments) {
  std::string error;
  TestMachineOptions options;
  options.variant = arguments.seed % 2 == 0 ? 'a' : 'b';
  options.break_at_boot = true;
  options.ack_timeout_ms = 60;
  const auto machine = TestMachine::Start(options, &error);
  if (!machine) return Failed(arguments, error);
  const std::optional<KnownMachine> known = LookAt(*machine);
  if (!known) return Failed(arguments, "the machine could not be looked at");

  FaultLine line(machine->socket_path() + "-line", machine->socket_path(), arguments.seed);
  Interrupt interrupt;
  const std::unique_ptr<Target> target = OpenHaltedTarget(
      "com:pipe,port=" + machine->socket_path() + "-line,resets=0,reconnect", interrupt, &error);
  if (!target) return Failed(arguments, error);
  SoakSession session(*target, *known, arguments.seed);
  Watchdog watchdog(interrupt);
  const auto end = Clock::now() + std::chrono::seconds(arguments.seconds);
  line.SetRate(arguments.rate);
  bool good = true;
  while (good && (Clock::now() < end || session.tally().operations < arguments.least)) {
    watchdog.Feed();
    const auto started = Clock::now();
    good = session.Operate();
    if (arguments.slow != 0 && Clock::now() - started > std::chrono::milliseconds(arguments.slow))
      std::printf("slow: %s\n%s\n", session.name(), line.history().c_str());
  }
  const std::string history = good ? std::string() : line.history();
  line.SetRate(0);
  watchdog.Feed();
  if (good) good = session.Finish();
  Show(arguments, session.tally(), line.counts());
  if (!good) return Failed(arguments, session.failure() + "\nThe last packets:\n" + history);
  if (!target->Close(true)) return Failed(arguments, "the target could not be given back");
  return 0;
}

}  // namespace
}  // namespace longwire::test

int main(int argc, char** argv) {
  longwire::test::Arguments arguments;
  if (!longwire::test::Parse(argc, argv, arguments)) {
    std::fputs(longwire::test::kUsage, stderr);
    return 2;
  }
  return longwire::test::Run(arguments);
}

#include "tests/support/paced_read.h"

#include <chrono>
#include <vector>

#include "tests/support/halted_target.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/line_pacer.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kMappedMemory =
    0xFFFF800000100000;  // physical memory of the test machine, from 1 MiB on

}  // namespace

std::optional<double> PacedReadRate(char variant, std::size_t bytes, const std::string& server,
                                    std::string* error) {
  TestMachineOptions options;
  options.variant = variant;
  // The machine's UART takes a packet at once and hands it to the line, so the machine waits for the
  // acknowledge while its packet still passes.
  options.ack_timeout_ms = 2000;
  const std::unique_ptr<TestMachine> machine = TestMachine::Start(options, error);
  if (!machine) return std::nullopt;
  const std::string line = machine->socket_path() + "-line";
  const LinePacer pacer(line, machine->socket_path(), kPacedBaud);
  std::string kernel = "com:pipe,port=" + line + ",baud=115200,resets=0";
  std::optional<KdsrvProcess> process;
  if (!server.empty()) kernel = process.emplace(server).KernelStringFor(kernel);
  Interrupt interrupt;
  const std::unique_ptr<Target> target = OpenHaltedTarget(kernel, interrupt, error);
  if (!target) return std::nullopt;

  std::vector<std::byte> out(bytes);
  const auto started = std::chrono::steady_clock::now();
  const Result<std::size_t> read = target->ReadUncached(AddressSpace::Virtual(), kMappedMemory, out);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
  if (!read || *read != bytes) {
    *error = read ? "only " + std::to_string(*read) + " bytes could be read" : read.error().message;
    return std::nullopt;
  }
  return static_cast<double>(bytes) / elapsed.count();
}

}  // namespace longwire::test

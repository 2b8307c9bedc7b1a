#ifndef TESTS_CONTRACT_TARGET_MACHINE_FIXTURE_H_
#define TESTS_CONTRACT_TARGET_MACHINE_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/kd_probe.h"
#include "tests/support/test_machine.h"

namespace longwire::test {

using std::chrono::milliseconds;

inline constexpr uint32_t kUnsuccessful = 0xC0000001;
inline constexpr uint32_t kContinue = 0x00010002, kHandled = 0x00010001, kNotHandled = 0x80010001;
inline constexpr size_t kRipOffset = 0xF8, kRspOffset = 0x98, kEFlagsOffset = 0x44;

// Commands of the demo driver (tests/target/drivers/demo.h).
inline constexpr uint32_t kPrint = 1, kPrompt = 2, kBreak = 3, kBugCheck = 4, kFaultHandled = 5,
                          kFaultUnhandled = 6, kLoadDriver = 7, kUnloadDriver = 8, kPrintBurst = 9,
                          kSpawnProcesses = 10, kRestart = 11, kLoadDriverRemote = 12, kPrintLong = 13,
                          kAssert = 14, kDivide = 15;

/// Boots one machine per test, in both variants.
class MachineTest : public ::testing::TestWithParam<char> {
 protected:
  /// A machine with a connected probe; nothing has been read yet.
  void Boot(TestMachineOptions options) {
    options.variant = GetParam();
    options.boot_when_connected = true;
    std::string error;
    machine_ = TestMachine::Start(options, &error);
    ASSERT_NE(machine_, nullptr) << error;
    const int fd = machine_->Connect();
    ASSERT_GE(fd, 0);
    kd_ = std::make_unique<KdProbe>(fd);
  }

  /// A machine stopped at the end of its boot; stop_ is the acknowledged state change.
  /// The kernel's patience is longer than its default here, lest a busy host sees packets twice.
  void BootStopped(unsigned ack_timeout_ms = 1000) {
    ASSERT_NO_FATAL_FAILURE(Boot({.break_at_boot = true, .ack_timeout_ms = ack_timeout_ms}));
    auto stop = kd_->WaitForStop();
    ASSERT_TRUE(stop.has_value());
    stop_ = *stop;
  }

  /// Leaves a command for the driver and resumes. The machine must be stopped at an int 3 instruction.
  void RunCommand(uint32_t command, uint64_t argument = 0) {
    PostCommand(command, argument);
    ASSERT_TRUE(kd_->ContinueOverBreak());
  }

  void PostCommand(uint32_t command, uint64_t argument) {
    const uint64_t mailbox = kd_->FindExport("g_Command"), value = kd_->FindExport("g_CommandArgument");
    ASSERT_NE(mailbox, 0u);
    Bytes bytes(8);
    Store64(&bytes, 0, argument);
    ASSERT_EQ(kd_->Write(value, bytes).status, 0u);
    bytes.resize(4);
    Store32(&bytes, 0, command);
    ASSERT_EQ(kd_->Write(mailbox, bytes).status, 0u);
  }

  static uint32_t Code(const Bytes& stop) { return Load32(stop, 0x20); }
  static uint64_t Pc(const Bytes& stop) { return Load64(stop, 0x18); }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<KdProbe> kd_;
  Bytes stop_;
};

inline std::string VariantName(const ::testing::TestParamInfo<char>& info) { return {info.param}; }

}  // namespace longwire::test

#endif  // TESTS_CONTRACT_TARGET_MACHINE_FIXTURE_H_

// What becomes of a session when target or line fail: the state it ends in, and the message that names why.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <thread>

#include "tests/support/fault_line.h"
#include "tests/support/halted_target.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;
using rpc::TargetState;
using std::chrono::seconds;

/// Generous: every wait ends long before, unless it never ends.
constexpr seconds kPatience{60};

class LineConditions : public testing::Test {
 protected:
  void SetUp() override {
    std::string error;
    machine_ = TestMachine::Start({.ack_timeout_ms = 500}, &error);
    ASSERT_TRUE(machine_) << error;
    path_ = machine_->socket_path() + "-line";
    line_ = std::make_unique<FaultLine>(path_, machine_->socket_path(), 1);
    target_ = OpenHaltedTarget("com:pipe,port=" + path_ + ",resets=0,reconnect", interrupt_, &error);
    ASSERT_TRUE(target_) << error;
  }
  void TearDown() override {
    if (target_) (void)target_->Close(true);
  }

  /// Takes events until `done`; what they said is in text_.
  bool WaitUntil(const std::function<bool()>& done) {
    const auto deadline = Clock::now() + kPatience;
    while (!done()) {
      Result<std::optional<rpc::Event>> event = target_->WaitEvent(deadline);
      if (!event || !*event) return false;
      Note(**event);
    }
    return true;
  }
  /// What is there by now.
  bool TakeEvents() {
    for (;;) {
      Result<std::optional<rpc::Event>> event = target_->WaitEvent(Clock::now());
      if (!event || !*event) return event.has_value();
      Note(**event);
    }
  }
  void Note(const rpc::Event& event) {
    if (const auto* link = std::get_if<rpc::LinkChanged>(&event)) text_ += link->text + "\n";
    if (const auto* stop = std::get_if<rpc::StopEvent>(&event)) restarted_ = restarted_ || stop->restarted;
  }
  bool Said(const std::string& text) const { return text_.find(text) != std::string::npos; }
  bool WaitForText(const std::string& text) {
    return WaitUntil([&] { return Said(text); });
  }
  bool Halts() {
    target_->BreakIn();
    return WaitUntil([this] { return target_->state() == TargetState::kHalted; });
  }
  bool Works() {
    std::vector<std::byte> bytes(64);
    const Result<std::size_t> read =
        target_->ReadUncached(AddressSpace::Virtual(), target_->description()->kernel_base, bytes);
    return read && *read == bytes.size() && bytes[0] == std::byte{'M'} && bytes[1] == std::byte{'Z'};
  }
  static std::vector<std::uint8_t> Noise(std::size_t size) {
    std::mt19937 random(7);
    std::vector<std::uint8_t> junk(size);
    for (std::uint8_t& byte : junk) byte = static_cast<std::uint8_t>(random());
    return junk;
  }

  Interrupt interrupt_;
  std::unique_ptr<TestMachine> machine_;
  std::string path_;
  std::unique_ptr<FaultLine> line_;
  std::unique_ptr<Target> target_;
  std::string text_;
  bool restarted_ = false;
};

TEST_F(LineConditions, ATargetThatIsResetWhileItRunsIsSaidToHaveRestarted) {
  ASSERT_TRUE(target_->Resume({}));
  ASSERT_TRUE(machine_->PressReset());
  ASSERT_TRUE(Halts()) << text_;
  EXPECT_TRUE(WaitForText("restarted")) << text_;
  EXPECT_TRUE(restarted_);
  EXPECT_TRUE(Works());
}

TEST_F(LineConditions, ATargetThatIsResetWhileItIsHaltedIsAttachedToAgain) {
  ASSERT_TRUE(machine_->PressReset());
  std::vector<std::byte> bytes(16);
  const Result<std::size_t> read =
      target_->ReadUncached(AddressSpace::Virtual(), target_->description()->kernel_base, bytes);
  EXPECT_FALSE(read.has_value());
  ASSERT_TRUE(WaitForText("the target restarted")) << text_;
  ASSERT_TRUE(WaitUntil([this] { return target_->state() == TargetState::kHalted; })) << text_;
  EXPECT_TRUE(Works());
}

TEST_F(LineConditions, AMachineWithoutPowerIsNamed) {
  ASSERT_TRUE(target_->Resume({}));
  machine_->Kill();
  EXPECT_TRUE(WaitForText("the virtual machine ended or its serial port was closed")) << text_;
  // The line takes connections all the same, and drops them.
  const int connections = line_->connections();
  const auto deadline = Clock::now() + kPatience;
  while (line_->connections() < connections + 3) {
    ASSERT_LT(Clock::now(), deadline);
    ASSERT_EQ(target_->state(), TargetState::kOffline);
    const Result<std::uint64_t> asked = target_->ReadMsr(0, 0xC0000080);
    ASSERT_FALSE(asked);
    ASSERT_EQ(asked.error().code, Errc::kTargetOffline);
    ASSERT_TRUE(TakeEvents());
  }
}

TEST_F(LineConditions, NoiseIsNamedAndTheSessionGoesOn) {
  for (int burst = 0; burst < 400 && !Said("the line is noisy"); ++burst) {
    // Begins of packets, so that the damage counts.
    std::vector<std::uint8_t> junk = Noise(24);
    junk.insert(junk.end(), {0x30, 0x30, 0x30, 0x30, 2, 0, 0xFF, 0xFF});
    line_->Disturb(junk);
    ASSERT_TRUE(Works());
    ASSERT_TRUE(TakeEvents());
  }
  EXPECT_TRUE(Said("the line is noisy")) << text_;
  EXPECT_EQ(target_->state(), TargetState::kHalted);
  EXPECT_TRUE(Works());
}

TEST_F(LineConditions, APipeThatIsPulledAndPutBackIsOpenedAgain) {
  line_->SetUnplugged(true);
  ASSERT_TRUE(WaitUntil([this] { return target_->state() == TargetState::kOffline; })) << text_;
  // Closed in order or cut, the message names the link.
  EXPECT_TRUE(Said("com1-line")) << text_;
  line_->SetUnplugged(false);
  ASSERT_TRUE(Halts()) << text_;
  EXPECT_TRUE(Works());
}

TEST_F(LineConditions, ASerialCableOffWhileHaltedIsNamedWithTheNextRequestAndComesBack) {
  line_->SetDead(true);
  const Result<std::uint64_t> asked = target_->ReadMsr(0, 0xC0000080);
  ASSERT_FALSE(asked);
  EXPECT_TRUE(WaitForText("check the cable")) << text_;
  EXPECT_EQ(target_->state(), TargetState::kOffline);
  line_->SetDead(false);
  ASSERT_TRUE(WaitUntil([this] { return target_->state() == TargetState::kHalted; })) << text_;
  EXPECT_TRUE(Works());
}

TEST_F(LineConditions, ASerialCableOffWhileRunningIsNamedWithTheBreakInAndComesBack) {
  ASSERT_TRUE(target_->Resume({}));
  line_->SetDead(true);
  target_->BreakIn();
  EXPECT_TRUE(WaitForText("check the cable")) << text_;
  EXPECT_EQ(target_->state(), TargetState::kOffline);
  line_->SetDead(false);
  ASSERT_TRUE(WaitUntil([this] { return target_->state() == TargetState::kHalted; })) << text_;
  EXPECT_TRUE(Works());
}

/// A pty with the target at another speed behind it: whatever comes, it is no packet.
TEST_F(LineConditions, ALineOfAnotherSpeedIsNamed) {
  const int far = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(far, 0);
  ASSERT_EQ(grantpt(far), 0);
  ASSERT_EQ(unlockpt(far), 0);
  const std::string device = ptsname(far);
  (void)target_->Close(true);
  Result<std::unique_ptr<Target>> target = ConnectForTest("com:port=" + device + ",baud=115200", interrupt_);
  ASSERT_TRUE(target) << target.error().message;
  target_ = std::move(*target);
  std::thread babble([far] {
    const std::vector<std::uint8_t> junk = Noise(16);
    for (int i = 0; i < 400; ++i) {
      if (write(far, junk.data(), junk.size()) < 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  EXPECT_TRUE(WaitForText("the line speed may not be the target's; compare baud=")) << text_;
  EXPECT_EQ(target_->state(), TargetState::kSynchronizing);
  // The carrier goes.
  close(far);
  EXPECT_TRUE(WaitUntil([this] { return target_->state() == TargetState::kOffline; }) ||
              !target_->WaitEvent(Clock::now()));
  babble.join();
}

}  // namespace
}  // namespace longwire::test

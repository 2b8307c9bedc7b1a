#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/debug_session.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr std::chrono::seconds kPlanTime{10};  // docs/protocol.md, "Read plans"
constexpr std::uint32_t kLoadCrowd = 16;       // DemoLoadCrowd of tests/target/drivers/demo.h

std::string Hexadecimal(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

/// What commands cost on a machine nothing is known of yet: a client that was just started, at its first
/// stop.
class RoundTrips : public testing::TestWithParam<char> {
 protected:
  void Boot(unsigned extra_processes = 0) {
    TestMachineOptions options;
    options.variant = GetParam();
    options.extra_processes = extra_processes;
    options.break_at_boot = extra_processes != 0;  // or the stop may come before they are there
    std::string error;
    machine_ = TestMachine::Start(options, &error);
    ASSERT_TRUE(machine_) << error;
    server_ = std::make_unique<KdsrvProcess>(KDSRV_PATH);
    ASSERT_NE(server_->port(), 0);
  }
  void Connect(const std::string& image_path = "") {
    SessionOptions options;
    options.symbol_path = machine_->symbol_directory();
    options.image_path = image_path;
    std::string error;
    kd_.reset();
    kd_ = DebugSession::Open(
        server_->KernelStringFor("com:pipe,port=" + machine_->socket_path() + ",resets=0,reconnect"), options,
        &error);
    ASSERT_TRUE(kd_) << error;
  }
  /// Addresses that a test needs are found by a client of their own, which is gone when the measured one
  /// comes.
  std::uint64_t Scout(const std::string& expression) {
    if (!kd_) Connect();
    Result<std::uint64_t> value = kd_->session().Evaluate(expression);
    EXPECT_TRUE(value) << expression << ": " << value.error().message;
    return value ? *value : 0;
  }
  std::string Demo() const { return GetParam() == 'a' ? "lwdemo" : "quartz"; }
  std::string Crowd() const { return GetParam() == 'a' ? "lwcrowd" : "granite"; }

  CommandCost Run(const std::string& command) {
    CommandCost cost = kd_->Run(command);
    EXPECT_EQ(cost.error, "") << command;
    Show(command, cost);
    return cost;
  }
  static void Show(const std::string& command, const CommandCost& cost) {
    std::printf("%-40s %2llu round trips, %2llu requests, %6llu bytes of the client, %6llu of the link\n",
                command.c_str(), static_cast<unsigned long long>(cost.client.round_trips),
                static_cast<unsigned long long>(cost.client.requests),
                static_cast<unsigned long long>(cost.client.bytes_received + cost.client.bytes_sent),
                static_cast<unsigned long long>(cost.link.bytes_received + cost.link.bytes_sent));
  }
  /// Names before the `!` of a stack's lines.
  static std::set<std::string> ImagesIn(const std::string& stack) {
    std::set<std::string> images;
    std::istringstream words(stack);
    for (std::string word; words >> word;) {
      const std::size_t mark = word.find('!');
      if (mark != std::string::npos && mark > 0) images.insert(word.substr(0, mark));
    }
    return images;
  }
  void StopInTheDemoDriver(const std::string& image_path) {
    const std::uint64_t leaf = Scout(Demo() + "!DemoLeaf");
    ASSERT_NO_FATAL_FAILURE(Connect(image_path));
    rpc::SetBreakpoint breakpoint;
    breakpoint.address = leaf;
    ASSERT_TRUE(kd_->target().SetBreakpoint(breakpoint));
    ASSERT_TRUE(kd_->Go());
    ASSERT_EQ(kd_->target().stop()->program_counter, leaf);
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<KdsrvProcess> server_;
  std::unique_ptr<DebugSession> kd_;
};

TEST_P(RoundTrips, ModuleList) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  ASSERT_NO_FATAL_FAILURE(Connect());
  const CommandCost cost = Run("lm");
  EXPECT_THAT(cost.text, HasSubstr(Demo()));
  EXPECT_LE(cost.client.round_trips, 1u);
}

TEST_P(RoundTrips, ListOfTwoHundredProcesses) {
  ASSERT_NO_FATAL_FAILURE(Boot(200));
  ASSERT_NO_FATAL_FAILURE(Connect());
  Show("(the stop)", kd_->ShowStop());
  const auto started = std::chrono::steady_clock::now();
  const CommandCost cost = Run("!process 0 0");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::size_t processes = 0;
  for (std::size_t at = cost.text.find("PROCESS "); at != std::string::npos;
       at = cost.text.find("PROCESS ", at + 1)) {
    ++processes;
  }
  EXPECT_GE(processes, 200u);
  // A plan ends after kPlanTime; a machine so slow takes another one.
  EXPECT_LE(cost.client.round_trips, 2u + static_cast<unsigned>(took / kPlanTime));
}

TEST_P(RoundTrips, StructureOfTheKernel) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  const std::uint64_t process = Scout("poi(nt!PsInitialSystemProcess)");
  ASSERT_NO_FATAL_FAILURE(Connect());
  Show("(the stop)", kd_->ShowStop());
  const CommandCost cost = Run("dt nt!_EPROCESS " + Hexadecimal(process));
  EXPECT_THAT(cost.text, HasSubstr("\"System\""));
  EXPECT_LE(cost.client.round_trips, 1u);
}

TEST_P(RoundTrips, StructureOfADeferredModule) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  const std::uint64_t address = Scout(Demo() + "!g_Device");
  ASSERT_NO_FATAL_FAILURE(Connect());
  Show("(the stop)", kd_->ShowStop());
  const CommandCost cost = Run("dt " + Demo() + "!_DEMO_REQUEST " + Hexadecimal(address));
  EXPECT_THAT(cost.text, HasSubstr("Completion"));
  EXPECT_LE(cost.client.round_trips, 1u);
}

TEST_P(RoundTrips, StringsThatAStructurePointsToComeAlong) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  const std::string address = Hexadecimal(Scout(Demo() + "!g_Device"));
  // With and without the image on this machine, and once the symbols are there.
  for (const std::string& images : {std::string(), machine_->symbol_directory()}) {
    ASSERT_NO_FATAL_FAILURE(Connect(images));
    kd_->ShowStop();
    const CommandCost cost = Run("dt " + Demo() + "!_DEMO_DEVICE " + address);
    EXPECT_THAT(cost.text, HasSubstr("\"\\Device\\Demo0\""));
    EXPECT_LE(cost.client.round_trips, 1u);
    EXPECT_EQ(Run("dt " + Demo() + "!_DEMO_DEVICE " + address).client.round_trips, 0u);
  }
  ASSERT_NO_FATAL_FAILURE(Connect());
  Run("dt " + Demo() + "!_DEMO_DEVICE");
  const CommandCost known = Run("dt " + Demo() + "!g_Device");
  EXPECT_THAT(known.text, HasSubstr("\"\\Device\\Demo0\""));
  EXPECT_LE(known.client.round_trips, 1u);
}

TEST_P(RoundTrips, StackWithImagesOnThisMachine) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  ASSERT_NO_FATAL_FAILURE(StopInTheDemoDriver(machine_->symbol_directory()));
  const CommandCost cost = Run("k");
  EXPECT_THAT(cost.text, HasSubstr(Demo() + "!DemoWorker"));
  EXPECT_LE(cost.client.round_trips, 2u);
}

TEST_P(RoundTrips, StackWithoutImages) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  ASSERT_NO_FATAL_FAILURE(StopInTheDemoDriver(""));
  const CommandCost cost = Run("k");
  EXPECT_THAT(cost.text, HasSubstr(Demo() + "!DemoWorker"));
  EXPECT_LE(cost.client.round_trips, 2 + ImagesIn(cost.text).size());
}

TEST_P(RoundTrips, StackThroughAMebibyteOfUnwindEntries) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  const std::uint64_t command = Scout(Demo() + "!g_Command");
  ASSERT_NO_FATAL_FAILURE(Connect());
  const std::byte value[4] = {std::byte{kLoadCrowd}};
  ASSERT_TRUE(kd_->target().Write(AddressSpace::Virtual(), command, value));
  ASSERT_TRUE(kd_->Go());
  const CommandCost cost = Run("k");
  EXPECT_THAT(cost.text, HasSubstr(Crowd() + "!CrowdMiddle"));
  EXPECT_THAT(cost.text, HasSubstr(Demo() + "!DemoWorker"));
  EXPECT_LE(cost.client.round_trips, 2 + ImagesIn(cost.text).size());
  EXPECT_LT(cost.link.bytes_received + cost.link.bytes_sent, 64u << 10);
}

INSTANTIATE_TEST_SUITE_P(Variants, RoundTrips, testing::Values('a', 'b'));

}  // namespace
}  // namespace longwire::test

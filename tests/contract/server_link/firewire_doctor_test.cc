// What -doctor says of a 1394 link, on a simulated bus.
#include <gmock/gmock.h>

#include <fstream>

#include "server/kd/link_doctor.h"
#include "server/link/firewire_port.h"
#include "tests/contract/server_link/simulated_bus.h"
#include "tests/support/coro_test.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {
namespace {

namespace asio = boost::asio;
using testing::AllOf;
using testing::HasSubstr;

class FirewireDoctor : public testing::Test {
 protected:
  FirewireDoctor() { machine_->target.Map(0xFFFFF80000001000, 0x4000); }

  /// A node, with a file in place of that in /dev.
  void AddNode(const std::string& name, std::shared_ptr<FirewireMachine> machine) {
    nodes_->by_name[name] = std::move(machine);
    std::ofstream(directory_.File(name));
    files_.push_back(directory_.File(name));
  }
  /// Examines 1394:channel=`channel`. The machine that waits gets at least `opening`, and as long as it takes
  /// until the whole bus was looked at once.
  void Examine(std::uint8_t channel) {
    for (auto opening = std::chrono::milliseconds(1200);; opening *= 2) {
      const int before = nodes_->looks;
      diagnosis_ = std::make_shared<Diagnosis>();
      LinkDoctorOptions options;
      options.listening = std::chrono::milliseconds(10);
      options.opening = opening;
      options.firewire_devices = [this] { return files_; };
      options.make_back_end = [this](Executor executor, const KernelLink& link) -> Result<LinkBackEnd> {
        auto port = MakeFirewirePort(executor, std::get<FirewireLink>(link),
                                     std::make_unique<SimulatedBus>(executor, nodes_));
        if (!port) return port.error();
        return MakeKdBackEnd(std::move(*port), link);
      };
      const auto doctor = std::make_shared<LinkDoctor>(context_.get_executor(), FirewireLink{channel, ""},
                                                       std::move(options));
      RunTest(context_, [&]() -> asio::awaitable<void> { co_await LinkDoctor::Run(doctor, diagnosis_); });
      constexpr int kWhole = 3;  // once before the link is opened; the second search begins after the first
      if (HasFatalFailure() || diagnosis_->failure() == nullptr || files_.empty() ||
          nodes_->looks - before >= kWhole)
        return;
      context_.restart();
    }
  }
  void ExpectFailure(DoctorStep step, Finding finding, int exit_code) {
    const DiagnosedStep* failure = diagnosis_->failure();
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(failure->step, step);
    EXPECT_EQ(failure->finding, static_cast<std::uint16_t>(finding));
    EXPECT_EQ(diagnosis_->exit_code(), exit_code);
  }

  asio::io_context context_{1};
  TemporaryDirectory directory_;
  std::vector<std::string> files_;
  std::shared_ptr<FirewireMachine> machine_ = std::make_shared<FirewireMachine>(9);
  std::shared_ptr<NodeTable> nodes_ = std::make_shared<NodeTable>();
  std::shared_ptr<Diagnosis> diagnosis_;
};

TEST_F(FirewireDoctor, NobodyWaitsOnTheChannel) {
  AddNode("fw0", nullptr);
  AddNode("fw1", machine_);
  Examine(3);
  ExpectFailure(DoctorStep::kUse, Finding::kChannelSilent, 6);
  const std::string text = FormatStep(*diagnosis_->failure());
  EXPECT_THAT(text, HasSubstr("LW-D714 channel-silent: no machine on the 1394 bus waits for a debugger on "
                              "channel 3; fw0: it cannot be opened; fw1: it waits on channel 9"));
  EXPECT_THAT(text, HasSubstr("next: check the cable, channel= on both sides"));
  EXPECT_THAT(FormatStep(diagnosis_->steps().front()),
              AllOf(HasSubstr("2 nodes on the 1394 bus"), HasSubstr("fw0 to ")));
  EXPECT_TRUE(machine_->target.running);
}

TEST_F(FirewireDoctor, TheMachineThatWaitsIsExaminedAndRunsOn) {
  AddNode("fw1", machine_);
  Examine(9);
  EXPECT_FALSE(diagnosis_->failed());
  EXPECT_THAT(FormatStep(diagnosis_->steps().back()), AllOf(HasSubstr("answers: x64"), HasSubstr("it runs")));
  EXPECT_EQ(machine_->target.break_ins, 1);
  EXPECT_TRUE(machine_->target.running);
}

TEST_F(FirewireDoctor, NoController) {
  Examine(9);
  ExpectFailure(DoctorStep::kDevice, Finding::kControllerMissing, 6);
  EXPECT_EQ(nodes_->looks, 0);
}

}  // namespace
}  // namespace longwire::test

#include <gtest/gtest.h>

#include <thread>

#include "client/target/connect.h"
#include "server/kd/local_service.h"
#include "tests/support/machine_port.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kCode = 0xFFFFF80000001000;
constexpr std::chrono::seconds kLimit{20};

/// The engine's thread, the RPC thread with a KD service on it, and a machine: kd on a link of its own.
class ClientThreads : public testing::Test {
 protected:
  void SetUp() override {
    machine_->target.Map(kCode, 0x4000);
    machine_->target.Poke(kCode, {std::byte{0xCC}});
    machine_->target.Stop(kd::kExceptionBreakpoint, kCode);
    ConnectOptions options;
    options.serve_locally = [this](Executor executor, std::unique_ptr<Stream> stream) {
      return Serve(executor, std::move(stream));
    };
    KernelString kernel;
    kernel.trans = "com:pipe,port=/run/vm.sock";
    auto target = ConnectTarget(kernel, options, interrupt_);
    ASSERT_TRUE(target) << target.error().message;
    target_ = std::move(*target);
  }

  std::shared_ptr<void> Serve(Executor executor, std::unique_ptr<Stream> stream) {
    KdServiceOptions options;
    options.make_back_end = [machine = machine_](Executor on, const KernelLink& link) -> Result<LinkBackEnd> {
      return MakeKdBackEnd(std::make_unique<MachinePort>(on, machine), link);
    };
    return StartLocalService(executor, std::move(stream), std::move(options));
  }

  /// Handles events until the target is in `state`.
  void Await(rpc::TargetState state) {
    const auto deadline = std::chrono::steady_clock::now() + kLimit;
    while (target_->state() != state) {
      const auto event = target_->WaitEvent(deadline);
      ASSERT_TRUE(event) << event.error().message;
      ASSERT_TRUE(event->has_value()) << "the state did not change in time";
    }
  }

  std::shared_ptr<Machine> machine_ =
      std::make_shared<Machine>();  ///< the RPC thread's, while the target lives
  Interrupt interrupt_;
  std::unique_ptr<Target> target_;
};

TEST_F(ClientThreads, ReadsRunsAndStopsAgain) {
  Await(rpc::TargetState::kHalted);
  std::vector<std::byte> bytes(0x2000);
  const rpc::ReadRange range{kCode, bytes.size()};
  target_->Prefetch(AddressSpace::Virtual(), std::span(&range, 1));
  const auto size = target_->Read(AddressSpace::Virtual(), kCode, bytes);
  ASSERT_TRUE(size) << size.error().message;
  EXPECT_EQ(*size, bytes.size());
  const auto set = target_->SetBreakpoint({rpc::BreakpointKind::kCode, kCode + 0x100, 1});
  ASSERT_TRUE(set) << set.error().message;
  for (int round = 0; round < 20; ++round) {
    const auto resumed = target_->Resume({});
    ASSERT_TRUE(resumed) << resumed.error().message;
    Await(rpc::TargetState::kRunning);
    std::thread other([this] { target_->BreakIn(); });
    Await(rpc::TargetState::kHalted);
    other.join();
  }
  EXPECT_TRUE(target_->Close(true));
  target_.reset();
  EXPECT_TRUE(machine_->target.running);
  EXPECT_TRUE(machine_->target.breakpoints.empty());
}

TEST_F(ClientThreads, AnotherThreadEndsAWait) {
  Await(rpc::TargetState::kHalted);
  ASSERT_TRUE(target_->Resume({}));
  Await(rpc::TargetState::kRunning);
  std::thread other([this] { interrupt_.Raise(); });
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  auto event = target_->WaitEvent(deadline);
  while (event && event->has_value()) event = target_->WaitEvent(deadline);
  other.join();
  ASSERT_FALSE(event) << "the wait went on to its deadline";
  EXPECT_EQ(event.error().code, Errc::kCancelled);
}

TEST_F(ClientThreads, EndsWhileARequestIsUnderWay) {
  Await(rpc::TargetState::kHalted);
  const rpc::ReadRange range{kCode, 0x4000};
  target_->Prefetch(AddressSpace::Virtual(), std::span(&range, 1));
  target_.reset();
  EXPECT_TRUE(machine_->target.breakpoints.empty());
}

}  // namespace
}  // namespace longwire::test

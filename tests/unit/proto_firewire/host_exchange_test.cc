// The host's side of debugging over IEEE 1394 on a simulated bus, under a simulated clock.
#include "proto/firewire/host_exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "proto/kd/link_machine.h"
#include "tests/support/firewire_machine.h"

namespace longwire::firewire {
namespace {

using kd::LinkEvent;
using kd::LinkMachine;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FirewireMachine;
using testing::HasSubstr;

constexpr std::uint8_t kChannel = 9;
constexpr std::uint64_t kPage = 0xFFFFF80000001000;
constexpr std::size_t kMostBytes = 2048;

/// A link machine, the exchange under test, and a machine on the bus.
class FirewireHost : public testing::Test {
 protected:
  FirewireHost() { machine_.target.Map(kPage, 0x2000); }

  void Discover() {
    machine_.Look();
    exchange_.Discover(now_, machine_.rom, kMostBytes);
  }
  /// Lets time pass; everything is done when it is due.
  void Advance(kd::Duration duration) {
    const auto end = now_ + duration;
    for (;;) {
      Turn();
      auto next = end;
      if (const auto due = link_.Deadline()) next = std::min(next, *due);
      if (const auto due = exchange_.Deadline()) next = std::min(next, *due);
      now_ = std::max(now_, next);
      if (now_ >= end) break;
      link_.Tick(now_);
    }
    link_.Tick(now_);
    Turn();
  }
  /// All that is due at this moment.
  void Turn() {
    for (;;) {
      exchange_.Write(now_, link_.TakeOutput());
      if (exchange_.NeedsDiscovery()) Discover();
      const auto request = exchange_.Next(now_);
      if (!request) break;
      ASSERT_LT(++transactions_, 200'000) << "spins";
      kd::Bytes data;
      const BusOutcome outcome = machine_.Perform(*request, data);
      exchange_.Complete(now_, outcome, data);
      const kd::Bytes input = exchange_.TakeInput();
      link_.Receive(now_, input);
      for (LinkEvent& event : link_.TakeEvents()) events_.push_back(std::move(event));
    }
    for (LinkEvent& event : link_.TakeEvents()) events_.push_back(std::move(event));
  }
  std::size_t Count(LinkEvent::Kind kind) const {
    return static_cast<std::size_t>(std::count_if(
        events_.begin(), events_.end(), [kind](const LinkEvent& event) { return event.kind == kind; }));
  }
  /// Stopped by a break-in, and known.
  void Attach() {
    Discover();
    link_.Attach(now_, LinkMachine::AttachMode::kBreakIn);
    Advance(seconds(2));
    ASSERT_FALSE(link_.Attaching());
    ASSERT_EQ(Count(LinkEvent::Kind::kDataReceived), 1u);
    events_.clear();
    machine_.log.clear();
  }
  void AskForVersion() { ASSERT_TRUE(link_.SendRequest(now_, kd::EncodeGetVersion(0))); }

  kd::TimePoint now_{std::chrono::hours(1)};
  FirewireMachine machine_{kChannel};
  HostExchange exchange_{kChannel};
  LinkMachine link_{kd::Timers::ForPipe()};
  std::vector<LinkEvent> events_;
  int transactions_ = 0;
};

TEST_F(FirewireHost, F01_ReadsTheBlockThatTheRomNames) {
  Discover();
  EXPECT_FALSE(exchange_.ready());
  Advance(milliseconds(1));
  EXPECT_TRUE(exchange_.ready());
  ASSERT_FALSE(machine_.log.empty());
  EXPECT_EQ(machine_.log.front(), "block");
  EXPECT_EQ(machine_.Count("block"), 1u);
}

TEST_F(FirewireHost, F02_OtherMachinesAreLeftAlone) {
  kd::Store(std::span(machine_.block), 4, std::uint16_t{2});
  Discover();
  Advance(seconds(1));
  ASSERT_TRUE(exchange_.failure());
  EXPECT_THAT(exchange_.failure()->message, HasSubstr("version 2"));
  EXPECT_THAT(machine_.log, testing::ElementsAre("block"));
}

TEST_F(FirewireHost, F03_PacketIsReadClearedOnceAndDelivered) {
  Attach();
  machine_.target.running = true;
  machine_.target.Print("hello");
  machine_.Work();
  Advance(milliseconds(20));
  ASSERT_EQ(Count(LinkEvent::Kind::kDataReceived), 1u);
  EXPECT_EQ(events_.front().type, kd::PacketType::kDebugIo);
  const auto head = std::find(machine_.log.begin(), machine_.log.end(), "head");
  ASSERT_LE(3, machine_.log.end() - head);
  EXPECT_EQ(*(head + 1), "payload");
  EXPECT_EQ(*(head + 2), "clear");
  EXPECT_EQ(machine_.Count("clear"), 1u);
  EXPECT_EQ(machine_.SendStatus(), 0u);
}

TEST_F(FirewireHost, F03_LargeReadsComeInParts) {
  Attach();
  ASSERT_TRUE(link_.SendRequest(now_, kd::EncodeReadVirtual(0, kPage, 3944)));
  Advance(milliseconds(20));
  ASSERT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
  EXPECT_EQ(events_.back().payload.size(), kd::kManipulateSize + 3944);
  EXPECT_EQ(machine_.Count("payload"), 2u);
}

TEST_F(FirewireHost, F03_PacketShownAgainIsDeliveredOnce) {
  Attach();
  machine_.target.running = true;
  // The write that clears is done, but its answer is lost: the packet stands there again.
  machine_.on_request = [this, lost = false](const BusRequest& request) mutable {
    if (lost || request.kind != BusRequest::Kind::kWriteQuadlet) return;
    lost = true;
    machine_.instead = {BusOutcome::kFailed};
  };
  machine_.target.Print("once");
  machine_.Work();
  Advance(milliseconds(50));
  EXPECT_EQ(Count(LinkEvent::Kind::kDataReceived), 1u);
  EXPECT_EQ(machine_.Count("clear"), 1u);
}

TEST_F(FirewireHost, F04_NothingIsWrittenWhileReceiveIsPending) {
  Attach();
  kd::Store(std::span(machine_.receive), 0, kStatusPending);
  machine_.held = true;
  AskForVersion();
  Advance(milliseconds(500));
  EXPECT_EQ(machine_.Count("fill") + machine_.Count("arm"), 0u);
  EXPECT_GT(machine_.Count("poll receive"), 10u);
  kd::Store(std::span(machine_.receive), 0, kStatusFree);
  machine_.held = false;
  Advance(milliseconds(20));
  EXPECT_EQ(machine_.Count("arm"), 1u);
  EXPECT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
}

TEST_F(FirewireHost, F05_BusResetBetweenPacketAndStatus) {
  Attach();
  machine_.on_request = [this, done = false](const BusRequest& request) mutable {
    if (done || request.kind != BusRequest::Kind::kWriteQuadlet) return;
    done = true;
    machine_.ResetBus();
  };
  AskForVersion();
  Advance(milliseconds(50));
  EXPECT_EQ(machine_.Count("block"), 1u);
  EXPECT_EQ(machine_.Count("fill"), 2u);
  EXPECT_EQ(machine_.packets_taken, 1);
  EXPECT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
}

TEST_F(FirewireHost, F06_BreakInIsOneByteAndItsStatusComesLast) {
  Discover();
  link_.Attach(now_, LinkMachine::AttachMode::kListen);
  Advance(milliseconds(100));
  machine_.log.clear();
  machine_.held = true;
  link_.BreakIn(now_);
  Advance(milliseconds(100));
  EXPECT_EQ(kd::Load32(machine_.receive, 4), 1u);
  EXPECT_EQ(machine_.receive[8], kd::kBreakInByte);
  EXPECT_EQ(machine_.ReceiveStatus(), kStatusPending);
  const auto fill = std::find(machine_.log.begin(), machine_.log.end(), "fill");
  ASSERT_NE(fill, machine_.log.end());
  EXPECT_EQ(*(fill + 1), "arm");
  machine_.held = false;
  Advance(milliseconds(100));
  EXPECT_EQ(machine_.target.break_ins, 1);
  EXPECT_EQ(Count(LinkEvent::Kind::kDataReceived), 1u);
}

TEST_F(FirewireHost, F07_BadChecksumAsksForAnotherCopy) {
  Attach();
  machine_.on_request = [this, done = false](const BusRequest& request) mutable {
    if (done || request.kind != BusRequest::Kind::kReadBlock) return;
    done = true;
    machine_.send[kSendPayload] ^= std::byte{1};
  };
  AskForVersion();
  Advance(milliseconds(50));
  EXPECT_EQ(machine_.control_received, 1);
  EXPECT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
}

/// The machine's next packet is damaged where it stands. What goes wrong with the host's wish for a copy is
/// up to the test, while a request of the user comes to wait behind it.
class FirewireLostResend : public FirewireHost {
 protected:
  using Harm = std::function<void(const BusRequest&)>;

  /// `harm` is done when the host writes a `what` for the first time after it saw the damage.
  void PrintDamaged(BusRequest::Kind what, const Harm& harm) {
    Attach();
    machine_.on_request = [this, harm, what, harmed = false](const BusRequest& request) mutable {
      Damage(request);
      if (!damaged_ || harmed || request.kind != what) return;
      harmed = true;
      AskForVersion();
      harm(request);
    };
    Print();
    EXPECT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
    EXPECT_EQ(machine_.packets_taken, 1);
  }
  void Damage(const BusRequest& request) {
    if (damaged_ || request.kind != BusRequest::Kind::kReadBlock) return;
    damaged_ = true;
    machine_.send[kSendPayload] ^= std::byte{1};
  }
  void Print() {
    machine_.target.Print("once");
    machine_.Work();
    Advance(milliseconds(100));
    EXPECT_EQ(Count(LinkEvent::Kind::kDataReceived), 1u);
    EXPECT_FALSE(exchange_.failure());
  }
  /// The write is done, and the host does not learn it.
  void PerformUnheard(const BusRequest& request) {
    kd::Bytes nothing;
    machine_.Perform(request, nothing);
    machine_.instead = {BusOutcome::kFailed};
  }

  bool damaged_ = false;
};

TEST_F(FirewireLostResend, F07_WriteThatNeverArrives) {
  PrintDamaged(BusRequest::Kind::kWriteQuadlet,
               [this](const BusRequest&) { machine_.instead = {BusOutcome::kFailed}; });
  EXPECT_EQ(machine_.control_received, 1);
}

TEST_F(FirewireLostResend, F07_WriteWhoseAnswerIsLost) {
  PrintDamaged(BusRequest::Kind::kWriteQuadlet,
               [this](const BusRequest& request) { PerformUnheard(request); });
  EXPECT_GE(machine_.control_received, 1);
}

TEST_F(FirewireLostResend, F07_BusResetWhileItIsPlaced) {
  PrintDamaged(BusRequest::Kind::kWriteBlock, [this](const BusRequest&) { machine_.ResetBus(); });
  EXPECT_EQ(machine_.control_received, 1);
}

TEST_F(FirewireLostResend, F07_WhatStandsInReceiveIsNotWrittenAgain) {
  Attach();
  // The write that clears the damaged packet gets lost, so the damage is seen twice before the target looks.
  machine_.on_request = [this, clears = 0](const BusRequest& request) mutable {
    Damage(request);
    if (!damaged_ || request.kind != BusRequest::Kind::kWriteQuadlet) return;
    if (request.address >= FirewireMachine::kReceive) {
      machine_.held = true;
    } else if (++clears == 1) {
      machine_.instead = {BusOutcome::kFailed};
    } else {
      machine_.held = false;
    }
  };
  Print();
  EXPECT_EQ(machine_.Count("arm"), 1u);
  EXPECT_EQ(machine_.control_received, 1);
}

TEST_F(FirewireHost, F07_TargetThatAsksGetsTheLastPacketAgain) {
  Attach();
  machine_.target.mute.insert(kd::Api::kGetVersion);
  AskForVersion();
  Advance(milliseconds(20));
  EXPECT_EQ(machine_.packets_taken, 1);
  machine_.target.mute.clear();
  machine_.PlaceSend(kd::EncodeControlPacket(kd::PacketType::kResend, 0), 0);
  Advance(milliseconds(50));
  EXPECT_EQ(machine_.packets_taken, 2);
  EXPECT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
}

TEST_F(FirewireHost, F08_StatusThatIsNeverClearedLosesTheLink) {
  Attach();
  machine_.held = true;
  AskForVersion();
  Advance(seconds(30));
  EXPECT_EQ(Count(LinkEvent::Kind::kRequestFailed), 1u);
  EXPECT_EQ(Count(LinkEvent::Kind::kLinkLost), 1u);
  EXPECT_EQ(machine_.Count("arm"), 1u);
  // Eager for a second after each of the five copies the link machine sends, else a hundred times a second.
  EXPECT_LT(machine_.Count("poll receive"), 5u * 1000 + 30u * 100);
}

TEST_F(FirewireHost, F08_NodeThatDoesNotAnswerLosesTheLink) {
  Attach();
  machine_.instead.assign(1000, BusOutcome::kFailed);
  Advance(seconds(5));
  ASSERT_TRUE(exchange_.failure());
  EXPECT_EQ(exchange_.failure()->code, Errc::kLinkFailed);
  EXPECT_GT(machine_.instead.size(), 900u);
}

TEST_F(FirewireHost, BusyNodeIsAskedAgainForASecond) {
  Attach();
  machine_.instead.assign(300, BusOutcome::kBusy);
  AskForVersion();
  Advance(seconds(1));
  EXPECT_FALSE(exchange_.failure());
  EXPECT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
}

TEST_F(FirewireHost, StoppedTargetIsFoundByABreakIn) {
  machine_.target.Stop(kd::kExceptionBreakpoint, kPage);
  machine_.Work();
  kd::Store(std::span(machine_.send), 0, kStatusFree);  // a debugger that is gone has taken the report
  machine_.Work();
  Attach();
  AskForVersion();
  Advance(milliseconds(50));
  EXPECT_EQ(Count(LinkEvent::Kind::kRequestReply), 1u);
}

TEST_F(FirewireHost, IdleLinkPollsSeldom) {
  Attach();
  Advance(seconds(2));
  machine_.log.clear();
  Advance(seconds(10));
  EXPECT_LE(machine_.log.size(), 1100u);
  EXPECT_GE(machine_.log.size(), 900u);
}

}  // namespace
}  // namespace longwire::firewire

#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "server/kd/kd_target.h"
#include "tests/support/scripted_target.h"

namespace longwire::test {

/// A KdTarget and a scripted target joined by a line that costs 0.1 ms per direction, under a simulated
/// clock.
class TargetSimulation {
 public:
  static constexpr std::uint64_t kCode = 0xFFFFF80000001000;  ///< mapped; break-in instruction at its begin
  static constexpr std::uint64_t kStack = 0xFFFFF88000010000;

  explicit TargetSimulation(TargetOptions options = {}, kd::Machine machine = kd::Machine::kAmd64)
      : stub(machine),
        target(std::move(options), [this](rpc::Event event) { events.push_back(std::move(event)); }) {
    if (machine != kd::Machine::kAmd64) return;
    stub.Map(kCode, 0x8000);
    stub.Map(kStack, 0x1000);
    stub.Poke(kCode, {std::byte{0xCC}, std::byte{0xC3}});
    for (auto& context : stub.contexts) kd::Store(std::span(context), 0x98, kStack + 0x400);
  }

  /// Until nothing more happens by itself before `span` is over.
  void Run(kd::Duration span = std::chrono::milliseconds(500)) {
    const kd::TimePoint end = now + span;
    for (int guard = 0; guard < 200'000; ++guard) {
      stub.Receive(target.TakeOutput());
      const kd::Bytes bytes = stub.TakeOutput();
      if (!bytes.empty()) {
        now += std::chrono::microseconds(200);
        target.Receive(now, bytes);
        continue;
      }
      const auto deadline = target.Deadline();
      if (!deadline || *deadline > end) break;
      now = std::max(now, *deadline);
      target.Tick(now);
    }
    now = std::max(now, end);
  }

  /// The usual begin: a running target, broken into and kept halted.
  void AttachHalted() {
    target.SetDriver(now, 1, true);
    target.SetBreakIn(now);
    target.Opened(now);
    Run(std::chrono::seconds(4));
    ASSERT_EQ(target.state(), rpc::TargetState::kHalted);
    events.clear();
    stub.requests.clear();
  }

  struct Outcome {
    std::optional<rpc::Answer> answer;
    kd::Bytes bulk;
    const Error* error() const { return answer ? std::get_if<Error>(&*answer) : nullptr; }
    template <class T>
    const T* as() const {
      return answer ? std::get_if<T>(&*answer) : nullptr;
    }
  };
  Outcome Ask(rpc::Request request, kd::Bytes bulk = {}) {
    Outcome outcome;
    target.Perform(now, ++ticket, std::move(request), std::move(bulk),
                   [&](rpc::Answer answer, kd::Bytes data) {
                     outcome.answer = std::move(answer);
                     outcome.bulk = std::move(data);
                   });
    Run();
    EXPECT_TRUE(outcome.answer.has_value()) << "never answered";
    return outcome;
  }
  kd::Bytes Read(std::uint64_t address, std::uint64_t size) {
    return Ask(rpc::ReadMemory{AddressSpace::Virtual(), {{address, size}}, false}).bulk;
  }
  Outcome Go(bool step = false) {
    rpc::Resume resume;
    resume.stop_counter = target.stop() ? target.stop()->stop_counter : 0;
    resume.driver_epoch = 1;
    resume.step = step;
    return Ask(resume);
  }
  std::uint64_t SetBreakpoint(std::uint64_t address) {
    const Outcome outcome = Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kCode, address, 1});
    EXPECT_NE(outcome.as<rpc::Value>(), nullptr);
    return outcome.as<rpc::Value>() != nullptr ? outcome.as<rpc::Value>()->value : 0;
  }
  template <class T>
  std::vector<T> Events() const {
    std::vector<T> found;
    for (const auto& event : events) {
      if (const T* one = std::get_if<T>(&event)) found.push_back(*one);
    }
    return found;
  }
  std::vector<kd::Api> Apis() const {
    std::vector<kd::Api> apis;
    for (const auto& seen : stub.requests) apis.push_back(seen.api);
    return apis;
  }

  kd::TimePoint now{std::chrono::hours(1)};
  std::uint64_t ticket = 0;
  std::vector<rpc::Event> events;
  ScriptedTarget stub;
  KdTarget target;
};

}  // namespace longwire::test

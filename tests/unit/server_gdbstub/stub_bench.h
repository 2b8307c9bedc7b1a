#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/gdbstub/gdb_target.h"
#include "tests/unit/server_gdbstub/scripted_stub.h"

namespace longwire::test {

/// A target and its scripted stub, joined by a line that costs nothing, under a simulated clock.
class StubBench : public testing::Test {
 protected:
  using Seconds = std::chrono::seconds;

  /// Until nothing more happens by itself before `span` is over.
  void Run(kd::Duration span = std::chrono::milliseconds(500)) {
    const kd::TimePoint end = now + span;
    for (int guard = 0; guard < 20'000; ++guard) {
      stub.Receive(target.TakeOutput());
      const std::string bytes = stub.silent ? std::string() : stub.TakeOutput();
      if (!bytes.empty()) {
        target.Receive(now, std::as_bytes(std::span(bytes)));
        continue;
      }
      const auto deadline = target.Deadline();
      if (!deadline || *deadline > end) {
        now = end;
        return;
      }
      now = std::max(now, *deadline);
      target.Tick(now);
    }
    FAIL() << "spins";
  }
  /// Opens the stream; the first stop is kept.
  void Open(kd::Duration span = std::chrono::milliseconds(500)) {
    target.SetDriver(now, 1, true);
    target.SetBreakIn(now);
    target.Opened(now);
    Run(span);
  }
  void OpenHalted() {
    Open();
    ASSERT_EQ(target.state(), rpc::TargetState::kHalted) << Told().text;
    events.clear();
    stub.heard.clear();
  }
  /// Performs to the end.
  rpc::Answer Ask(rpc::Request request, kd::Duration span = std::chrono::milliseconds(500)) {
    std::optional<rpc::Answer> answer;
    target.Perform(
        now, ++ticket, std::move(request), {},
        [&](rpc::Answer given, kd::Bytes data) {
          answer = std::move(given);
          bulk = std::move(data);
        },
        false);
    Run(span);
    EXPECT_TRUE(answer.has_value()) << "never answered";
    return answer ? *answer : rpc::Answer(Error{Errc::kInternal, "never answered"});
  }
  rpc::Answer Read(std::uint64_t address, std::uint64_t size, kd::Duration span = Seconds(1)) {
    rpc::ReadMemory read;
    read.ranges.push_back({address, size});
    read.uncached = true;
    return Ask(read, span);
  }
  rpc::Answer Go(bool step = false) {
    rpc::Resume resume;
    resume.stop_counter = target.stop()->stop_counter;
    resume.driver_epoch = 1;
    resume.step = step;
    return Ask(resume);
  }
  static std::string MessageOf(const rpc::Answer& answer) {
    const auto* error = std::get_if<Error>(&answer);
    return error ? error->message : "";
  }

  /// The last failure of the link that clients were told.
  rpc::LinkChanged Told() const {
    rpc::LinkChanged told;
    for (const rpc::Event& event : events) {
      const auto* changed = std::get_if<rpc::LinkChanged>(&event);
      if (changed && changed->failed) told = *changed;
    }
    return told;
  }
  void ExpectTold(Errc code, const std::string& cause, const std::string& next) {
    EXPECT_EQ(target.state(), rpc::TargetState::kOffline);
    EXPECT_TRUE(Told().failed);
    EXPECT_EQ(Told().error, code) << Told().text;
    EXPECT_THAT(Told().text, testing::HasSubstr(cause));
    EXPECT_THAT(Told().text, testing::HasSubstr(next));
  }

  kd::TimePoint now{std::chrono::hours(1)};
  ScriptedStub stub;
  std::vector<rpc::Event> events;
  GdbTarget target{{}, {true, false}, [this](rpc::Event event) { events.push_back(std::move(event)); }};
  kd::Bytes bulk;
  std::uint64_t ticket = 0;
};

}  // namespace longwire::test

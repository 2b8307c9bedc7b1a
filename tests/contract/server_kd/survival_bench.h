#pragma once

#include "tests/contract/server_kd/service_bench.h"

namespace longwire::test {

using namespace std::chrono_literals;

inline constexpr std::uint64_t kPoint = kCode + 0x100;
inline const rpc::SetBreakpoint kWish{rpc::BreakpointKind::kCode, kPoint, 1};

/// Sessions are kept for as long as no test waits, and nobody who asks has to wait.
inline KdServiceOptions Keeping(std::chrono::milliseconds keep = 1h) {
  KdServiceOptions options;
  options.keep = keep;
  options.kept_at_least = 0ms;
  return options;
}

/// Waits for what the service does by itself; RunTest bounds it.
inline asio::awaitable<void> Until(std::function<bool()> holds) {
  while (!holds()) co_await Pause(2ms);
}

inline bool Lost(const Bench& bench) {
  const auto status = bench.service->Status();
  return status.size() == 1 && status[0].status.lost;
}

/// A client that drives a halted target with a breakpoint, and whose connection is then lost.
inline asio::awaitable<std::uint64_t> DriveAndLose(Bench& bench, Client& client) {
  co_await client.GreetFully("alice");
  co_await OpenHalted(client);
  const auto set = co_await client.Ask(kWish);
  client.channel->Close();
  co_await Until([&] { return Lost(bench); });
  const auto* value = std::get_if<rpc::Value>(&set);
  co_return value != nullptr ? value->value : 0;
}

/// Sends what the target has to say by itself.
inline asio::awaitable<void> Deliver(Machine& machine) {
  const auto line = machine.line;
  const kd::Bytes output = machine.target.TakeOutput();
  (void)co_await line->WriteAll(output);
}

inline asio::awaitable<void> Say(Machine& machine, const std::string& text) {
  machine.target.Print(text);
  co_await Deliver(machine);
}

}  // namespace longwire::test

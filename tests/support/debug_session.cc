#include "tests/support/debug_session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "client/engine/run_control.h"
#include "client/extensions/extension_host.h"
#include "server/kd/kd_service.h"

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{30};

/// The KD service of kdsrv on the client's RPC thread, as kd has it for links of its own.
std::shared_ptr<void> ServeLocally(Executor executor, std::unique_ptr<Stream> stream) {
  auto service = std::make_shared<KdService>(executor, KdServiceOptions{});
  auto serve = [](std::shared_ptr<KdService> held, std::unique_ptr<Stream> peer) -> Awaitable<void> {
    co_await held->Serve(std::move(peer));
  };
  boost::asio::co_spawn(executor, serve(service, std::move(stream)), boost::asio::detached);
  return service;
}

Result<std::unique_ptr<Target>> Connect(const std::string& kernel, Interrupt& interrupt) {
  Result<KernelString> parsed = ParseKernelString(kernel);
  if (!parsed) return parsed.error();
  ConnectOptions connect;
  connect.break_in = true;
  connect.software = "longwire test";
  connect.serve_locally = ServeLocally;
  return ConnectTarget(*parsed, connect, interrupt);
}

TargetCounters operator-(const TargetCounters& a, const TargetCounters& b) {
  return {a.requests - b.requests, a.round_trips - b.round_trips, a.bytes_received - b.bytes_received,
          a.bytes_sent - b.bytes_sent};
}

rpc::LinkStatus Difference(rpc::LinkStatus a, const rpc::LinkStatus& b) {
  a.bytes_received -= b.bytes_received;
  a.bytes_sent -= b.bytes_sent;
  a.packets_received -= b.packets_received;
  a.packets_sent -= b.packets_sent;
  a.retransmissions -= b.retransmissions;
  a.exchanges -= b.exchanges;
  return a;
}

}  // namespace

std::unique_ptr<Target> OpenHaltedTarget(const std::string& kernel, Interrupt& interrupt, std::string* error) {
  Result<std::unique_ptr<Target>> target = Connect(kernel, interrupt);
  if (!target) {
    *error = target.error().message;
    return nullptr;
  }
  const auto deadline = Clock::now() + kPatience;
  while (!(*target)->stop() && Clock::now() < deadline) {
    Result<std::optional<rpc::Event>> event = (*target)->WaitEvent(deadline);
    if (!event) {
      *error = event.error().message;
      return nullptr;
    }
  }
  if ((*target)->stop()) return std::move(*target);
  *error = "the target did not stop";
  return nullptr;
}

std::unique_ptr<DebugSession> DebugSession::Open(const std::string& kernel, const SessionOptions& options,
                                                 std::string* error) {
  std::unique_ptr<DebugSession> opened(new DebugSession);
  Result<std::unique_ptr<Target>> target = Connect(kernel, opened->interrupt_);
  if (!target) {
    *error = target.error().message;
    return nullptr;
  }
  opened->target_ = std::move(*target);
  opened->session_ =
      std::make_unique<Session>(*opened->target_, opened->interrupt_, options, [](std::string_view) {});
  opened->session_->set_extensions(std::make_shared<ExtensionHost>(*opened->session_));
  for (auto add : {AddMemoryCommands, AddExpressionCommands, AddRegisterCommands, AddDisassemblyCommands,
                   AddStackCommands, AddTypeCommands, AddNameCommands, AddModuleCommands, AddSymbolPathCommands,
                   AddRunCommands, AddBreakpointCommands, AddTargetCommands, AddExtensionCommands,
                   AddConsoleCommands}) {
    add(opened->table_);
  }
  if (!opened->session_->halted()) {
    Result<std::optional<rpc::StopEvent>> stop = WaitForStop(*opened->session_, Clock::now() + kPatience);
    if (!stop || !*stop) {
      *error = stop ? "the target did not stop" : stop.error().message;
      return nullptr;
    }
  }
  return opened;
}

DebugSession::~DebugSession() {
  if (target_) (void)target_->Close(true);
}

CommandCost DebugSession::Measure(const std::function<Result<void>(Report&)>& what) {
  Report report([](std::string_view) {});
  Result<rpc::LinkStatus> link_before = target_->LinkStatus();
  const TargetCounters before = target_->counters();
  if (Result<void> done = what(report); !done) report.Error(done.error().message);
  CommandCost cost;
  cost.client = target_->counters() - before;
  Result<rpc::LinkStatus> link_after = target_->LinkStatus();
  if (link_before && link_after) cost.link = Difference(*link_after, *link_before);
  cost.text = report.text();
  cost.error = report.error();
  return cost;
}

CommandCost DebugSession::Run(const std::string& line) {
  return Measure([&](Report& report) -> Result<void> {
    std::string pending;
    Result<CommandFlow> flow = table_.Execute(*session_, line, report, pending);
    if (!flow) return flow.error();
    return {};
  });
}

CommandCost DebugSession::ShowStop() {
  return Measure([&](Report& report) -> Result<void> {
    if (target_->stop()) ReportStop(*session_, *target_->stop(), {}, report);
    return {};
  });
}

bool DebugSession::Go() {
  if (!target_->Resume({})) return false;
  Result<std::optional<rpc::StopEvent>> stop = WaitForStop(*session_, Clock::now() + kPatience);
  return stop && *stop;
}

}  // namespace longwire::test

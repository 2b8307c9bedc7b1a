#include "tests/support/debug_session.h"

#include <chrono>
#include <utility>

#include "client/engine/run_control.h"
#include "client/extensions/extension_host.h"
#include "tests/support/halted_target.h"

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{30};

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

std::unique_ptr<DebugSession> DebugSession::Open(const std::string& kernel, const SessionOptions& options,
                                                 std::string* error) {
  std::unique_ptr<DebugSession> opened(new DebugSession);
  Result<std::unique_ptr<Target>> target = ConnectForTest(kernel, opened->interrupt_);
  if (!target) {
    *error = target.error().message;
    return nullptr;
  }
  opened->target_ = std::move(*target);
  opened->session_ =
      std::make_unique<Session>(*opened->target_, opened->interrupt_, options, [](std::string_view) {});
  opened->session_->set_extensions(std::make_shared<ExtensionHost>(*opened->session_));
  for (auto add : {AddMemoryCommands, AddExpressionCommands, AddRegisterCommands, AddDisassemblyCommands,
                   AddStackCommands, AddTypeCommands, AddNameCommands, AddModuleCommands,
                   AddSymbolPathCommands, AddRunCommands, AddBreakpointCommands, AddTargetCommands,
                   AddExtensionCommands, AddMachineCommands, AddLinkCommands, AddConsoleCommands}) {
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

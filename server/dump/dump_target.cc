#include "server/dump/dump_target.h"

#include <algorithm>
#include <utility>

#include "proto/kd/context.h"
#include "server/target/memory_requests.h"

namespace longwire {
namespace {

constexpr std::size_t kLine = 1024;  ///< a small read is widened to this: the file is near
constexpr std::size_t kCodeBytes = 64, kStackBytes = 4096;

bool IsAboutMemory(const rpc::Request& request) {
  return std::holds_alternative<rpc::ReadMemory>(request) || std::holds_alternative<rpc::RunPlan>(request) ||
         std::holds_alternative<rpc::WriteMemory>(request);
}

std::vector<rpc::NamedModule> Named(const std::vector<dump::DumpModule>& modules) {
  std::vector<rpc::NamedModule> named;
  for (const dump::DumpModule& module : modules)
    named.push_back({module.name, module.base, module.size, module.checksum, module.timestamp});
  return named;
}

Error Frozen() {
  return {Errc::kUnsupported,
          "the target is a crash dump: it neither runs nor changes; look at it with k, r, d"};
}

}  // namespace

DumpTarget::DumpTarget(DumpSpace space, TargetOptions options, EventSink events)
    : options_(std::move(options)),
      events_(std::move(events)),
      space_(std::move(space)),
      source_(space_),
      memory_(source_, no_breakpoints_, kLine),
      description_(Describe()) {}

DumpTarget::~DumpTarget() = default;

rpc::TargetDescription DumpTarget::Describe() const {
  const dump::KernelHeader& header = space_.dump().header();
  rpc::TargetDescription description;
  description.major_version = static_cast<std::uint16_t>(header.major);
  description.minor_version = static_cast<std::uint16_t>(header.build);
  description.secondary_version = header.secondary_version;
  description.machine = static_cast<std::uint16_t>(header.machine);
  description.loaded_module_list = header.loaded_module_list;
  description.debugger_data_address = header.debugger_data_address;
  description.processors = header.processors;
  if (const kd::DebuggerData* data = space_.debugger_data()) {
    description.kernel_base = data->Get("KernBase").value_or(0);
    description.debugger_data.assign(data->bytes().begin(), data->bytes().end());
  }
  if (const dump::Triage* triage = space_.dump().triage()) {
    description.modules = Named(triage->modules());
    description.unloaded_modules = Named(triage->unloaded());
  }
  return description;
}

void DumpTarget::Opened(kd::TimePoint now) {
  source_.SetNow(now);
  for (const std::string& warning : space_.dump().warnings()) options_.log(warning);
  state_ = rpc::TargetState::kHalted;
  rpc::LinkChanged changed;
  changed.state = state_;
  changed.description = description_;
  changed.text = "opened a " + space_.dump().kind();
  for (const std::string& warning : space_.dump().warnings()) changed.text += "; " + warning;
  events_(std::move(changed));
  Publish(space_.crashed_processor());
  Pump();
}

void DumpTarget::Publish(std::uint32_t processor) {
  const dump::KernelHeader& header = space_.dump().header();
  rpc::StopEvent event;
  event.stop_counter = ++stop_counter_;
  event.driver_epoch = driver_epoch_;
  event.processor = processor;
  event.processors = header.processors;
  event.thread = space_.thread(processor);
  event.context = space_.Context(processor);
  event.exception = {header.exception.code,    header.exception.flags,      header.exception.record,
                     header.exception.address, header.exception.parameters, false};
  if (header.bugcheck_code != 0)
    event.bugcheck = rpc::Bugcheck{header.bugcheck_code, header.bugcheck_parameters};
  event.module_counter = 1;
  Expedite(event);
  stop_ = event;
  events_(std::move(event));
}

void DumpTarget::Expedite(rpc::StopEvent& event) const {
  const kd::ContextLayout* layout = kd::FindContextLayout(space_.dump().header().machine);
  if (event.context.empty()) return;
  event.program_counter = kd::Load64(event.context, layout->pc_offset);
  const auto add = [&](std::uint64_t address, std::size_t size) {
    rpc::MemoryChunk chunk{address, kd::Bytes(size)};
    chunk.bytes.resize(space_.ReadVirtual(address, chunk.bytes));
    if (!chunk.bytes.empty()) event.memory.push_back(std::move(chunk));
  };
  add(event.program_counter, kCodeBytes);
  add(kd::Load64(event.context, layout->sp_offset), kStackBytes);
}

void DumpTarget::Tick(kd::TimePoint now) {
  source_.SetNow(now);
  source_.Continue();
  Pump();
}

/// Work that rests goes on as soon as the others had their turn.
std::optional<kd::TimePoint> DumpTarget::Deadline() const {
  if (source_.resting()) return source_.now();
  return std::nullopt;
}

void DumpTarget::Perform(kd::TimePoint now, std::uint64_t ticket, rpc::Request request, kd::Bytes, Done done,
                         bool observer) {
  source_.SetNow(now);
  if (IsAboutMemory(request)) {
    work_.Push(Work{ticket, std::move(request), {}, std::move(done), observer, {}, false});
    return Pump();
  }
  kd::Bytes bulk;
  rpc::Answer answer = Answer(request, bulk);
  done(std::move(answer), std::move(bulk));
}

rpc::Answer DumpTarget::Answer(const rpc::Request& request, kd::Bytes& bulk) {
  const std::uint32_t processors = space_.dump().header().processors;
  const auto bytes = [&](kd::Bytes found) -> rpc::Answer {
    if (found.empty()) return Error{Errc::kNotFound, "the dump does not hold this"};
    bulk = std::move(found);
    return rpc::Bytes{};
  };
  if (const auto* get = std::get_if<rpc::GetContext>(&request)) return bytes(space_.Context(get->processor));
  if (const auto* read = std::get_if<rpc::ReadControlSpace>(&request)) {
    kd::Bytes found = space_.ControlSpace(read->processor, read->selector);
    if (found.size() > read->size) found.resize(read->size);
    return bytes(std::move(found));
  }
  if (const auto* to = std::get_if<rpc::SwitchProcessor>(&request)) {
    if (to->processor >= processors) return Error{Errc::kUsage, "there is no such processor"};
    Publish(to->processor);
    return rpc::Done{};
  }
  if (std::holds_alternative<rpc::GetLinkStatus>(request)) return Status();
  if (std::holds_alternative<rpc::BreakIn>(request) || std::holds_alternative<rpc::Configure>(request) ||
      std::holds_alternative<rpc::Resynchronize>(request))
    return rpc::Done{};
  return Frozen();
}

Task<void> DumpTarget::Execute() {
  Work& work = *work_.current;
  kd::Bytes bulk;
  rpc::Answer answer = Error{Errc::kCancelled, "cancelled"};
  if (std::holds_alternative<rpc::WriteMemory>(work.request)) {
    answer = Frozen();
  } else if (!work.limit.cancelled) {
    answer =
        co_await AnswerMemoryRequest(work.request, work.bulk, memory_, options_.plan_time, work.limit, bulk);
  }
  work_.Finish(std::move(answer), std::move(bulk));
}

void DumpTarget::Pump() {
  if (std::exchange(pumping_, true)) return;
  while (state_ == rpc::TargetState::kHalted) {
    if (task_done_) {
      task_ = {};
      task_done_ = false;
    }
    if (!task_.empty() || !work_.Take()) break;
    task_ = Execute();
    task_.Start([this] { task_done_ = true; });
  }
  pumping_ = false;
}

void DumpTarget::Cancel(kd::TimePoint now, std::uint64_t ticket) {
  source_.SetNow(now);
  work_.Cancel(ticket);
}

void DumpTarget::Leave(kd::TimePoint, bool, std::function<void()> done) {
  work_.FailWaiting(Error{Errc::kCancelled, "the driver left the dump"});
  done();
}

void DumpTarget::SetDriver(kd::TimePoint, std::uint64_t epoch, bool) {
  driver_epoch_ = epoch;
  if (stop_) stop_->driver_epoch = epoch;
}

std::optional<rpc::TargetDescription> DumpTarget::description() const {
  if (state_ == rpc::TargetState::kOffline) return std::nullopt;
  return description_;
}

rpc::LinkStatus DumpTarget::Status() const {
  rpc::LinkStatus status;
  status.state = state_;
  return status;
}

}  // namespace longwire

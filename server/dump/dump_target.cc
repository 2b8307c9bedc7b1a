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

Error Frozen() {
  return {Errc::kUnsupported,
          "the target is a crash dump: it neither runs nor changes; look at it with k, r, d"};
}

}  // namespace

DumpTarget::DumpTarget(std::unique_ptr<DumpSpace> space, TargetOptions options, EventSink events)
    : options_(std::move(options)),
      events_(std::move(events)),
      space_(std::move(space)),
      source_(*space_),
      memory_(source_, no_breakpoints_, kLine),
      description_(space_->Describe()) {}

DumpTarget::~DumpTarget() = default;

void DumpTarget::Opened(kd::TimePoint now) {
  source_.SetNow(now);
  for (const std::string& warning : space_->warnings()) options_.log(warning);
  state_ = rpc::TargetState::kHalted;
  rpc::LinkChanged changed;
  changed.state = state_;
  changed.description = description_;
  changed.text = "opened a " + space_->kind();
  for (const std::string& warning : space_->warnings()) changed.text += "; " + warning;
  events_(std::move(changed));
  Publish(space_->crashed());
  Pump();
}

void DumpTarget::Publish(std::uint32_t number) {
  rpc::StopEvent event = space_->Stop(number);
  event.stop_counter = ++stop_counter_;
  event.driver_epoch = driver_epoch_;
  event.processor = number;
  event.processors = space_->count();
  event.context = space_->Context(number);
  event.module_counter = 1;
  Expedite(event);
  stop_ = event;
  events_(std::move(event));
}

void DumpTarget::Expedite(rpc::StopEvent& event) const {
  const kd::ContextLayout* layout = kd::FindContextLayout(space_->machine());
  if (event.context.empty()) return;
  const auto pointer = [&](std::size_t offset) -> std::uint64_t {
    return kd::LoadWord(*layout, event.context, offset);
  };
  event.program_counter = pointer(layout->pc_offset);
  const auto add = [&](std::uint64_t address, std::size_t size) {
    rpc::MemoryChunk chunk{address, kd::Bytes(size)};
    chunk.bytes.resize(space_->ReadVirtual(address, chunk.bytes));
    if (!chunk.bytes.empty()) event.memory.push_back(std::move(chunk));
  };
  add(event.program_counter, kCodeBytes);
  add(pointer(layout->sp_offset), kStackBytes);
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
  const auto bytes = [&](kd::Bytes found) -> rpc::Answer {
    if (found.empty()) return Error{Errc::kNotFound, "the dump does not hold this"};
    bulk = std::move(found);
    return rpc::Bytes{};
  };
  if (const auto* get = std::get_if<rpc::GetContext>(&request)) return bytes(space_->Context(get->processor));
  if (const auto* read = std::get_if<rpc::ReadControlSpace>(&request)) {
    kd::Bytes found = space_->ControlSpace(read->processor, read->selector);
    if (found.size() > read->size) found.resize(read->size);
    return bytes(std::move(found));
  }
  if (const auto* to = std::get_if<rpc::SwitchProcessor>(&request)) {
    if (to->processor >= space_->count()) return Error{Errc::kUsage, "there is no such processor"};
    Publish(to->processor);
    return rpc::Done{};
  }
  if (const auto* configure = std::get_if<rpc::Configure>(&request); configure && configure->trace_packets)
    return Error{Errc::kUnsupported, "only the packets of KD links are traced"};
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

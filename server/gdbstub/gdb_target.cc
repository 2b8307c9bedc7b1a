#include "server/gdbstub/gdb_target.h"

#include <algorithm>
#include <utility>

#include "server/target/memory_requests.h"
#include "server/target/not_halted.h"

namespace longwire {
namespace {

constexpr std::size_t kLineBytes = 128;
/// A stub that failed is tried again after this.
constexpr std::chrono::seconds kRetry{3};

rpc::Answer DoneOr(const Result<void>& result) {
  if (!result) return result.error();
  return rpc::Done{};
}

/// Numbers that no processor has stay such.
std::uint16_t Narrow(std::uint32_t processor) {
  return static_cast<std::uint16_t>(std::min(processor, std::uint32_t{0xFFFF}));
}

template <class... Kinds>
bool IsOneOf(const rpc::Request& request) {
  return (std::holds_alternative<Kinds>(request) || ...);
}

}  // namespace

GdbTarget::GdbTarget(TargetOptions options, Wishes wishes, EventSink events)
    : options_(std::move(options)),
      wishes_(wishes),
      events_(std::move(events)),
      line_(*this),
      registers_(line_),
      raw_memory_(line_, registers_),
      memory_(raw_memory_, table_, kLineBytes),
      break_in_wanted_(options_.break_in || options_.left_halted) {
  table_.SetInstruction({});  // the stub keeps breakpoints out of the memory it shows
}

void GdbTarget::Inherit(const TargetHeritage& heritage) {
  stop_counter_ = heritage.stop_counter;
  table_.Inherit(heritage);
  break_in_wanted_ |= heritage.halted;
}

void GdbTarget::Opened(kd::TimePoint now) {
  line_.SetNow(now);
  line_.Reopen();
  SetState(rpc::TargetState::kSynchronizing);
  attach_ = true;
  Pump();
}

void GdbTarget::Lost(kd::TimePoint now, const Error& why) {
  line_.SetNow(now);
  task_ = {};
  line_.Reopen();
  OnLost(why);
  retry_at_.reset();  // the next stream begins anew
}

/// Called between resumptions of the task only.
void GdbTarget::OnLost(const Error& why) {
  task_ = {};
  task_done_ = departing_ = attach_ = false;
  work_.FailCurrent(why);
  work_.FailWaiting(why);
  break_in_wanted_ |= state_ == rpc::TargetState::kHalted;
  ForgetStop();
  table_.Clear();
  registers_.Restart();
  description_.reset();
  pending_stop_.reset();
  stepped_ = stepping_over_ = publish_again_ = false;
  first_stop_ = true;
  retry_at_ = line_.now() + kRetry;
  if (std::exchange(state_, rpc::TargetState::kOffline) != rpc::TargetState::kOffline)
    events_(rpc::LinkChanged{state_, std::nullopt, why.message, why.code, true});
  if (auto departure = std::exchange(departure_, std::nullopt)) departure->done();
}

void GdbTarget::OnResumeRefused() {
  events_(rpc::Output{"the gdb stub refused to let the target run\n", 0, 0});
  stepped_ = stepping_over_ = first_stop_ = false;
  gdb::StopReply here;
  here.thread = registers_.threads()[processor_];
  pending_stop_ = std::move(here);
}

void GdbTarget::Receive(kd::TimePoint now, kd::ByteView bytes) {
  line_.Receive(now, bytes);
  Pump();
}

void GdbTarget::Tick(kd::TimePoint now) {
  line_.Tick(now);
  if (retry_at_ && now >= *retry_at_) {
    retry_at_.reset();
    attach_ = true;
    SetState(rpc::TargetState::kSynchronizing);
  }
  Pump();
}

std::optional<kd::TimePoint> GdbTarget::Deadline() const {
  auto deadline = line_.Deadline();
  if (retry_at_) deadline = std::min(deadline.value_or(*retry_at_), *retry_at_);
  return deadline;
}

void GdbTarget::ForgetStop() {
  published_.reset();
  hits_.clear();
  memory_.Forget();
  registers_.Forget();
}

void GdbTarget::SetState(rpc::TargetState state) {
  if (state == state_) return;
  state_ = state;
  rpc::LinkChanged changed;
  changed.state = state;
  changed.description = description_;
  events_(std::move(changed));
}

void GdbTarget::StartTask(Task<void> task) {
  task_ = std::move(task);
  task_done_ = false;
  task_.Start([this] { task_done_ = true; });
}

/// Starts what is next whenever nothing is under way: an attach, a stop, a departure, then work in order.
void GdbTarget::Pump() {
  if (pumping_) return;
  pumping_ = true;
  for (;;) {
    if (!task_.empty()) {
      if (!task_done_) break;
      task_ = {};
      if (std::exchange(departing_, false)) {
        if (auto departure = std::exchange(departure_, std::nullopt)) departure->done();
      }
    }
    if (std::exchange(attach_, false)) {
      StartTask(Attach());
    } else if (pending_stop_) {
      StartTask(HandleStop(*std::exchange(pending_stop_, std::nullopt)));
    } else if (std::exchange(publish_again_, false)) {
      StartTask(PublishAgain());
    } else if (departure_) {
      departing_ = true;
      StartTask(Depart());
    } else if (work_.Take()) {
      StartTask(Execute());
    } else {
      break;
    }
  }
  pumping_ = false;
}

void GdbTarget::Perform(kd::TimePoint now, std::uint64_t ticket, rpc::Request request, kd::Bytes bulk,
                        Done done, bool observer) {
  line_.SetNow(now);
  Work work;
  work.ticket = ticket;
  work.request = std::move(request);
  work.bulk = std::move(bulk);
  work.done = std::move(done);
  work.observer = observer;
  if (!PerformAtOnce(work)) work_.Push(std::move(work));
  Pump();
}

bool GdbTarget::PerformAtOnce(Work& work) {
  if (IsOneOf<rpc::GetLinkStatus>(work.request)) {
    work.done(Status(), {});
    return true;
  }
  if (IsOneOf<rpc::AnswerPrompt, rpc::AnswerFile>(work.request)) {
    work.done(Error{Errc::kNotFound, "the target asked nothing: a gdb stub never does"}, {});
    return true;
  }
  const auto* configure = std::get_if<rpc::Configure>(&work.request);
  if (configure != nullptr && configure->trace_packets) {
    work.done(Error{Errc::kUnsupported, "only the packets of KD links are traced"}, {});
    return true;
  }
  if (IsOneOf<rpc::BreakIn>(work.request)) {
    BreakIn();
  } else if (!IsOneOf<rpc::Configure, rpc::Resynchronize>(work.request)) {
    return false;
  }
  work.done(rpc::Done{}, {});
  return true;
}

void GdbTarget::BreakIn() {
  if (state_ == rpc::TargetState::kHalted) return;
  break_in_wanted_ = true;
  if (line_.running()) line_.Interrupt();
}

void GdbTarget::SetBreakIn(kd::TimePoint now) {
  line_.SetNow(now);
  BreakIn();
}

void GdbTarget::Cancel(kd::TimePoint now, std::uint64_t ticket) {
  line_.SetNow(now);
  work_.Cancel(ticket);
}

void GdbTarget::Leave(kd::TimePoint now, bool resume, std::function<void()> done) {
  line_.SetNow(now);
  work_.FailWaiting(Error{Errc::kCancelled, "cancelled"});
  departure_ = Departure{resume || state_ == rpc::TargetState::kRunning, std::move(done)};
  Pump();
}

void GdbTarget::SetDriver(kd::TimePoint now, std::uint64_t epoch, bool) {
  line_.SetNow(now);
  driver_epoch_ = epoch;
  if (published_) published_->driver_epoch = epoch;
}

rpc::LinkStatus GdbTarget::Status() const {
  rpc::LinkStatus status;
  status.state = state_;
  status.bytes_received = line_.bytes_received();
  status.bytes_sent = line_.bytes_sent();
  status.packets_sent = status.exchanges = line_.questions();
  status.retransmissions = line_.stream().total_retransmissions();
  status.checksum_errors = line_.stream().checksum_errors();
  return status;
}

Task<void> GdbTarget::Execute() {
  Work& work = *work_.current;
  kd::Bytes bulk;
  rpc::Answer answer = Error{Errc::kUnsupported, "a gdb stub cannot do this"};
  if (auto error = NotHalted(state_, "no gdb stub answers on the link")) {
    answer = *error;
  } else if (work.limit.cancelled) {
    answer = Error{Errc::kCancelled, "cancelled"};
  } else if (IsOneOf<rpc::ReadMemory, rpc::WriteMemory, rpc::RunPlan>(work.request)) {
    answer =
        co_await AnswerMemoryRequest(work.request, work.bulk, memory_, options_.plan_time, work.limit, bulk);
  } else if (IsOneOf<rpc::SetBreakpoint, rpc::ClearBreakpoint, rpc::Resume, rpc::SwitchProcessor>(
                 work.request)) {
    answer = co_await ExecuteControl(work);
  } else {
    answer = co_await ExecuteRegisters(work, bulk);
  }
  work_.Finish(std::move(answer), std::move(bulk));
}

Task<rpc::Answer> GdbTarget::ExecuteRegisters(Work& work, kd::Bytes& bulk) {
  Result<kd::Bytes> bytes = Error{Errc::kUnsupported, "a gdb stub cannot do this"};
  if (const auto* get = std::get_if<rpc::GetContext>(&work.request)) {
    bytes = co_await registers_.GetContext(Narrow(get->processor));
  } else if (const auto* read = std::get_if<rpc::ReadControlSpace>(&work.request)) {
    bytes = co_await ReadControlSpace(Narrow(read->processor), read->selector);
    if (bytes && bytes->size() > read->size) bytes->resize(read->size);
  } else if (const auto* msr = std::get_if<rpc::ReadMsr>(&work.request)) {
    Result<std::uint64_t> value = co_await ReadMsr(Narrow(msr->processor), msr->number);
    if (!value) co_return value.error();
    co_return rpc::Answer(rpc::Value{*value});
  } else if (const auto* set = std::get_if<rpc::SetContext>(&work.request)) {
    const std::uint16_t processor = Narrow(set->processor);
    Result<void> done = co_await registers_.SetContext(processor, work.bulk);
    if (done && processor == processor_) {
      Result<void> begun = co_await BeginStop();
      if (!begun) co_return begun.error();
      if (published_) published_->context = work.bulk;
    }
    co_return DoneOr(done);
  }
  if (!bytes) co_return bytes.error();
  bulk = std::move(*bytes);
  co_return rpc::Answer(rpc::Bytes{});
}

Task<rpc::Answer> GdbTarget::ExecuteControl(Work& work) {
  if (const auto* set = std::get_if<rpc::SetBreakpoint>(&work.request)) {
    Result<std::uint64_t> id = co_await SetBreakpoint(*set);
    if (!id) co_return id.error();
    co_return rpc::Answer(rpc::Value{*id});
  }
  if (const auto* clear = std::get_if<rpc::ClearBreakpoint>(&work.request)) {
    Result<void> done = co_await ClearBreakpoint(clear->id);
    co_return DoneOr(done);
  }
  if (const auto* resume = std::get_if<rpc::Resume>(&work.request)) {
    Result<void> done = co_await Resume(*resume);
    co_return DoneOr(done);
  }
  const auto& change = std::get<rpc::SwitchProcessor>(work.request);
  if (change.processor >= registers_.threads().size())
    co_return Error{Errc::kUsage, "there is no such processor"};
  processor_ = Narrow(change.processor);
  publish_again_ = true;  // the answer goes out before the event of the new stop
  co_return rpc::Answer(rpc::Done{});
}

}  // namespace longwire

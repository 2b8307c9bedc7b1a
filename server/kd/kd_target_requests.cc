#include <algorithm>
#include <utility>

#include "server/kd/kd_target.h"
#include "server/target/memory_requests.h"
#include "server/target/not_halted.h"

namespace longwire {
namespace {

rpc::Answer DoneOr(const Result<void>& result) {
  if (!result) return result.error();
  return rpc::Done{};
}

}  // namespace

/// Runs the piece of work in `work_.current` and answers it.
Task<void> KdTarget::Execute() {
  Work& work = *work_.current;
  kd::Bytes bulk;
  rpc::Answer answer = Error{Errc::kUnsupported, "this request is not for a target"};
  if (auto error = NotHalted(state_, "no target answers on the link")) {
    answer = *error;
  } else if (work.limit.cancelled) {
    answer = Error{Errc::kCancelled, "cancelled"};
  } else if (Result<void> settled = co_await planter_.Settle(); !settled) {
    answer = settled.error();
  } else if (work.request.index() >= 2 && work.request.index() <= 4) {
    answer =
        co_await AnswerMemoryRequest(work.request, work.bulk, memory_, options_.plan_time, work.limit, bulk);
  } else if (work.request.index() >= 5 && work.request.index() <= 12) {
    answer = co_await ExecuteRegisters(work, bulk);
  } else {
    answer = co_await ExecuteControl(work);
  }
  if (std::exchange(facts_.inconsistent_reply, false)) {
    options_.log(
        "protocol error: the target claimed more bytes than it sent or was asked for; the reply was clipped");
  }
  work_.Finish(std::move(answer), std::move(bulk));
}

Task<rpc::Answer> KdTarget::ExecuteRegisters(Work& work, kd::Bytes& bulk) {
  const auto check = [this](std::uint32_t processor) { return processor < processors(); };
  const Error none{Errc::kUsage, "there is no such processor"};
  if (const auto* get = std::get_if<rpc::GetContext>(&work.request)) {
    if (!check(get->processor)) co_return none;
    Result<kd::Bytes> context = co_await registers_.GetContext(static_cast<std::uint16_t>(get->processor));
    if (!context) co_return context.error();
    bulk = std::move(*context);
    co_return rpc::Answer(rpc::Bytes{});
  }
  if (const auto* set = std::get_if<rpc::SetContext>(&work.request)) {
    if (!check(set->processor)) co_return none;
    const auto processor = static_cast<std::uint16_t>(set->processor);
    if (processor == stop_->processor()) Remember().moved = true;
    Result<void> done = co_await registers_.SetContext(processor, work.bulk);
    const kd::ContextLayout* layout = facts_.layout();
    if (done && layout != nullptr && processor == stop_->processor()) {
      stop_->program_counter = kd::LoadWord(*layout, work.bulk, layout->pc_offset);
      if (published_) published_->context = work.bulk;
    } else if (done && layout != nullptr && reporter_ && processor == reporter_->processor) {
      reporter_->program_counter = kd::LoadWord(*layout, work.bulk, layout->pc_offset);
    }
    co_return DoneOr(done);
  }
  if (const auto* read = std::get_if<rpc::ReadControlSpace>(&work.request)) {
    if (!check(read->processor)) co_return none;
    Result<kd::Bytes> data = co_await registers_.ReadControlSpace(static_cast<std::uint16_t>(read->processor),
                                                                  read->selector, read->size);
    if (!data) co_return data.error();
    bulk = std::move(*data);
    co_return rpc::Answer(rpc::Bytes{});
  }
  if (const auto* write = std::get_if<rpc::WriteControlSpace>(&work.request)) {
    if (!check(write->processor)) co_return none;
    Result<void> done = co_await registers_.WriteControlSpace(static_cast<std::uint16_t>(write->processor),
                                                              write->selector, work.bulk);
    memory_.Forget();  // Cr3 may be among what was written
    co_return DoneOr(done);
  }
  if (const auto* read = std::get_if<rpc::ReadMsr>(&work.request)) {
    if (!check(read->processor)) co_return none;
    Result<std::uint64_t> value =
        co_await registers_.ReadMsr(static_cast<std::uint16_t>(read->processor), read->number);
    if (!value) co_return value.error();
    co_return rpc::Answer(rpc::Value{*value});
  }
  if (const auto* write = std::get_if<rpc::WriteMsr>(&work.request)) {
    if (!check(write->processor)) co_return none;
    Result<void> done = co_await registers_.WriteMsr(static_cast<std::uint16_t>(write->processor),
                                                     write->number, write->value);
    memory_.Forget();
    co_return DoneOr(done);
  }
  if (const auto* read = std::get_if<rpc::ReadIo>(&work.request)) {
    Result<std::uint32_t> value = co_await registers_.ReadIo(read->port, read->size);
    if (!value) co_return value.error();
    co_return rpc::Answer(rpc::Value{*value});
  }
  const auto& write = std::get<rpc::WriteIo>(work.request);
  Result<void> done = co_await registers_.WriteIo(write.port, write.size, write.value);
  memory_.Forget();
  co_return DoneOr(done);
}

Task<rpc::Answer> KdTarget::ExecuteControl(Work& work) {
  if (const auto* set = std::get_if<rpc::SetBreakpoint>(&work.request)) {
    Result<std::uint64_t> id = co_await planter_.Set(*set, processors());
    if (!id) co_return id.error();
    co_return rpc::Answer(rpc::Value{*id});
  }
  if (const auto* clear = std::get_if<rpc::ClearBreakpoint>(&work.request)) {
    Result<void> done = co_await planter_.Clear(clear->id, processors());
    co_return DoneOr(done);
  }
  if (const auto* resume = std::get_if<rpc::Resume>(&work.request)) {
    Result<void> done = co_await Resume(*resume);
    co_return DoneOr(done);
  }
  if (const auto* change = std::get_if<rpc::SwitchProcessor>(&work.request)) {
    Result<void> done = co_await SwitchProcessor(change->processor);
    co_return DoneOr(done);
  }
  if (std::holds_alternative<rpc::Reboot>(work.request)) {
    Result<void> done = co_await LeaveForGood(kd::EncodeReboot(), "the target was told to restart");
    co_return DoneOr(done);
  }
  if (std::holds_alternative<rpc::Crash>(work.request)) {
    Result<void> done = co_await LeaveForGood(kd::EncodeCauseBugCheck(0xE2), "the target was told to crash");
    co_return DoneOr(done);
  }
  co_return Error{Errc::kUnsupported, "this request is not for a target"};
}

Task<Result<void>> KdTarget::Resume(const rpc::Resume& request) {
  if (request.driver_epoch != driver_epoch_) {
    co_return Error{Errc::kFenced, "another client drives this target now"};
  }
  if (request.stop_counter != stop_counter_) {
    co_return Error{Errc::kFenced, "the target has run and stopped again since; look at the new stop first"};
  }
  if (request.temporary_breakpoints.size() > kd::kBreakpointSlots) {
    co_return Error{Errc::kLimitExceeded, "the target has room for 32 breakpoints"};
  }
  if (request.step && request.processor) {
    if (const auto error = CannotStep(*request.processor)) co_return *error;
  }
  for (const std::uint64_t address : request.temporary_breakpoints) {
    Result<void> added = co_await planter_.AddTemporary(address);
    if (added) continue;
    Result<void> removed = co_await planter_.RemoveTemporary();
    static_cast<void>(removed);
    co_return added;
  }
  if (request.step && request.processor && *request.processor != stop_->processor())
    co_return co_await StepOther(*request.processor, request.handled);
  co_return co_await GoOn(request.step, request.handled, true);
}

/// Reboot and crash: the target is gone with the acknowledge (H60).
Task<Result<void>> KdTarget::LeaveForGood(kd::Bytes request, const char* text) {
  Result<kd::Bytes> sent = co_await line_.Command(std::move(request));
  if (!sent) co_return sent.error();
  const auto published = std::exchange(published_, std::nullopt);
  ForgetStop();
  table_.Clear();
  facts_.identified = false;
  facts_.data.reset();
  restarted_ = true;
  if (published) events_(rpc::Resumed{published->stop_counter});
  SetState(rpc::TargetState::kRunning, text);
  co_return Result<void>{};
}

}  // namespace longwire

#include <algorithm>
#include <utility>

#include "proto/gdb/hex.h"
#include "proto/kd/state_change.h"
#include "server/passthrough/gdb_session.h"

namespace longwire {
namespace {

// gdb's own numbers of signals (include/gdb/signals.def).
constexpr std::uint8_t kInterrupted = 2, kIllegal = 4, kTrap = 5, kArithmetic = 8, kBus = 10, kSegment = 11;

std::uint8_t SignalFor(const rpc::StopEvent& stop) {
  if (stop.break_in) return kInterrupted;
  if (stop.reason != rpc::StopEvent::Reason::kException) return kTrap;
  switch (stop.exception.code) {
    case kd::kExceptionAccessViolation:
    case 0xC00000FD: return kSegment;  // stack overflow
    case 0xC0000006:                   // page cannot be read
    case 0x80000002: return kBus;      // misaligned
    case 0xC000001D:
    case 0xC0000096: return kIllegal;  // and privileged instructions
    default:
      // Integer and floating-point arithmetic, 8C to 95.
      return stop.exception.code >= 0xC000008C && stop.exception.code <= 0xC0000095 ? kArithmetic : kTrap;
  }
}

std::optional<rpc::BreakpointKind> KindOf(char type) {
  switch (type) {
    case '0': return rpc::BreakpointKind::kCode;
    case '1': return rpc::BreakpointKind::kExecute;
    case '2': return rpc::BreakpointKind::kWrite;
    case '3':  // the processors have none for reads alone; gdb passes over what it did not ask for
    case '4': return rpc::BreakpointKind::kReadWrite;
    default: return std::nullopt;
  }
}

}  // namespace

std::string GdbSession::DescribeStop() const {
  if (!stop_) return "E01";
  const std::string_view digits = "0123456789abcdef";
  const std::uint8_t signal = SignalFor(*stop_);
  std::string text = std::string("T") + digits[signal >> 4] + digits[signal & 15];
  for (const auto& [point, id] : breakpoints_) {
    if (std::find(stop_->breakpoints.begin(), stop_->breakpoints.end(), id) == stop_->breakpoints.end())
      continue;
    if (point.type == '0' && reports_swbreak_) text += "swbreak:;";
    if (point.type == '1' && reports_hwbreak_) text += "hwbreak:;";
    const char* watch = point.type == '2' ? "watch:" : point.type == '3' ? "rwatch:" : "awatch:";
    if (point.type >= '2') text += watch + gdb::EncodeNumber(point.address) + ";";
    break;  // one reason per stop
  }
  text += "thread:" + gdb::EncodeNumber(stop_->processor + 1) + ";";
  if (!map_ || stop_->context.empty()) return text;
  for (const char* name : {"rip", "rsp", "eip", "esp", "pc", "sp"}) {
    const auto number = map_->Find(name);
    if (!number) continue;
    text += gdb::EncodeNumber(*number) + ":" +
            gdb::EncodeHex(map_->Get(map_->registers()[*number], stop_->context)) + ";";
  }
  return text;
}

// ---- breakpoints

/// `TYPE,ADDRESS,KIND`
Task<std::string> GdbSession::SetBreakpoint(std::string arguments) {
  std::string_view text = arguments;
  Breakpoint point;
  const std::string_view type = gdb::TakeField(text, ',');
  const auto address = gdb::DecodeNumber(gdb::TakeField(text, ','));
  const auto size = gdb::DecodeNumber(gdb::TakeField(text, ';'));
  const auto kind = type.size() == 1 ? KindOf(type.front()) : std::nullopt;
  if (!kind) co_return "";
  if (!address || !size) co_return "E16";
  point.type = type.front();
  point.address = *address;
  point.size = *size;
  if (breakpoints_.contains(point)) co_return "OK";
  if (breakpoints_.size() >= kMaxBreakpoints) co_return "E0c";
  rpc::SetBreakpoint request;
  request.kind = *kind;
  request.address = point.address;
  request.size = point.type >= '2' ? static_cast<std::uint32_t>(std::min<std::uint64_t>(*size, 16)) : 1;
  const Reply reply = co_await Ask(request);
  const auto* id = std::get_if<rpc::Value>(&reply.answer);
  if (id == nullptr) co_return "E0e";
  breakpoints_[point] = id->value;
  co_return "OK";
}

Task<std::string> GdbSession::ClearBreakpoint(std::string arguments) {
  std::string_view text = arguments;
  const std::string_view type = gdb::TakeField(text, ',');
  const auto address = gdb::DecodeNumber(gdb::TakeField(text, ','));
  const auto size = gdb::DecodeNumber(text);
  if (type.size() != 1 || !KindOf(type.front())) co_return "";
  if (!address || !size) co_return "E16";
  const auto found = breakpoints_.find(Breakpoint{type.front(), *address, *size});
  if (found == breakpoints_.end()) co_return "OK";
  const std::uint64_t id = found->second;
  breakpoints_.erase(found);
  const Reply reply = co_await Ask(rpc::ClearBreakpoint{id});
  co_return std::holds_alternative<rpc::Done>(reply.answer) ? "OK" : "E01";
}

// ---- running

/// `vCont;ACTION[:THREAD]...`: the first action that fits a processor is its own. One that is stepped decides
/// for all, because the target runs as a whole.
bool GdbSession::ReadVCont(std::string_view actions, Action& action) const {
  bool any = false;
  while (!actions.empty()) {
    std::string_view one = gdb::TakeField(actions, ';');
    const std::string_view what = gdb::TakeField(one, ':');
    if (what.empty()) return false;
    const char kind = what.front();
    const bool step = kind == 's' || kind == 'S';
    if (!step && kind != 'c' && kind != 'C') return false;
    const auto processor = Processor(one.empty() ? "-1" : one, stop_->processor);
    if (!processor) return false;
    const bool signalled =
        (kind == 'C' || kind == 'S') && gdb::DecodeNumber(what.substr(1)).value_or(0) > kTrap;
    if (signalled) action.handled = false;
    if (step && !action.step) {
      action.step = true;
      action.processor = *processor;
    }
    any = true;
  }
  return any;
}

std::optional<GdbSession::Action> GdbSession::ReadAction(std::string_view packet) const {
  Action action;
  action.processor = stop_->processor;
  if (packet.starts_with("vCont;")) {
    if (!ReadVCont(packet.substr(6), action)) return std::nullopt;
    return action;
  }
  // c, s, C05, S05; at another address only by setting the program counter first.
  const bool signal = packet.front() == 'C' || packet.front() == 'S';
  const auto number = signal ? gdb::DecodeNumber(packet.substr(1)) : std::optional<std::uint64_t>(0);
  if (!number || (!signal && packet.size() > 1)) return std::nullopt;
  action.handled = *number <= kTrap;
  action.step = packet.front() == 's' || packet.front() == 'S';
  if (action.step && stepped_ < processors()) action.processor = stepped_;
  return action;
}

Task<std::string> GdbSession::Resume(std::string packet) {
  if (!stop_) co_return "E01";
  const auto action = ReadAction(packet);
  if (!action) co_return "E16";
  co_return co_await Run(*action);
}

Task<std::string> GdbSession::Run(Action action) {
  rpc::Resume resume;
  resume.stop_counter = stop_->stop_counter;
  resume.driver_epoch = driver_epoch_;
  resume.step = action.step;
  resume.handled = action.handled;
  if (action.step && action.processor != stop_->processor) resume.processor = action.processor;
  const auto before = std::exchange(stop_, std::nullopt);
  running_ = under_way_ = true;
  const Reply resumed = co_await Ask(std::move(resume));
  under_way_ = false;
  if (!std::holds_alternative<rpc::Done>(resumed.answer)) {
    running_ = break_in_wanted_ = false;
    if (!stop_) stop_ = before;
    co_return "E01";
  }
  SendOutput();
  if (std::exchange(break_in_wanted_, false) && !stop_) Interrupt();
  const bool stopped = co_await NextStop();
  if (!stopped) co_return "X09";
  running_ = false;
  general_ = stepped_ = stop_->processor;
  co_return DescribeStop();
}

/// Gives the link back with a target that runs.
Task<std::string> GdbSession::Leave(std::string last_words) {
  const Reply reply = co_await Ask(rpc::CloseLink{true});
  static_cast<void>(reply);  // nobody is left to hear of a failure
  Finish(last_words);
  co_return "";
}

}  // namespace longwire

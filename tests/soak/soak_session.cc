#include "tests/soak/soak_session.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

namespace longwire::test {
namespace {

constexpr std::uint32_t kBreakpoint = 0x80000003, kSingleStep = 0x80000004;
/// The longest that a halt may take: a lost break-in, RESETs, and the target reported anew.
constexpr std::chrono::seconds kHaltPatience{60};

std::string Hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
  return text;
}

/// "PREFIX <number> ..." as its number.
std::optional<std::uint64_t> NumberBehind(const std::string& text, const std::string& prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return std::strtoull(text.c_str() + prefix.size(), nullptr, 10);
}

}  // namespace

SoakSession::SoakSession(Target& target, const KnownMachine& known, std::uint64_t seed)
    : target_(target), known_(known), random_(seed), scratch_(512), doubt_(512) {}

bool SoakSession::Fail(const std::string& what) {
  if (failure_.empty()) {
    failure_ = "operation " + std::to_string(tally_.operations) + " (" + name_ + "): " + what;
  }
  return false;
}

bool SoakSession::Allow(const Error& error) {
  switch (error.code) {
    case Errc::kTimedOut:
    case Errc::kLinkFailed:
    case Errc::kTargetRestarted:
    case Errc::kTargetOffline:
    case Errc::kTargetRunning:
    case Errc::kFenced:
      ++tally_.errors;
      ++tally_.errors_by_name[std::string(name_) + ": " + error.message];
      return false;
    case Errc::kCancelled: return Fail("hangs");
    default: return Fail("an error that no line causes: " + error.message);
  }
}

bool SoakSession::Operate() {
  const std::vector<Operation>& operations = Operations();
  name_ = "halt";
  if (!EnsureHalted() || !ForgetBreakpoints()) return !failed();
  unsigned total = 0;
  for (const Operation& operation : operations) total += operation.weight;
  std::uint64_t at = Below(total);
  const Operation* chosen = operations.data();
  while (at >= chosen->weight) at -= chosen++->weight;

  name_ = chosen->name;
  ++tally_.operations;
  const auto started = Clock::now();
  if ((this->*chosen->run)()) ++tally_.done[name_];
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
  if (took > tally_.slowest) {
    tally_.slowest = took;
    tally_.slowest_name = name_;
  }
  return !failed();
}

// ---- events

bool SoakSession::Wait(Clock::duration patience, const std::function<bool()>& done) {
  const auto deadline = Clock::now() + patience;
  while (!done()) {
    Result<std::optional<rpc::Event>> event = target_.WaitEvent(deadline);
    if (!event) {
      return Fail(event.error().code == Errc::kCancelled ? "hangs"
                                                         : "the session ended: " + event.error().message);
    }
    if (!*event) return false;
    OnEvent(**event);
    if (failed()) return false;
    // After a RESET the target asks again; it cannot halt before it has its answer.
    if (!std::exchange(prompted_, false)) continue;
    Result<void> answered = target_.AnswerPrompt(answer_);
    if (!answered && answered.error().code != Errc::kNotFound) Allow(answered.error());
  }
  return true;
}

void SoakSession::Quiet() {
  Wait(std::chrono::milliseconds(0), [] { return false; });
}

void SoakSession::OnEvent(const rpc::Event& event) {
  if (const auto* stop = std::get_if<rpc::StopEvent>(&event)) {
    OnStop(*stop);
  } else if (const auto* output = std::get_if<rpc::Output>(&event)) {
    OnOutput(output->text);
  } else if (const auto* prompt = std::get_if<rpc::PromptRequested>(&event)) {
    if (prompt->text != "Demo driver asks (boi)? ") Fail("a prompt that was not sent: " + prompt->text);
    prompted_ = true;
  } else if (const auto* link = std::get_if<rpc::LinkChanged>(&event)) {
    if (link->closed) Fail("the link was given up: " + link->text);
    if (link->failed) ++tally_.losses;
    if (link->text.find("restarted") == std::string::npos) return;
    ++tally_.restarts;
    doubtful_.insert(breakpoints_.begin(), breakpoints_.end());
    breakpoints_.clear();
    for (const std::uint64_t id : std::exchange(data_breakpoints_, {})) doubtful_[id] = 0;
  }
}

void SoakSession::OnStop(const rpc::StopEvent& stop) {
  last_stop_ = stop;
  ++tally_.stops;
  if (stop.bugcheck) return void(Fail("the target crashed, code " + Hex(stop.bugcheck->code)));
  for (const std::uint64_t id : stop.breakpoints) {
    const bool data = data_breakpoints_.contains(id);
    const auto own = breakpoints_.find(id);
    if (!data && own == breakpoints_.end() && !doubtful_.contains(id))
      return void(Fail("a stop at breakpoint " + std::to_string(id) + ", which is not set"));
    if (own != breakpoints_.end() && own->second != stop.program_counter)
      return void(Fail("a stop at a breakpoint, but at " + Hex(stop.program_counter)));
  }
  if (!stop.breakpoints.empty()) return;
  if (stop.exception.code == kBreakpoint && stop.program_counter == known_.break_in) {
    if (!stop.break_in) ++tally_.stray_stops;
    return;
  }
  if (stop.exception.code == kSingleStep && (stepping_ || stop.restarted) &&
      known_.InCode(stop.program_counter))
    return;
  const bool ours = stop.program_counter == known_.leaf || stop.program_counter == known_.delay;
  if (stop.exception.code == kBreakpoint && stop.restarted && ours) return;
  Fail("a stop nobody asked for: exception " + Hex(stop.exception.code) + " at " + Hex(stop.program_counter));
}

void SoakSession::OnOutput(const std::string& text) {
  if (const auto number = NumberBehind(text, "demo: print ")) {
    if (*number <= last_print_ || *number >= next_print_) Fail("a print out of order or twice: " + text);
    last_print_ = *number;
  } else if (const auto line = NumberBehind(text, "demo: burst ")) {
    if (!burst_lines_.insert(*line).second || *line != *burst_lines_.rbegin() || *line > burst_size_)
      Fail("a burst's print out of order or twice: " + text);
  } else if (text.starts_with("demo: answer of ")) {
    answered_ = true;
    const std::string wanted =
        "demo: answer of " + std::to_string(answer_.size()) + " characters: " + answer_ + "\n";
    if (text != wanted) Fail("the target got another answer: " + text);
  } else {
    Fail("output that was not sent: " + text);
  }
}

// ---- run control

bool SoakSession::EnsureHalted() {
  Quiet();
  if (failed()) return false;
  if (target_.state() == rpc::TargetState::kHalted) return true;
  target_.BreakIn();
  if (Wait(kHaltPatience, [this] { return target_.state() == rpc::TargetState::kHalted; })) return true;
  return Fail("the target does not halt; state " + std::to_string(static_cast<int>(target_.state())));
}

bool SoakSession::Go(bool step) {
  last_stop_.reset();
  stepping_ = step;
  Target::ResumeOptions options;
  options.step = step;
  Result<void> resumed = target_.Resume(options);
  return resumed ? true : Allow(resumed.error());
}

/// After a restart that was none, clears what may still stand in the target.
bool SoakSession::ForgetBreakpoints() {
  while (!doubtful_.empty()) {
    const std::uint64_t id = doubtful_.begin()->first;
    Result<void> cleared = target_.ClearBreakpoint(id);
    if (!cleared && cleared.error().code != Errc::kNotFound) return Allow(cleared.error());
    doubtful_.erase(id);
  }
  return true;
}

// ---- the end

bool SoakSession::Finish() {
  name_ = "finish";
  if (!EnsureHalted()) return false;
  const auto working = [this](const Result<void>& result, const char* what) {
    return result ? true : Fail(std::string(what) + " on a good line: " + result.error().message);
  };
  for (const auto& points : {std::exchange(breakpoints_, {}), std::exchange(doubtful_, {})}) {
    for (const auto& [id, address] : points) {
      Result<void> cleared = target_.ClearBreakpoint(id);
      if (!cleared && cleared.error().code == Errc::kNotFound) continue;
      if (!working(cleared, "a breakpoint could not be cleared")) return false;
    }
  }
  for (const std::uint64_t id : std::exchange(data_breakpoints_, {})) {
    if (!working(target_.ClearBreakpoint(id), "a data breakpoint could not be cleared")) return false;
  }
  for (const KnownMachine::Range& range : known_.code) {
    std::vector<std::byte> bytes(range.bytes.size());
    Result<std::size_t> read = target_.ReadUncached(AddressSpace::Virtual(), range.address, bytes);
    if (!read) return Fail("code could not be read on a good line: " + read.error().message);
    if (*read != bytes.size() || !std::ranges::equal(bytes, std::as_bytes(std::span(range.bytes))))
      return Fail("the code of the target was changed at " + Hex(range.address));
  }
  if (!working(target_.Resume({}), "the target could not be resumed")) return false;
  if (!EnsureHalted()) return false;
  return working(target_.Resume({}), "the target could not be resumed again");
}

}  // namespace longwire::test

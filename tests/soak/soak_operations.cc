#include <algorithm>
#include <cstdio>
#include <span>
#include <utility>

#include "tests/soak/soak_session.h"

namespace longwire::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Commands of the demo driver (tests/target/drivers/demo.h).
constexpr std::uint32_t kPrint = 1, kPrompt = 2, kPrintBurst = 9;
constexpr std::size_t kRip = 0xF8, kContextSize = 0x4D0, kSpecialSize = 0xE0;
constexpr std::uint64_t kAbsent = 0xFFFFDEAD00001000, kSpecialRegisters = 2;
constexpr std::uint64_t kTicksOfAMiss = 300;
/// Long enough for what a driver does within ticks, with every packet of it repeated several times.
constexpr seconds kRunPatience{40};
/// A target that has not served a command by then is stopped and asked whether it has, and goes on.
constexpr seconds kCommandPatience{5};
constexpr std::size_t kMostBreakpoints = 2;

std::uint64_t LoadLittle(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::vector<std::byte> StoreLittle(std::uint64_t value, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return bytes;
}

}  // namespace

const std::vector<SoakSession::Operation>& SoakSession::Operations() {
  static const std::vector<Operation> kOperations = {
      {"read", 20, &SoakSession::ReadCode},
      {"read uncached", 20, &SoakSession::ReadCodeUncached},
      {"read absent memory", 3, &SoakSession::ReadAbsent},
      {"registers", 6, &SoakSession::ReadRegisters},
      {"special registers", 4, &SoakSession::ReadSpecialRegisters},
      {"module list", 3, &SoakSession::WalkModules},
      {"write", 8, &SoakSession::WriteScratch},
      {"read back", 6, &SoakSession::ReadScratch},
      {"set breakpoint", 5, &SoakSession::SetBreakpoint},
      {"clear breakpoint", 4, &SoakSession::ClearBreakpoint},
      {"set data breakpoint", 2, &SoakSession::SetDataBreakpoint},
      {"step", 6, &SoakSession::Step},
      {"run to breakpoint", 8, &SoakSession::RunToBreakpoint},
      {"run and break in", 4, &SoakSession::RunAndBreakIn},
      {"print", 4, &SoakSession::Print},
      {"print burst", 2, &SoakSession::PrintBurst},
      {"prompt", 3, &SoakSession::Prompt},
  };
  return kOperations;
}

// ---- memory and registers

bool SoakSession::ReadKnown(bool uncached) {
  const KnownMachine::Range& range = known_.code[Below(known_.code.size())];
  const std::size_t from = Below(range.bytes.size());
  const std::size_t size = 1 + Below(std::min<std::size_t>(range.bytes.size() - from, 9000));
  std::vector<std::byte> bytes(size);
  const std::uint64_t address = range.address + from;
  Result<std::size_t> read = uncached ? target_.ReadUncached(AddressSpace::Virtual(), address, bytes)
                                      : target_.Read(AddressSpace::Virtual(), address, bytes);
  if (!read) return Allow(read.error());
  const auto expected = std::as_bytes(std::span(range.bytes)).subspan(from, size);
  if (*read != size) return Fail("read " + std::to_string(*read) + " of " + std::to_string(size) + " bytes");
  const auto [seen, wanted] = std::ranges::mismatch(bytes, expected);
  if (seen == bytes.end()) return true;
  char text[96];
  std::snprintf(text, sizeof text, "byte %zu of %zu at %llx is %02x, not %02x",
                static_cast<std::size_t>(seen - bytes.begin()), size,
                static_cast<unsigned long long>(address), std::to_integer<unsigned>(*seen),
                std::to_integer<unsigned>(*wanted));
  return Fail(text);
}

bool SoakSession::ReadCode() { return ReadKnown(false); }
bool SoakSession::ReadCodeUncached() { return ReadKnown(true); }

bool SoakSession::ReadAbsent() {
  std::vector<std::byte> bytes(16);
  Result<std::size_t> read = target_.ReadUncached(AddressSpace::Virtual(), kAbsent + Below(0x10000), bytes);
  if (read) return *read == 0 ? true : Fail("memory that is not there was read");
  return read.error().code == Errc::kUnreadable ? true : Allow(read.error());
}

bool SoakSession::ReadRegisters() {
  Result<std::vector<std::byte>> context = target_.ReadContext(0);
  if (!context) return Allow(context.error());
  if (context->size() != kContextSize)
    return Fail("a context of " + std::to_string(context->size()) + " bytes");
  // The stop may have become another one meanwhile.
  const std::optional<rpc::StopEvent> stop = target_.stop();
  if (!stop || stop->processor != 0) return true;
  const std::uint64_t pc = LoadLittle(std::span(*context).subspan(kRip, 8));
  if (pc != stop->program_counter) {
    Quiet();
    if (failed() || !target_.stop() || target_.stop()->stop_counter != stop->stop_counter) return true;
    return Fail("registers of another stop");
  }
  return true;
}

bool SoakSession::ReadSpecialRegisters() {
  Result<std::vector<std::byte>> special = target_.ReadControlSpace(0, kSpecialRegisters, kSpecialSize);
  if (!special) return Allow(special.error());
  if (special->size() != kSpecialSize) return Fail("special registers cut short");
  const std::uint64_t cr0 = LoadLittle(std::span(*special).first(8));
  return (cr0 & 0x80000001) == 0x80000001 ? true : Fail("special registers of something else");
}

std::optional<std::uint64_t> SoakSession::Load(std::uint64_t address, std::size_t size) {
  std::vector<std::byte> bytes(size);
  Result<std::size_t> read = target_.ReadUncached(AddressSpace::Virtual(), address, bytes);
  if (!read) {
    Allow(read.error());
    return std::nullopt;
  }
  if (*read != size) {
    Fail("memory that is there was not read");
    return std::nullopt;
  }
  return LoadLittle(bytes);
}

bool SoakSession::WalkModules() {
  std::optional<std::uint64_t> at = Load(known_.module_list, 8);
  for (const auto& [name, base] : known_.modules) {
    if (!at) return false;
    const std::optional<std::uint64_t> seen = Load(*at + 0x30, 8);
    if (!seen) return false;
    if (*seen != base) return Fail("another module list");
    at = Load(*at, 8);
  }
  if (!at) return false;
  return *at == known_.module_list ? true : Fail("a longer module list");
}

bool SoakSession::WriteScratch() {
  const std::size_t from = Below(scratch_.size());
  const std::size_t size = 1 + Below(scratch_.size() - from);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(Below(256));
  Result<std::size_t> written = target_.Write(AddressSpace::Virtual(), known_.scratch + from, bytes);
  if (!written) {
    for (std::size_t i = 0; i < size; ++i) doubt_[from + i] = std::to_integer<std::uint8_t>(bytes[i]);
    // Two writes of unknown outcome would leave more than two possibilities.
    Allow(written.error());
    if (!failed() && EnsureHalted()) ReadScratch();
    return false;
  }
  if (*written != size) return Fail("only a part was written");
  for (std::size_t i = 0; i < size; ++i) {
    scratch_[from + i] = std::to_integer<std::uint8_t>(bytes[i]);
    doubt_[from + i].reset();
  }
  return true;
}

bool SoakSession::ReadScratch() {
  std::vector<std::byte> bytes(scratch_.size());
  Result<std::size_t> read = target_.ReadUncached(AddressSpace::Virtual(), known_.scratch, bytes);
  if (!read) {
    // Nothing is known any more of what was in doubt.
    const bool in_doubt = std::ranges::any_of(doubt_, [](const auto& byte) { return byte.has_value(); });
    if (in_doubt) scratch_known_ = false;
    return Allow(read.error());
  }
  if (*read != bytes.size()) return Fail("the scratch memory was not read whole");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto seen = std::to_integer<std::uint8_t>(bytes[i]);
    if (scratch_known_ && seen != scratch_[i] && seen != doubt_[i])
      return Fail("byte " + std::to_string(i) + " is not what was written");
    scratch_[i] = seen;
    doubt_[i].reset();
  }
  scratch_known_ = true;
  return true;
}

// ---- breakpoints and runs

bool SoakSession::SetBreakpoint() {
  if (breakpoints_.size() >= kMostBreakpoints) return ClearBreakpoint();
  const std::uint64_t address = Below(2) == 0 ? known_.leaf : known_.delay;
  Result<std::uint64_t> id = target_.SetBreakpoint({rpc::BreakpointKind::kCode, address, 1});
  if (!id) return Allow(id.error());
  breakpoints_[*id] = address;
  return true;
}

bool SoakSession::SetDataBreakpoint() {
  if (!data_breakpoints_.empty()) return ClearBreakpoint();
  Result<std::uint64_t> id = target_.SetBreakpoint({rpc::BreakpointKind::kWrite, known_.ticks, 8});
  if (!id) return Allow(id.error());
  data_breakpoints_.insert(*id);
  return true;
}

bool SoakSession::ClearBreakpoint() {
  std::uint64_t id = 0;
  if (!data_breakpoints_.empty()) {
    id = *data_breakpoints_.begin();
  } else if (!breakpoints_.empty()) {
    id = breakpoints_.begin()->first;
  } else {
    return true;
  }
  Result<void> cleared = target_.ClearBreakpoint(id);
  if (!cleared) {
    Allow(cleared.error());
    doubtful_[id] = 0;
  }
  breakpoints_.erase(id);
  data_breakpoints_.erase(id);
  return cleared.has_value();
}

bool SoakSession::Step() {
  for (std::uint64_t left = 1 + Below(4); left > 0; --left) {
    if (!Go(true)) return false;
    if (!Wait(kRunPatience, [this] { return last_stop_.has_value(); })) {
      return failed() ? false : Fail("a step that does not end");
    }
    Quiet();
    if (failed() || target_.state() != rpc::TargetState::kHalted) return false;
  }
  return true;
}

bool SoakSession::RunToBreakpoint() {
  if (breakpoints_.empty() && data_breakpoints_.empty()) return RunAndBreakIn();
  const std::optional<std::uint64_t> before = Load(known_.ticks, 8);
  if (!before) return false;
  const std::uint64_t restarts = tally_.restarts;
  if (!Go()) return false;
  if (Wait(seconds(12), [this] { return last_stop_.has_value(); })) return true;
  if (failed() || !EnsureHalted()) return false;
  const std::optional<std::uint64_t> after = Load(known_.ticks, 8);
  if (after && *after - *before > kTicksOfAMiss && tally_.restarts == restarts)
    return Fail("the target ran through a breakpoint");
  return false;
}

bool SoakSession::RunAndBreakIn() {
  if (!Go()) return false;
  Wait(milliseconds(Below(200)), [this] { return last_stop_.has_value(); });
  return failed() ? false : EnsureHalted();
}

// ---- what the target says

bool SoakSession::Command(std::uint32_t command, std::uint64_t argument) {
  Result<std::size_t> written =
      target_.Write(AddressSpace::Virtual(), known_.argument, StoreLittle(argument, 8));
  if (!written) return Allow(written.error());
  written = target_.Write(AddressSpace::Virtual(), known_.command, StoreLittle(command, 4));
  return written ? true : Allow(written.error());
}

/// RESET procedures of the link so far.
std::uint64_t SoakSession::Resets() {
  const Result<rpc::LinkStatus> status = target_.LinkStatus();
  return status ? status->resets : 0;
}

/// Lets the target run until it has served the command, through every stop on the way. What it said by then
/// must be `done`.
bool SoakSession::RunCommand(std::uint32_t command, std::uint64_t argument, const std::function<bool()>& done,
                             const char* what) {
  // Breakpoints in the way make it many stops instead of one run; now and then that is wanted.
  while (Below(4) != 0 && (!breakpoints_.empty() || !data_breakpoints_.empty())) {
    if (!ClearBreakpoint()) return false;
  }
  const std::optional<std::uint64_t> before = Load(known_.commands_done, 4);
  if (!before || !Command(command, argument)) return false;
  const std::uint64_t restarts = tally_.restarts, resets = Resets();
  for (int runs = 0; runs < 40; ++runs) {
    if (!Go()) return false;
    Wait(kCommandPatience, [&] { return done() || last_stop_.has_value(); });
    if (failed() || !EnsureHalted()) return false;
    if (done()) return true;
    const std::optional<std::uint64_t> after = Load(known_.commands_done, 4);
    if (!after) return done();
    if (*after == *before) continue;
    // Prints that nobody acknowledges in time are given up by the target, which then restarts its stream. And
    // there are two ids, which begin anew with a RESET: an acknowledge that was under way then may stand for
    // another print, which the target then takes for heard.
    if (done()) return true;
    if (tally_.restarts != restarts || Resets() != resets) {
      ++tally_.lost_outputs;
      return false;
    }
    return Fail(std::string(what) + " was lost");
  }
  return false;
}

bool SoakSession::Print() {
  const std::uint64_t number = next_print_++;
  return RunCommand(
      kPrint, number, [this, number] { return last_print_ == number; }, "a print");
}

bool SoakSession::PrintBurst() {
  burst_size_ = 2 + Below(8);
  burst_lines_.clear();
  return RunCommand(
      kPrintBurst, burst_size_, [this] { return burst_lines_.size() == burst_size_; }, "a print of a burst");
}

bool SoakSession::Prompt() {
  answer_.assign(1 + Below(60), 'a');
  for (char& c : answer_) c = static_cast<char>('a' + Below(26));
  prompted_ = answered_ = false;
  scratch_known_ = false;  // the answer is left there
  return RunCommand(
      kPrompt, 0, [this] { return answered_; }, "the answer to a prompt");
}

}  // namespace longwire::test

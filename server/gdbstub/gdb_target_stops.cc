#include <algorithm>
#include <utility>

#include "proto/gdb/hex.h"
#include "proto/kd/state_change.h"
#include "server/gdbstub/gdb_target.h"
#include "server/gdbstub/kernel_finder.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxThreadAnswers = 256;
constexpr std::size_t kMaxProcessors = 256;
constexpr std::chrono::seconds kSearchTime{10};
constexpr std::uint64_t kCodeBytes = 64, kStackBytes = 1024;
constexpr std::uint16_t kFreeBuildByExdi = 0x030F;  // MajorVersion: free build, target class EXDI (3.4)
constexpr std::uint16_t kMultiprocessor = 1, kPointers64 = 4;

}  // namespace

Task<void> GdbTarget::Attach() {
  Result<void> done = co_await Handshake();
  if (!done) TellRefusal(done.error());
}

/// What the stub lacks will not come: the reason is told, and nothing tried again. A failing line reports
/// itself.
void GdbTarget::TellRefusal(const Error& why) {
  if (why.code == Errc::kLinkFailed) return;
  std::string text = why.message;
  if (why.code != Errc::kUnsupported)
    text += "; check that the link leads to the gdb stub of a whole machine, as QEMU's (-gdb tcp::1234)";
  state_ = rpc::TargetState::kOffline;
  events_(rpc::LinkChanged{state_, std::nullopt, std::move(text), why.code, true});
}

Task<Result<void>> GdbTarget::Handshake() {
  Result<std::string> features =
      co_await line_.Ask("qSupported:multiprocess+;xmlRegisters=i386;vContSupported+");
  if (!features) co_return features.error();
  std::size_t packet_size = 1024;
  for (const gdb::Feature& feature : gdb::DecodeFeatures(*features)) {
    if (feature.name != "PacketSize") continue;
    const auto size = gdb::DecodeNumber(feature.value);
    if (size) packet_size = std::clamp<std::uint64_t>(*size, 256, 128u << 10);
  }
  Result<std::string> quiet = co_await line_.Ask("QStartNoAckMode");
  if (!quiet) co_return quiet.error();
  if (*quiet == "OK") line_.StopAcknowledging();
  Result<std::string> physical = co_await line_.Ask("qqemu.PhyMemMode");
  if (!physical) co_return physical.error();
  raw_memory_.Configure(packet_size, *physical == "0" || *physical == "1");
  if (*physical == "1") {
    Result<std::string> set = co_await line_.Ask("Qqemu.PhyMemMode:0");
    if (!set) co_return set.error();
  }
  Result<std::string> ways = co_await line_.Ask("vCont?");
  if (!ways) co_return ways.error();
  resumes_threads_ = ways->find(";c") != std::string::npos && ways->find(";s") != std::string::npos;
  Result<void> described = co_await registers_.ReadDescription(packet_size);
  if (!described) co_return described;
  Result<void> processors = co_await ReadProcessors();
  if (!processors) co_return processors;
  Result<std::string> why = co_await line_.Ask("?");
  if (!why) co_return why.error();
  auto reply = gdb::DecodeStopReply(*why);
  if (!reply) co_return reply.error();
  Result<void> identified = co_await Identify(*reply);
  if (!identified) co_return identified;
  Result<void> planted = co_await PlantInheritedData();
  if (!planted) co_return planted;
  pending_stop_ = std::move(*reply);
  co_return Result<void>{};
}

Task<Result<void>> GdbTarget::ReadProcessors() {
  std::vector<std::string> threads;
  std::string question = "qfThreadInfo";
  for (std::size_t i = 0; i < kMaxThreadAnswers && threads.size() < kMaxProcessors; ++i) {
    Result<std::string> answer = co_await line_.Ask(std::exchange(question, "qsThreadInfo"));
    if (!answer) co_return answer.error();
    auto more = gdb::DecodeThreads(*answer);
    if (!more) co_return more.error();
    if (more->empty()) break;
    threads.insert(threads.end(), more->begin(), more->end());
  }
  threads.resize(std::min(threads.size(), kMaxProcessors));
  if (threads.empty()) co_return Error{Errc::kMalformed, "the gdb stub has no processors"};
  registers_.SetThreads(std::move(threads));
  co_return Result<void>{};
}

std::uint16_t GdbTarget::ProcessorOf(const gdb::StopReply& reply) const {
  const auto& threads = registers_.threads();
  const auto found = std::find_if(threads.begin(), threads.end(), [&](const std::string& thread) {
    return gdb::IsSameThread(thread, reply.thread);
  });
  return found == threads.end() ? 0 : static_cast<std::uint16_t>(found - threads.begin());
}

Task<Result<void>> GdbTarget::Identify(const gdb::StopReply& reply) {
  const std::uint16_t processor = ProcessorOf(reply);
  rpc::TargetDescription description;
  description.major_version = kFreeBuildByExdi;
  description.flags =
      kMultiprocessor | (kd::PointerSize(registers_.machine()) == 8 ? kPointers64 : std::uint16_t{0});
  description.machine = static_cast<std::uint16_t>(registers_.machine());
  description.processors = static_cast<std::uint32_t>(registers_.threads().size());
  std::string text;
  if (wishes_.find_kernel) {
    KernelHints hints;
    for (const std::string name : {"rip", "gs_base", "k_gs_base"}) {
      Result<std::optional<std::uint64_t>> value = co_await registers_.Value(processor, name);
      if (!value) co_return value.error();
      if (name == "rip") {
        hints.program_counter = value->value_or(0);
      } else {
        hints.control_regions.push_back(value->value_or(0));
      }
    }
    memory_.OnStop(processor, hints.program_counter);
    WorkLimit limit;
    limit.deadline = line_.now() + kSearchTime;
    Result<KernelFindings> found =
        co_await FindKernel(memory_, registers_.machine(), std::move(hints), limit);
    if (!found) co_return found.error();
    description.kernel_base = found->base;
    text = std::move(found->text);
    description.minor_version = found->build;
    if (found->data) {
      description.debugger_data_list = found->data_list;
      description.debugger_data_address = found->data_address;
      description.debugger_data.assign(found->data->bytes().begin(), found->data->bytes().end());
      description.loaded_module_list = found->data->Get(kd::dd::kPsLoadedModuleList, 8).value_or(0);
    }
  }
  description_ = std::move(description);
  events_(rpc::LinkChanged{state_, description_, std::move(text), Errc::kInternal, false});
  co_return Result<void>{};
}

/// Where `processor_` stands.
Task<Result<void>> GdbTarget::BeginStop() {
  Result<kd::Bytes> context = co_await registers_.GetContext(processor_);
  if (!context) co_return context.error();
  const kd::ContextLayout* layout = kd::FindContextLayout(registers_.machine());
  program_counter_ = kd::LoadWord(*layout, *context, layout->pc_offset);
  memory_.OnStop(processor_, program_counter_);
  co_return Result<void>{};
}

/// The exception a KD target would have reported; fills `hits_`.
std::uint32_t GdbTarget::Explain(const gdb::StopReply& reply, bool stepped) {
  const bool watch = reply.watch != gdb::StopReply::Watch::kNone;
  for (const auto& slot : table_.data()) {
    if (!slot) continue;
    const bool execute = slot->kind == rpc::BreakpointKind::kExecute;
    const bool hit = execute ? !stepped && slot->address == program_counter_
                             : watch && reply.watch_address - slot->address < slot->size;
    if (hit) hits_.push_back(slot->id);
  }
  if (watch || stepped || !hits_.empty()) return kd::kExceptionSingleStep;
  const CodeBreakpoint* own = table_.FindCode(program_counter_);
  if (own != nullptr && own->handle != 0) hits_ = own->ids;
  return kd::kExceptionBreakpoint;
}

/// After a restart of the server: the processor that ran into a breakpoint of before while nobody listened.
/// A stub that is asked anew tells of its first processor.
Task<Result<bool>> GdbTarget::FindMissedHit() {
  const kd::ContextLayout* layout = kd::FindContextLayout(registers_.machine());
  if (table_.code().empty() || layout == nullptr) co_return false;
  for (std::uint16_t i = 0; i < registers_.threads().size(); ++i) {
    Result<kd::Bytes> context = co_await registers_.GetContext(i);
    if (!context) co_return context.error();
    const CodeBreakpoint* own = table_.FindCode(kd::LoadWord(*layout, *context, layout->pc_offset));
    if (own == nullptr || !own->wanted()) continue;
    processor_ = i;
    hits_ = own->ids;
    Result<void> begun = co_await BeginStop();
    if (!begun) co_return begun.error();
    co_return true;
  }
  co_return false;
}

Task<void> GdbTarget::HandleStop(gdb::StopReply reply) {
  if (reply.kind == gdb::StopReply::Kind::kExited) {
    state_ = rpc::TargetState::kOffline;
    const std::string text = "the virtual machine behind the gdb stub ended";
    events_(rpc::LinkChanged{state_, std::nullopt, text, Errc::kLinkFailed, true});
    co_return;
  }
  ForgetStop();
  processor_ = ProcessorOf(reply);
  Result<void> begun = co_await BeginStop();
  if (!begun) co_return TellRefusal(begun.error());
  const bool stepped = std::exchange(stepped_, false);
  const bool over = std::exchange(stepping_over_, false) && reply.watch == gdb::StopReply::Watch::kNone;
  const bool first = std::exchange(first_stop_, false);
  const std::uint32_t code = Explain(reply, stepped);
  Result<bool> missed = false;
  if (first) missed = co_await FindMissedHit();
  if (!missed) co_return TellRefusal(missed.error());
  if ((over || (first && !*missed)) && !break_in_wanted_ && !departure_) {
    Result<void> gone = co_await GoOn(false);
    static_cast<void>(gone);
    co_return;
  }
  Result<void> published = co_await Publish(over ? kd::kExceptionBreakpoint : code);
  static_cast<void>(published);
}

/// Another processor is looked at.
Task<void> GdbTarget::PublishAgain() {
  hits_.clear();
  Result<void> begun = co_await BeginStop();
  if (!begun) co_return TellRefusal(begun.error());
  Result<void> published = co_await Publish(kd::kExceptionWakeDebugger);
  static_cast<void>(published);
}

Task<Result<void>> GdbTarget::Publish(std::uint32_t code) {
  Result<void> removed = co_await RemoveTemporary();
  if (!removed) co_return removed;
  rpc::StopEvent event;
  Result<kd::Bytes> context = co_await registers_.GetContext(processor_);
  if (!context) co_return context.error();
  const kd::ContextLayout* layout = kd::FindContextLayout(registers_.machine());
  const std::uint64_t sp = kd::LoadWord(*layout, *context, layout->sp_offset);
  constexpr std::uint64_t kPage = MemoryCache::kPageBytes;
  const std::uint64_t stack_bytes = std::min(kStackBytes, kPage - sp % kPage);
  for (const auto& [address, size] : {std::pair{program_counter_, kCodeBytes}, std::pair{sp, stack_bytes}}) {
    rpc::MemoryChunk chunk{address, {}};
    Result<void> read = co_await memory_.Read(AddressSpace::Virtual(), address, size, false, chunk.bytes);
    if (!read) co_return read;
    if (!chunk.bytes.empty()) event.memory.push_back(std::move(chunk));
  }
  Result<kd::Bytes> thread = co_await ReadControlSpace(processor_, 3);
  if (thread) event.thread = kd::Load64(*thread, 0);
  event.exception.code = code;
  event.exception.address = event.program_counter = program_counter_;
  event.stop_counter = ++stop_counter_;
  event.driver_epoch = driver_epoch_;
  event.processor = processor_;
  event.processors = static_cast<std::uint32_t>(registers_.threads().size());
  event.breakpoints = hits_;
  event.break_in = break_in_wanted_ && code == kd::kExceptionBreakpoint && hits_.empty();
  event.context = std::move(*context);
  break_in_wanted_ = false;
  state_ = rpc::TargetState::kHalted;
  published_ = event;
  events_(std::move(event));
  co_return Result<void>{};
}

Task<Result<std::uint64_t>> GdbTarget::ControlRegion(std::uint16_t processor) {
  std::vector<std::uint64_t> regions;
  for (const std::string name : {"gs_base", "k_gs_base"}) {
    Result<std::optional<std::uint64_t>> value = co_await registers_.Value(processor, name);
    if (!value) co_return value.error();
    regions.push_back(value->value_or(0));
  }
  co_return co_await FindControlRegion(memory_, registers_.machine(), std::move(regions));
}

/// The selectors of kd-protocol.md 3.5, from registers and the KPCR (5.3).
Task<Result<kd::Bytes>> GdbTarget::ReadControlSpace(std::uint16_t processor, std::uint64_t selector) {
  constexpr std::uint64_t kCurrentPrcb = 0x20, kCurrentThread = 8;
  const kd::SpecialLayout* special = kd::FindSpecialLayout(registers_.machine());
  if (selector == special->control_selector) co_return co_await registers_.GetSpecial(processor);
  const Error none{Errc::kUnsupported, "the gdb stub does not lead to this part of the control space"};
  if (registers_.machine() != kd::Machine::kAmd64 || selector > 3) co_return none;
  Result<std::uint64_t> region = co_await ControlRegion(processor);
  if (!region) co_return region.error();
  if (*region == 0) co_return none;
  kd::Bytes address(8);
  kd::Store(std::span(address), 0, *region);
  const std::uint64_t steps[] = {kCurrentPrcb, kCurrentThread};
  for (std::size_t i = 0; i < (selector == 3 ? 2 : selector); ++i) {
    const std::uint64_t at = kd::Load64(address, 0) + steps[i];
    address.clear();
    Result<void> read = co_await memory_.Read(AddressSpace::Virtual(), at, 8, false, address);
    if (!read) co_return read.error();
    if (address.size() < 8) co_return none;
  }
  co_return address;
}

Task<Result<std::uint64_t>> GdbTarget::ReadMsr(std::uint16_t processor, std::uint32_t number) {
  const char* name = number == 0xC0000080   ? "efer"
                     : number == 0xC0000100 ? "fs_base"
                     : number == 0xC0000101 ? "gs_base"
                     : number == 0xC0000102 ? "k_gs_base"
                                            : "";
  Result<std::optional<std::uint64_t>> value = co_await registers_.Value(processor, name);
  if (!value) co_return value.error();
  if (!*value) co_return Error{Errc::kUnsupported, "the gdb stub does not tell that model-specific register"};
  co_return **value;
}

Task<Result<void>> GdbTarget::Resume(const rpc::Resume& request) {
  if (request.driver_epoch != driver_epoch_)
    co_return Error{Errc::kFenced, "another client drives this target now"};
  if (request.stop_counter != stop_counter_)
    co_return Error{Errc::kFenced, "the target has run and stopped again since; look at the new stop first"};
  if (request.step && request.processor.value_or(0) >= registers_.threads().size())
    co_return Error{Errc::kUsage, "there is no such processor"};
  for (const std::uint64_t address : request.temporary_breakpoints) {
    table_.Code(address).temporary = true;
    Result<void> planted = co_await Plant(address);
    if (planted) continue;
    Result<void> removed = co_await RemoveTemporary();
    static_cast<void>(removed);
    co_return planted;
  }
  if (request.step && request.processor) {
    const std::uint16_t before = std::exchange(processor_, static_cast<std::uint16_t>(*request.processor));
    Result<void> begun = co_await BeginStop();
    if (!begun) processor_ = before;
    if (!begun) co_return begun;
  }
  co_return co_await GoOn(request.step);
}

/// Off an own breakpoint by one silent step of this processor alone.
Task<Result<void>> GdbTarget::GoOn(bool step) {
  const bool own = table_.FindCode(program_counter_) != nullptr;
  if (own) {
    Result<void> lifted = co_await Lift(program_counter_);
    if (!lifted) co_return lifted;
  }
  Result<void> planted = co_await PlantMissing(own ? std::optional(program_counter_) : std::nullopt);
  if (!planted) co_return planted;
  stepped_ = step || own;
  stepping_over_ = own && !step;
  const std::string& thread = registers_.threads()[processor_];
  if (resumes_threads_) {
    line_.Resume(stepped_ ? "vCont;s:" + thread : std::string("vCont;c"));
  } else {
    std::string choice = "Hc";
    choice += stepped_ ? std::string_view(thread) : "-1";
    Result<std::string> chosen = co_await line_.Ask(std::move(choice));
    if (!chosen) co_return chosen.error();
    line_.Resume(stepped_ ? "s" : "c");
  }
  const auto published = std::exchange(published_, std::nullopt);
  ForgetStop();
  if (published) {
    state_ = rpc::TargetState::kRunning;
    events_(rpc::Resumed{published->stop_counter});
  } else {
    SetState(rpc::TargetState::kRunning);
  }
  if (break_in_wanted_) line_.Interrupt();
  co_return Result<void>{};
}

/// Breakpoints out, and back to what the target did; see Leave().
Task<void> GdbTarget::Depart() {
  const bool resume = departure_->resume;
  if (state_ == rpc::TargetState::kOffline || registers_.threads().empty()) co_return;
  const bool was_halted = state_ == rpc::TargetState::kHalted;
  if (line_.running()) {
    line_.Interrupt();
    Result<gdb::StopReply> stop = co_await line_.NextStop(line_.now() + options_.leave_patience);
    if (!stop) co_return;
    ForgetStop();
  }
  break_in_wanted_ = false;
  Result<void> removed = co_await RemoveAll();
  if (!removed || (was_halted && !resume)) co_return;
  // `D` lets the machine run, whoever connects next.
  std::string_view process = registers_.threads().front();
  std::string detach = "D";
  if (process.starts_with('p')) {
    process.remove_prefix(1);
    detach += ";" + std::string(gdb::TakeField(process, '.'));
  }
  Result<std::string> detached = co_await line_.Ask(std::move(detach));
  static_cast<void>(detached);
  const auto published = std::exchange(published_, std::nullopt);
  ForgetStop();
  state_ = rpc::TargetState::kRunning;
  if (published) events_(rpc::Resumed{published->stop_counter});
}

}  // namespace longwire

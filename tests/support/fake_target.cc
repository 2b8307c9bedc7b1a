#include "tests/support/fake_target.h"

#include <algorithm>
#include <cstring>

namespace longwire {
namespace {

constexpr std::uint64_t kPage = 4096;

}  // namespace

FakeTarget::FakeTarget() {
  rpc::TargetDescription description;
  description.major_version = 15;
  description.minor_version = 19041;
  description.machine = 0x8664;
  description_ = description;
}

void FakeTarget::Map(std::uint64_t address, std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::vector<std::byte>& page = pages_[(address + i) / kPage];
    page.resize(kPage);
    page[(address + i) % kPage] = bytes[i];
  }
}

void FakeTarget::Put(std::uint64_t address, std::uint64_t value, unsigned size) {
  std::byte bytes[8];
  for (unsigned i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  Map(address, std::span(bytes, size));
}

void FakeTarget::PutUnicode(std::uint64_t address, std::uint64_t buffer, const std::string& ascii,
                            unsigned pointer_size) {
  Put(address, ascii.size() * 2, 2);
  Put(address + 2, ascii.size() * 2, 2);
  Put(address + pointer_size, buffer, pointer_size);
  for (std::size_t i = 0; i < ascii.size(); ++i) Put(buffer + 2 * i, static_cast<unsigned char>(ascii[i]), 2);
}

void FakeTarget::Halt(rpc::StopEvent stop) {
  state_ = rpc::TargetState::kHalted;
  if (!stop.context.empty()) contexts_[stop.processor] = stop.context;
  stop_ = std::move(stop);
}

void FakeTarget::LeaveStop() {
  state_ = rpc::TargetState::kRunning;
  stop_.reset();
  emitted_.clear();
}

Result<void> FakeTarget::Note(std::string call) {
  calls_.push_back(std::move(call));
  ++counters_.requests;
  ++counters_.round_trips;
  return {};
}

std::size_t FakeTarget::ReadPages(std::uint64_t address, std::span<std::byte> out) const {
  std::size_t done = 0;
  for (; done < out.size(); ++done) {
    auto page = pages_.find((address + done) / kPage);
    if (page == pages_.end()) break;
    out[done] = page->second[(address + done) % kPage];
  }
  return done;
}

bool FakeTarget::Knows(AddressSpace, std::uint64_t address, std::uint64_t size) const {
  return std::any_of(emitted_.begin(), emitted_.end(), [&](const rpc::ReadRange& range) {
    return address >= range.address && address - range.address <= range.size &&
           size <= range.size - (address - range.address);
  });
}

Result<std::size_t> FakeTarget::Read(AddressSpace space, std::uint64_t address, std::span<std::byte> out) {
  if (!Knows(space, address, out.size())) (void)Note("Read");
  if (!stop_) return Error{Errc::kTargetRunning, "running"};
  std::size_t read = ReadPages(address, out);
  if (read == 0 && !out.empty()) return Error{Errc::kUnreadable, "unreadable", address};
  return read;
}

Result<std::size_t> FakeTarget::ReadUncached(AddressSpace space, std::uint64_t address,
                                             std::span<std::byte> out) {
  return Read(space, address, out);
}

Result<std::size_t> FakeTarget::Write(AddressSpace, std::uint64_t address, std::span<const std::byte> data) {
  (void)Note("Write");
  emitted_.clear();
  for (std::size_t i = 0; i < data.size(); ++i) {
    auto page = pages_.find((address + i) / kPage);
    if (page == pages_.end()) {
      if (i == 0) return Error{Errc::kUnreadable, "unwritable", address};
      return i;
    }
    page->second[(address + i) % kPage] = data[i];
  }
  return data.size();
}

Result<plan::Output> FakeTarget::Run(const plan::Plan& plan) {
  (void)Note("Run");
  if (Result<void> valid = plan::Validate(plan); !valid) return valid.error();
  plan::Interpreter interpreter(plan);
  while (true) {
    plan::Interpreter::Action action = interpreter.Next();
    if (action.kind == plan::Interpreter::Action::Kind::kDone) {
      plan::Output output = interpreter.TakeOutput();
      for (const plan::Record& record : output.records)
        emitted_.push_back({record.address, record.data_size});
      return output;
    }
    if (action.kind == plan::Interpreter::Action::Kind::kSearch) {
      interpreter.SupplySearch(false, 0);
      continue;
    }
    std::vector<std::byte> bytes(action.length);
    bytes.resize(ReadPages(action.address, bytes));
    interpreter.SupplyMemory(bytes);
  }
}

Result<std::vector<std::byte>> FakeTarget::ReadContext(std::uint32_t processor) {
  (void)Note("ReadContext");
  auto context = contexts_.find(processor);
  if (context == contexts_.end()) return Error{Errc::kTargetRefused, "no such processor"};
  return context->second;
}

Result<void> FakeTarget::WriteContext(std::uint32_t processor, std::span<const std::byte> context) {
  contexts_[processor].assign(context.begin(), context.end());
  return Note("WriteContext");
}

Result<std::vector<std::byte>> FakeTarget::ReadControlSpace(std::uint32_t, std::uint64_t,
                                                            std::uint32_t size) {
  (void)Note("ReadControlSpace");
  return std::vector<std::byte>(size);
}

Result<std::uint64_t> FakeTarget::ReadMsr(std::uint32_t processor, std::uint32_t number) {
  (void)Note("ReadMsr");
  auto found = msrs_.find({processor, number});
  if (found == msrs_.end()) return Error{Errc::kTargetRefused, "the target refused"};
  return found->second;
}

Result<void> FakeTarget::WriteMsr(std::uint32_t processor, std::uint32_t number, std::uint64_t value) {
  msrs_[{processor, number}] = value;
  return Note("WriteMsr");
}

Result<void> FakeTarget::AnswerFile(const rpc::AnswerFile& answer, std::span<const std::byte> data) {
  file_answers_.push_back({answer, {data.begin(), data.end()}});
  return Note("AnswerFile");
}

Result<std::uint64_t> FakeTarget::SetBreakpoint(const rpc::SetBreakpoint& breakpoint) {
  (void)Note("SetBreakpoint");
  breakpoints_[next_breakpoint_] = breakpoint;
  return next_breakpoint_++;
}

Result<void> FakeTarget::ClearBreakpoint(std::uint64_t id) {
  (void)Note("ClearBreakpoint");
  if (breakpoints_.erase(id) == 0) return Error{Errc::kNotFound, "no such breakpoint"};
  return {};
}

Result<void> FakeTarget::Resume(const ResumeOptions& options) {
  if (!stop_) return Error{Errc::kTargetRunning, "running"};
  if (lost_at_resume_) {
    lost_ = lost_at_resume_;
    return *lost_;
  }
  if (lost_after_resume_) lost_ = lost_after_resume_;
  resumes_.push_back(options);
  (void)Note(options.step ? "Resume step" : "Resume");
  LeaveStop();
  return {};
}

Result<std::optional<rpc::Event>> FakeTarget::WaitEvent(std::chrono::steady_clock::time_point) {
  if (events_.empty()) {
    if (!lost_ || waits_before_loss_-- > 0) return std::optional<rpc::Event>();
    LeaveStop();
    state_ = rpc::TargetState::kOffline;
    return *lost_;
  }
  rpc::Event event = std::move(events_.front());
  events_.pop_front();
  if (auto* stop = std::get_if<rpc::StopEvent>(&event)) Halt(*stop);
  return std::optional<rpc::Event>(std::move(event));
}

Result<void> FakeTarget::Configure(const rpc::Configure& options) {
  std::string text = "Configure";
  if (options.stop_on_module) text += *options.stop_on_module ? " module on" : " module off";
  if (options.trace_packets) text += *options.trace_packets ? " trace on" : " trace off";
  if (options.baud) {
    text += " baud " + std::to_string(*options.baud);
    if (link_status_.baud == 0) return Error{Errc::kUnsupported, "this link has no line speed"};
    link_status_.baud = *options.baud;
  }
  if (options.break_on_reboot) text += *options.break_on_reboot ? " reboot on" : " reboot off";
  return Note(text);
}

Result<void> FakeTarget::Close(bool resume) {
  closed_ = resume;
  return Note("Close");
}

}  // namespace longwire

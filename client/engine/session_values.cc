#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>

#include "client/engine/breakpoints.h"
#include "client/engine/module_reader.h"
#include "client/engine/session.h"

namespace longwire {
namespace {

Error BadRegister(std::string_view name) {
  return Error{Errc::kUsage, "Bad register error at '" + std::string(name) + "'"};
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

/// Decimal number behind a prefix: "t12" with prefix "t".
std::optional<unsigned> NumberAfter(std::string_view name, std::string_view prefix) {
  if (name.size() <= prefix.size() || name.substr(0, prefix.size()) != prefix) return std::nullopt;
  name.remove_prefix(prefix.size());
  unsigned number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

/// A field of KSPECIAL_REGISTERS (kd-protocol.md 5.10).
struct SpecialField {
  const char* name;
  std::uint16_t offset;
  std::uint8_t size;
};
constexpr SpecialField kSpecial64[] = {{"cr0", 0x00, 8},  {"cr2", 0x08, 8},  {"cr3", 0x10, 8},
                                       {"cr4", 0x18, 8},  {"gdtl", 0x56, 2}, {"gdtr", 0x58, 8},
                                       {"idtl", 0x66, 2}, {"idtr", 0x68, 8}, {"tr", 0x70, 2},
                                       {"ldtr", 0x72, 2}, {"cr8", 0xA0, 8},  {"xcr0", 0xD8, 8}};
constexpr SpecialField kSpecial32[] = {
    {"cr0", 0x00, 4},  {"cr2", 0x04, 4},  {"cr3", 0x08, 4},  {"cr4", 0x0C, 4}, {"gdtl", 0x2A, 2},
    {"gdtr", 0x2C, 4}, {"idtl", 0x32, 2}, {"idtr", 0x34, 4}, {"tr", 0x38, 2},  {"ldtr", 0x3A, 2}};
constexpr std::uint64_t kSpecialSelector64 = 2, kSpecialSelector32 = 0x2CC;
constexpr std::uint32_t kSpecialBytes64 = 0xE0, kSpecialBytes32 = 0x54;

}  // namespace

EvaluationScope Session::Evaluation() {
  EvaluationScope scope;
  scope.architecture = architecture();
  scope.radix = radix_;
  scope.sign_extend_32 = user_process() == nullptr;
  scope.symbol = [this](std::string_view name) -> Result<std::uint64_t> {
    (void)RefreshModules(false);
    return symbols_->Resolve(name);
  };
  scope.register_value = [this](std::string_view name) { return NamedValue(name); };
  scope.read_virtual = [this](std::uint64_t address, std::span<std::byte> out) { return Read(address, out); };
  scope.read_physical = [this](std::uint64_t address, std::span<std::byte> out) {
    return target_.Read(AddressSpace::Physical(), address, out);
  };
  return scope;
}

Result<std::uint64_t> Session::NamedValue(std::string_view name) {
  if (name == ".") return PseudoRegister("ip");
  if (!name.empty() && name.front() == '$') return PseudoRegister(name.substr(1));
  Result<const RegisterSet*> registers = Registers();
  if (!registers) return registers.error();
  if (std::optional<std::uint64_t> value = (*registers)->Get(name)) return *value;
  if (!IsRegisterName(architecture(), name)) return BadRegister(name);
  // The kernel's control registers are not part of a CONTEXT.
  bool wide = architecture() == Architecture::kAmd64;
  if (!wide && architecture() != Architecture::kX86) return BadRegister(name);
  std::span<const SpecialField> fields = wide ? std::span<const SpecialField>(kSpecial64) : kSpecial32;
  for (const SpecialField& field : fields) {
    if (Lower(name) != field.name) continue;
    Result<std::vector<std::byte>> special = target_.ReadControlSpace(
        processor_, wide ? kSpecialSelector64 : kSpecialSelector32, wide ? kSpecialBytes64 : kSpecialBytes32);
    if (!special) return special.error();
    if (special->size() < field.offset + std::size_t{field.size}) return BadRegister(name);
    return LoadLittle(*special, field.offset, field.size);
  }
  return BadRegister(name);
}

Result<std::uint64_t> Session::ProcessorThread(std::uint32_t processor) {
  const auto& stop = target_.stop();
  if (!stop) return Error{Errc::kTargetRunning, "the target is not halted"};
  if (processor == stop->processor) return stop->thread;
  constexpr std::uint64_t kCurrentThread = 3;  // control space of AMD64 (kd-protocol.md 3.5)
  if (architecture() != Architecture::kAmd64)
    return Error{Errc::kUnsupported, "the threads of other processors are told on x64 only"};
  Result<std::vector<std::byte>> bytes = target_.ReadControlSpace(processor, kCurrentThread, 8);
  if (!bytes) return bytes.error();
  if (bytes->size() < 8) return Error{Errc::kMalformed, "the target did not tell the processor's thread"};
  return LoadLittle(*bytes, 0, 8);
}

Result<std::uint64_t> Session::PseudoRegister(std::string_view typed) {
  std::string name = Lower(typed);
  if (std::optional<unsigned> number = NumberAfter(name, "t"); number && *number < user_registers.size()) {
    return user_registers[*number];
  }
  if (std::optional<unsigned> number = NumberAfter(name, "bp")) {
    Breakpoint* breakpoint = breakpoints_->Find(*number);
    if (breakpoint && !breakpoint->unresolved) return breakpoint->address;
    return BadRegister("$" + name);
  }
  if (name == "exp") return last_expression;
  if (name == "p") return last_data_value;
  if (name == "ptrsize") return pointer_size();
  if (name == "pagesize") return std::uint64_t{0x1000};
  if (name == "frame") return frame_number_;
  if (name == "previp") return previous_program_counter_;
  if (name == "dbgtime") {
    using namespace std::chrono;
    // FILETIME counts 100 ns from 1601.
    auto now = duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count() / 100;
    return static_cast<std::uint64_t>(now) + 116444736000000000u;
  }
  const auto& stop = target_.stop();
  if (!stop) return BadRegister("$" + name);
  if (name == "eventip") return stop->program_counter;
  if (name == "thread" && thread_ != 0) return thread_;
  const rpc::UserProcess* process = user_process();
  if (process && name == "tpid") return process->id;
  if (process && (name == "tid" || name == "teb" || name == "thread") &&
      processor_ < process->threads.size()) {
    const rpc::UserThread& thread = process->threads[processor_];
    return name == "tid" ? thread.id : thread.teb;
  }
  if (name == "thread") return ProcessorThread(processor_);
  if (name == "proc") {
    if (process_ != 0) return process_;
    std::optional<std::uint64_t> offset = DebuggerData(0x2A0, 2);  // KThread ApcProcess
    Result<std::uint64_t> thread = ProcessorThread(processor_);
    if (!offset || *offset == 0 || !thread || *thread == 0) return BadRegister("$proc");
    return ReadPointer(*thread + *offset);
  }
  if (name == "pcr" || name == "prcb") {
    if (architecture() == Architecture::kX86) return BadRegister("$" + name);
    Result<std::vector<std::byte>> bytes = target_.ReadControlSpace(processor_, name == "pcr" ? 0 : 1, 8);
    if (!bytes) return bytes.error();
    return LoadLittle(*bytes, 0, 8);
  }
  if (name == "bug_code") return stop->bugcheck ? stop->bugcheck->code : 0;
  if (std::optional<unsigned> number = NumberAfter(name, "bug_param");
      number && *number >= 1 && *number <= 4) {
    return stop->bugcheck ? stop->bugcheck->parameters[*number - 1] : 0;
  }
  if (name == "exr_code") return stop->exception.code;
  if (name == "exr_chance") return stop->exception.first_chance ? 1 : 0;
  if (name == "exr_numparams") return stop->exception.parameters.size();
  if (std::optional<unsigned> number = NumberAfter(name, "exr_param")) {
    if (*number < stop->exception.parameters.size()) return stop->exception.parameters[*number];
    return BadRegister("$" + name);
  }
  Result<const RegisterSet*> registers = Registers();
  if (!registers) return registers.error();
  if (name == "ip" || name == "scopeip") return (*registers)->program_counter();
  if (name == "csp") return (*registers)->stack_pointer();
  if (name == "retreg" || name == "retreg64") {
    const char* result = architecture() == Architecture::kAmd64 ? "rax"
                         : architecture() == Architecture::kX86 ? "eax"
                                                                : "x0";
    if (std::optional<std::uint64_t> value = (*registers)->Get(result)) return *value;
  }
  if (name == "ra") {
    Result<std::vector<StackFrame>> frames = Walk(**registers, 1);
    if (!frames) return frames.error();
    if (!frames->empty()) return frames->front().return_address;
  }
  return BadRegister("$" + name);
}

}  // namespace longwire

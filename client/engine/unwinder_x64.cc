#include "client/engine/unwinder_x64.h"

#include <algorithm>
#include <vector>

#include "client/engine/unwind_epilog.h"

namespace longwire {
namespace {

constexpr const char* kGeneralNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr unsigned kRsp = 4;
constexpr unsigned kMaximumChain = 32;
constexpr std::uint32_t kWholeProlog = 0xffffffff;
// Entries read at once when the search has come this near; 6 KB is less than two pages.
constexpr std::uint32_t kSearchBlock = 512;

std::uint64_t Load64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (unsigned i = 8; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

}  // namespace

X64FrameUnwinder::X64FrameUnwinder(const UnwindSource& source, RegisterSet& registers)
    : source_(source), registers_(registers), rip_(registers.program_counter()) {
  for (unsigned i = 0; i < general_.size(); ++i) general_[i] = registers.Get(kGeneralNames[i]).value_or(0);
}

bool X64FrameUnwinder::Load(std::uint64_t address, std::uint64_t& value) const {
  std::byte bytes[8];
  if (source_.read_memory(address, bytes) != sizeof bytes) return false;
  value = Load64(bytes);
  return true;
}

void X64FrameUnwinder::Store() {
  for (unsigned i = 0; i < general_.size(); ++i) registers_.Set(kGeneralNames[i], general_[i]);
  registers_.Set("rip", rip_);
}

X64FrameUnwinder::Outcome X64FrameUnwinder::PopReturnAddress() {
  if (!Load(general_[kRsp], rip_)) return Outcome::kUnreadable;
  general_[kRsp] += 8;
  Store();
  return Outcome::kLeaf;
}

std::optional<RuntimeFunction> X64FrameUnwinder::ReadFunction(std::uint32_t rva) const {
  std::byte bytes[kRuntimeFunctionSize];
  if (source_.read_image(module_.base, rva, bytes) != sizeof bytes) return std::nullopt;
  return DecodeRuntimeFunction(bytes);
}

// Binary search; the last steps run on one block read whole.
std::optional<RuntimeFunction> X64FrameUnwinder::FindFunction(std::uint32_t rva) const {
  if (source_.find_function) {
    if (const auto found = source_.find_function(module_.base, rva)) {
      const auto [begin, end, unwind] = *found;
      if (begin <= rva && rva < end) return RuntimeFunction{begin, end, unwind};
      return std::nullopt;
    }
  }
  const auto directory = source_.exception_directory(module_.base);
  if (!directory) return std::nullopt;
  const auto [table, bytes] = *directory;
  std::uint32_t low = 0, high = bytes / kRuntimeFunctionSize;
  while (high - low > kSearchBlock) {
    const std::uint32_t middle = low + (high - low) / 2;
    const auto entry = ReadFunction(table + middle * kRuntimeFunctionSize);
    if (!entry) return std::nullopt;
    (entry->begin <= rva ? low : high) = middle;
  }
  std::vector<std::byte> block((high - low) * kRuntimeFunctionSize);
  block.resize(source_.read_image(module_.base, table + low * kRuntimeFunctionSize, block));
  // Where parts nest, the last one that covers the address is the innermost.
  std::optional<RuntimeFunction> covering;
  for (std::size_t at = 0; at + kRuntimeFunctionSize <= block.size(); at += kRuntimeFunctionSize) {
    const RuntimeFunction entry =
        DecodeRuntimeFunction(std::span(block).subspan(at).first<kRuntimeFunctionSize>());
    if (entry.begin <= rva && rva < entry.end) covering = entry;
  }
  return covering;
}

// Follows entries whose unwind RVA has bit 0 set: they stand for another entry.
std::optional<RuntimeFunction> X64FrameUnwinder::Resolve(RuntimeFunction function) const {
  for (unsigned i = 0; function.unwind & 1; ++i) {
    if (i == kMaximumChain) return std::nullopt;
    const auto next = ReadFunction(function.unwind & ~1u);
    if (!next) return std::nullopt;
    function = *next;
  }
  return function;
}

std::optional<UnwindInfo> X64FrameUnwinder::ReadUnwindInfo(const RuntimeFunction& function) const {
  std::byte bytes[kMaximumUnwindInfoSize];
  const std::span<std::byte> all(bytes);
  if (source_.read_image(module_.base, function.unwind, all.first(kUnwindInfoHeaderSize)) !=
      kUnwindInfoHeaderSize) {
    return std::nullopt;
  }
  const std::size_t size = UnwindInfoSize(all.first<kUnwindInfoHeaderSize>());
  if (source_.read_image(module_.base, function.unwind, all.first(size)) != size) return std::nullopt;
  const Result<UnwindInfo> info = ParseUnwindInfo(all.first(size));
  if (!info) return std::nullopt;
  return *info;
}

RuntimeFunction X64FrameUnwinder::PrimaryOf(RuntimeFunction function) const {
  for (unsigned i = 0; i < kMaximumChain; ++i) {
    const auto resolved = Resolve(function);
    if (!resolved) break;
    function = *resolved;
    const auto info = ReadUnwindInfo(function);
    if (!info || !info->chained) break;
    function = *info->chained;
  }
  return function;
}

X64FrameUnwinder::Outcome X64FrameUnwinder::Unwind(const UnwindModule& module, bool interrupted) {
  module_ = module;
  const auto rva = static_cast<std::uint32_t>(rip_ - module.base);
  const std::uint32_t looked_up = interrupted ? rva : rva - 1;
  if (source_.prepare) source_.prepare(module.base, looked_up);
  if (!source_.exception_directory(module.base)) {
    return PopReturnAddress() == Outcome::kUnreadable ? Outcome::kUnreadable : Outcome::kNoInformation;
  }
  auto function = FindFunction(looked_up);
  if (!function) return PopReturnAddress();
  function = Resolve(*function);
  if (!function) return Outcome::kUnreadable;
  auto info = ReadUnwindInfo(*function);
  if (!info) return Outcome::kUnreadable;
  const std::uint32_t offset = rva - function->begin;
  if (interrupted && offset >= info->prolog_size) {
    if (const auto outcome = TryEpilog(*function, *info)) return *outcome;
  }
  if (!ApplyCodes(*info, offset)) return Outcome::kUnreadable;
  for (unsigned i = 0; info->chained; ++i) {
    const auto parent = Resolve(*info->chained);
    if (!parent || i == kMaximumChain) return Outcome::kUnreadable;
    info = ReadUnwindInfo(*parent);
    if (!info || !ApplyCodes(*info, kWholeProlog)) return Outcome::kUnreadable;
  }
  if (!machine_frame_)
    return PopReturnAddress() == Outcome::kUnreadable ? Outcome::kUnreadable : Outcome::kUnwound;
  Store();
  return Outcome::kMachineFrame;
}

// Rsp as it was after the prolog: saved registers are addressed from there.
std::uint64_t X64FrameUnwinder::FrameBase(const UnwindInfo& info, std::uint32_t offset) const {
  if (info.frame_register == 0) return general_[kRsp];
  if (offset < info.prolog_size && !info.chained) {
    const auto set = std::find_if(info.codes.begin(), info.codes.end(), [](const UnwindCode& code) {
      return code.operation == UnwindOperation::kSetFramePointer;
    });
    if (set == info.codes.end() || offset < set->prolog_offset) return general_[kRsp];
  }
  return general_[info.frame_register] - info.frame_offset;
}

bool X64FrameUnwinder::ApplyCodes(const UnwindInfo& info, std::uint32_t offset) {
  const std::uint64_t frame_base = FrameBase(info, offset);
  for (const UnwindCode& code : info.codes) {
    if (code.prolog_offset <= offset && !ApplyCode(code, info, frame_base)) return false;
  }
  return true;
}

bool X64FrameUnwinder::ApplyCode(const UnwindCode& code, const UnwindInfo& info, std::uint64_t frame_base) {
  switch (code.operation) {
    case UnwindOperation::kPushNonvolatile: {
      std::uint64_t value = 0;
      if (!Load(general_[kRsp], value)) return false;
      general_[kRsp] += 8;
      general_[code.info] = value;
      return true;
    }
    case UnwindOperation::kAllocateLarge:
    case UnwindOperation::kAllocateSmall: general_[kRsp] += code.operand; return true;
    case UnwindOperation::kSetFramePointer:
      general_[kRsp] = general_[info.frame_register] - info.frame_offset;
      return true;
    case UnwindOperation::kSaveNonvolatile:
    case UnwindOperation::kSaveNonvolatileFar: return Load(frame_base + code.operand, general_[code.info]);
    case UnwindOperation::kSaveXmm128:
    case UnwindOperation::kSaveXmm128Far: {
      std::array<std::byte, 16> value{};
      if (source_.read_memory(frame_base + code.operand, value) != value.size()) return false;
      registers_.SetVector("xmm" + std::to_string(code.info), value);
      return true;
    }
    case UnwindOperation::kPushMachineFrame: return ApplyMachineFrame(code.info == 1);
    case UnwindOperation::kEpilog:  // version 1: obsolete forms that nothing emits
    case UnwindOperation::kSpare: return true;
  }
  return true;
}

// The five words the processor pushes: rip, cs, eflags, rsp, ss.
bool X64FrameUnwinder::ApplyMachineFrame(bool has_error_code) {
  std::byte bytes[40];
  const std::uint64_t frame = general_[kRsp] + (has_error_code ? 8 : 0);
  if (source_.read_memory(frame, bytes) != sizeof bytes) return false;
  const std::span<const std::byte> words(bytes);
  rip_ = Load64(words);
  registers_.Set("cs", Load64(words.subspan(8)));
  registers_.Set("efl", Load64(words.subspan(16)));
  general_[kRsp] = Load64(words.subspan(24));
  registers_.Set("ss", Load64(words.subspan(32)));
  machine_frame_ = true;
  return true;
}

std::optional<X64FrameUnwinder::Outcome> X64FrameUnwinder::TryEpilog(const RuntimeFunction& function,
                                                                     const UnwindInfo& info) {
  if (info.version == 2) {
    const auto rva = static_cast<std::uint32_t>(rip_ - module_.base);
    const bool inside =
        std::any_of(info.epilogs.begin(), info.epilogs.end(), [&](const UnwindEpilog& epilog) {
          const std::uint32_t start = function.end - epilog.distance_from_end;
          return rva >= start && rva - start < epilog.size;
        });
    if (!inside) return std::nullopt;
  }
  std::byte code[kEpilogCodeSize];
  const std::size_t got = source_.read_code ? source_.read_code(rip_, code) : source_.read_memory(rip_, code);
  const auto epilog = DecodeEpilog(std::span(code).first(std::min(got, sizeof code)), rip_,
                                   info.frame_register, info.version == 2);
  if (!epilog) return std::nullopt;
  if (epilog->jump_target && !LeavesFunction(*epilog->jump_target, function, info)) return std::nullopt;
  if (epilog->frame_register != 0) general_[kRsp] = general_[epilog->frame_register];
  general_[kRsp] += static_cast<std::uint64_t>(epilog->adjustment);
  for (const std::uint8_t reg : epilog->popped) {
    std::uint64_t value = 0;
    if (!Load(general_[kRsp], value)) return Outcome::kUnreadable;
    general_[kRsp] += 8;
    general_[reg] = value;
  }
  if (PopReturnAddress() == Outcome::kUnreadable) return Outcome::kUnreadable;
  general_[kRsp] += epilog->freed_arguments;
  Store();
  return Outcome::kUnwound;
}

// A jump inside a function, or to a chained part of it, ends no frame; a jump to its first byte is a
// recursive tail call.
bool X64FrameUnwinder::LeavesFunction(std::uint64_t target, const RuntimeFunction& function,
                                      const UnwindInfo& info) const {
  const std::uint64_t rva = target - module_.base;
  if (rva == function.begin) return !info.chained;
  if (rva >= function.begin && rva < function.end) return false;
  if (rva >= module_.size) return true;
  const auto other = FindFunction(static_cast<std::uint32_t>(rva));
  if (!other) return true;
  const RuntimeFunction primary = PrimaryOf(function);
  return rva == primary.begin || PrimaryOf(*other).begin != primary.begin;
}

}  // namespace longwire

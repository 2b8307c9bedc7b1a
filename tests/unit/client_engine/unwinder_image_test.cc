#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>

#include "client/engine/disassembler.h"
#include "client/engine/unwind_info.h"
#include "client/engine/unwinder.h"
#include "fixture_image.h"

namespace longwire {
namespace {

constexpr const char* kNonvolatile[] = {"rbx", "rbp", "rsi", "rdi", "r12", "r13", "r14", "r15"};
constexpr std::size_t kContextSize = 0x4d0;

RegisterSet FromPtrace(const user_regs_struct& regs, const user_fpregs_struct& vectors) {
  RegisterSet set(Architecture::kAmd64, std::vector<std::byte>(kContextSize));
  const std::pair<const char*, std::uint64_t> values[] = {
      {"rax", regs.rax}, {"rbx", regs.rbx}, {"rcx", regs.rcx}, {"rdx", regs.rdx}, {"rsi", regs.rsi},
      {"rdi", regs.rdi}, {"rbp", regs.rbp}, {"rsp", regs.rsp}, {"r8", regs.r8},   {"r9", regs.r9},
      {"r10", regs.r10}, {"r11", regs.r11}, {"r12", regs.r12}, {"r13", regs.r13}, {"r14", regs.r14},
      {"r15", regs.r15}, {"rip", regs.rip}};
  for (const auto& [name, value] : values) set.Set(name, value);
  for (unsigned i = 0; i < 16; ++i) {
    std::array<std::byte, 16> value;
    std::memcpy(value.data(), &vectors.xmm_space[i * 4], value.size());
    set.SetVector("xmm" + std::to_string(i), value);
  }
  return set;
}

/// A child process that runs the exported function of an image, one instruction at a time.
class SteppedProcess {
 public:
  explicit SteppedProcess(const FixtureImage& image) {
    pid_ = fork();
    if (pid_ == 0) RunChild(image);
    int status = 0;
    waitpid(pid_, &status, 0);
  }
  ~SteppedProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  bool Step() {
    int status = 0;
    return ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) == 0 && waitpid(pid_, &status, 0) == pid_ &&
           WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
  }
  RegisterSet Registers() const {
    user_regs_struct regs{};
    user_fpregs_struct vectors{};
    ptrace(PTRACE_GETREGS, pid_, nullptr, &regs);
    ptrace(PTRACE_GETFPREGS, pid_, nullptr, &vectors);
    return FromPtrace(regs, vectors);
  }
  std::size_t Read(std::uint64_t address, std::span<std::byte> out) const {
    iovec local{out.data(), out.size()}, remote{reinterpret_cast<void*>(address), out.size()};
    const ssize_t got = process_vm_readv(pid_, &local, 1, &remote, 1, 0);
    return got < 0 ? 0 : static_cast<std::size_t>(got);
  }

 private:
  [[noreturn]] static void RunChild(const FixtureImage& image) {
    void* const place = reinterpret_cast<void*>(image.base);
    void* const memory = mmap(place, image.bytes.size(), PROT_READ | PROT_WRITE | PROT_EXEC,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory != place) _exit(2);
    std::memcpy(memory, image.bytes.data(), image.bytes.size());
    using Function = std::uint64_t(__attribute__((ms_abi))*)(std::uint64_t);
    const auto function = reinterpret_cast<Function>(image.base + image.export_rva);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    function(3);
    _exit(0);
  }

  pid_t pid_ = -1;
};

/// What the caller of one call must look like again.
struct Caller {
  std::uint64_t return_address = 0;
  RegisterSet registers;  // before the call instruction
};

class UnwinderImage : public ::testing::TestWithParam<const char*> {
 protected:
  UnwinderImage()
      : image_(LoadFixtureImage(std::string(LW_FIXTURE_DIRECTORY) + "/" + GetParam() + ".dll")),
        process_(image_) {
    source_.find_module = [this](std::uint64_t address) -> std::optional<UnwindModule> {
      if (!Inside(address)) return std::nullopt;
      return UnwindModule{image_.base, image_.bytes.size()};
    };
    source_.read_image = [this](std::uint64_t, std::uint32_t rva, std::span<std::byte> out) {
      return image_.Read(rva, out.data(), out.size());
    };
    source_.read_memory = [this](std::uint64_t address, std::span<std::byte> out) {
      return process_.Read(address, out);
    };
    source_.exception_directory = [this](std::uint64_t) { return std::optional(image_.exceptions); };
  }

  bool Inside(std::uint64_t address) const { return address - image_.base < image_.bytes.size(); }

  void ExpectCallers(const std::vector<StackFrame>& frames, const std::vector<Caller>& callers) {
    ASSERT_GE(frames.size(), callers.size() + 1);
    // The outermost caller is this test, outside the image: there the walk may try one more step as a leaf,
    // which depends on what the compiler left on the stack.
    ASSERT_LE(frames.size(), callers.size() + 2);
    if (frames.size() > callers.size() + 1) {
      ASSERT_FALSE(Inside(frames[callers.size()].registers.program_counter()));
    }
    for (std::size_t i = 0; i < callers.size(); ++i) {
      const Caller& caller = callers[callers.size() - 1 - i];
      const RegisterSet& found = frames[i + 1].registers;
      SCOPED_TRACE("frame " + std::to_string(i + 1));
      ASSERT_EQ(frames[i].return_address, caller.return_address);
      ASSERT_EQ(found.program_counter(), caller.return_address);
      ASSERT_EQ(found.stack_pointer(), caller.registers.stack_pointer());
      for (const char* name : kNonvolatile) ASSERT_EQ(found.Get(name), caller.registers.Get(name)) << name;
      for (unsigned number = 6; number < 16; ++number) {
        const std::string name = "xmm" + std::to_string(number);
        ASSERT_EQ(found.GetVector(name), caller.registers.GetVector(name)) << name;
      }
    }
  }

  FixtureImage image_;
  SteppedProcess process_;
  UnwindSource source_;
};

// Every instruction the functions execute, prologs and epilogs included, against the calls that really
// happened.
TEST_P(UnwinderImage, RecoversEveryCallerAtEveryInstruction) {
  constexpr int kMaximumSteps = 200000;
  std::vector<Caller> callers;
  std::set<std::uint64_t> places;
  RegisterSet before = process_.Registers();
  int steps = 0;
  for (; steps < kMaximumSteps && process_.Step(); ++steps) {
    const RegisterSet now = process_.Registers();
    const std::uint64_t rip = now.program_counter();
    std::byte code[15];
    const std::size_t got = process_.Read(before.program_counter(), code);
    const auto last = Disassemble(Architecture::kAmd64, before.program_counter(), std::span(code, got), {});
    ASSERT_TRUE(last);
    if (last->is_call && (Inside(rip) || !callers.empty()))
      callers.push_back({last->address + last->length, before});
    if (last->is_return && !callers.empty()) callers.pop_back();
    before = now;
    if (!Inside(rip)) {
      if (callers.empty() && !places.empty()) break;
      continue;
    }
    places.insert(rip);
    ExpectCallers(WalkStack(now, source_), callers);
    if (HasFatalFailure()) {
      FAIL() << "at rva " << std::hex << rip - image_.base << ", depth " << callers.size();
    }
  }
  ASSERT_LT(steps, kMaximumSteps);
  EXPECT_GT(places.size(), 400u) << "the image must run most of its functions";
}

std::string RenderCode(const UnwindCode& code, const UnwindInfo& info) {
  constexpr const char* kNames[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
  char text[64];
  const int at = code.prolog_offset;
  switch (code.operation) {
    case UnwindOperation::kPushNonvolatile:
      std::snprintf(text, sizeof text, "0x%02X: PUSH_NONVOL reg=%s", at, kNames[code.info]);
      break;
    case UnwindOperation::kAllocateLarge:
      std::snprintf(text, sizeof text, "0x%02X: ALLOC_LARGE size=%u", at, code.operand);
      break;
    case UnwindOperation::kAllocateSmall:
      std::snprintf(text, sizeof text, "0x%02X: ALLOC_SMALL size=%u", at, code.operand);
      break;
    case UnwindOperation::kSetFramePointer:
      std::snprintf(text, sizeof text, "0x%02X: SET_FPREG reg=%s, offset=0x%X", at,
                    kNames[info.frame_register], info.frame_offset);
      break;
    case UnwindOperation::kSaveNonvolatile:
      std::snprintf(text, sizeof text, "0x%02X: SAVE_NONVOL reg=%s, offset=0x%X", at, kNames[code.info],
                    code.operand);
      break;
    case UnwindOperation::kSaveXmm128:
      std::snprintf(text, sizeof text, "0x%02X: SAVE_XMM128 reg=XMM%u, offset=0x%X", at, code.info,
                    code.operand);
      break;
    default:
      std::snprintf(text, sizeof text, "0x%02X: operation %u", at, static_cast<unsigned>(code.operation));
  }
  return text;
}

// The second opinion: llvm-readobj --unwind of the same image.
TEST_P(UnwinderImage, DecodesWhatReadobjDecodes) {
  std::vector<std::string> expected, found;
  std::ifstream text(std::string(LW_FIXTURE_DIRECTORY) + "/" + GetParam() + ".txt");
  for (std::string line; std::getline(text, line);) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start != std::string::npos && line.compare(start, 2, "0x") == 0)
      expected.push_back(line.substr(start));
  }
  const auto [table, size] = image_.exceptions;
  for (std::uint32_t at = table; at < table + size; at += kRuntimeFunctionSize) {
    std::vector<std::byte> bytes(kMaximumUnwindInfoSize);
    bytes.resize(image_.Read(image_.Load32(at + 8), bytes.data(), bytes.size()));
    const Result<UnwindInfo> info = ParseUnwindInfo(bytes);
    ASSERT_TRUE(info);
    for (const UnwindCode& code : info->codes) found.push_back(RenderCode(code, *info));
  }
  EXPECT_GE(expected.size(), 30u);
  EXPECT_THAT(found, ::testing::ElementsAreArray(expected));
}

INSTANTIATE_TEST_SUITE_P(Levels, UnwinderImage, ::testing::Values("unwind_o0", "unwind_o2"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace longwire

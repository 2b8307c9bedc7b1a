#include "client/engine/unwinder.h"

#include <gtest/gtest.h>

#include <map>

namespace longwire {
namespace {

constexpr std::uint64_t kBase = 0xfffff80000000000;
constexpr std::uint64_t kStack = 0xffff900000010000;
constexpr std::uint32_t kTable = 0x8000, kUnwindData = 0x9000;

/// One image and one stack, filled by the test.
class Machine {
 public:
  Machine() : registers_(Architecture::kAmd64, std::vector<std::byte>(0x4d0)) {
    image_.resize(0x10000);
    stack_.resize(0x2000);
    source_.find_module = [](std::uint64_t address) -> std::optional<UnwindModule> {
      if (address - kBase < 0x10000) return UnwindModule{kBase, 0x10000};
      return std::nullopt;
    };
    source_.read_image = [this](std::uint64_t, std::uint32_t rva, std::span<std::byte> out) {
      ++image_reads_;
      return Copy(image_, rva, out);
    };
    source_.read_memory = [this](std::uint64_t address, std::span<std::byte> out) {
      if (address - kBase < image_.size()) return Copy(image_, address - kBase, out);
      return Copy(stack_, address - kStack, out);
    };
    source_.exception_directory =
        [this](std::uint64_t) -> std::optional<std::pair<std::uint32_t, std::uint32_t>> {
      return std::pair(kTable, functions_ * 12);
    };
    registers_.Set("rsp", kStack);
  }

  void AddFunction(std::uint32_t begin, std::uint32_t end, std::initializer_list<unsigned> unwind) {
    const std::uint32_t data = kUnwindData + functions_ * 0x40;
    AddEntry(begin, end, data);
    std::size_t at = data;
    for (const unsigned byte : unwind) image_[at++] = static_cast<std::byte>(byte);
  }
  void AddEntry(std::uint32_t begin, std::uint32_t end, std::uint32_t unwind) {
    const std::uint32_t values[] = {begin, end, unwind};
    for (unsigned i = 0; i < 3; ++i) Put(image_, kTable + functions_ * 12 + i * 4, values[i], 4);
    ++functions_;
  }
  void SetCode(std::uint32_t rva, std::initializer_list<unsigned> code) {
    for (const unsigned byte : code) image_[rva++] = static_cast<std::byte>(byte);
  }
  void SetStack(std::uint64_t offset, std::uint64_t value) { Put(stack_, offset, value, 8); }
  void SetRip(std::uint32_t rva) { registers_.Set("rip", kBase + rva); }
  std::vector<StackFrame> Walk(std::size_t maximum = 1024) const {
    return WalkStack(registers_, source_, maximum);
  }

  UnwindSource source_;
  RegisterSet registers_;
  std::vector<std::byte> image_, stack_;
  std::uint32_t functions_ = 0;
  int image_reads_ = 0;

 private:
  static void Put(std::vector<std::byte>& bytes, std::size_t at, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes.at(at + i) = static_cast<std::byte>(value >> i * 8);
  }
  static std::size_t Copy(const std::vector<std::byte>& from, std::uint64_t at, std::span<std::byte> out) {
    if (at >= from.size()) return 0;
    const std::size_t size = std::min<std::size_t>(out.size(), from.size() - at);
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), size, out.begin());
    return size;
  }
};

// push rbx; sub rsp, 20h: unwind data used by several tests.
constexpr std::initializer_list<unsigned> kPushAndAllocate = {1, 5, 2, 0, 5, 0x32, 1, 0x30};

TEST(Unwinder, BodyPrologAndLeaf) {
  for (const auto& [offset, slot, restores] : {std::tuple(0u, 0u, false), std::tuple(1u, 8u, true),
                                               std::tuple(5u, 0x28u, true), std::tuple(0x30u, 0u, false)}) {
    Machine machine;
    machine.AddFunction(0x1000, 0x1020, kPushAndAllocate);
    machine.SetCode(0x1000, {0x53, 0x48, 0x83, 0xec, 0x20, 0x90});
    machine.registers_.Set("rbx", 0x11);
    machine.SetRip(0x1000 + offset);
    machine.SetStack(slot, kBase + 0x2000);
    if (restores) machine.SetStack(slot - 8, 0x77);
    const std::vector<StackFrame> frames = machine.Walk(2);
    ASSERT_EQ(frames.size(), 2u) << offset;
    EXPECT_EQ(frames[0].child_sp, kStack);
    EXPECT_EQ(frames[0].return_address, kBase + 0x2000);
    EXPECT_EQ(frames[1].child_sp, kStack + slot + 8);
    EXPECT_EQ(frames[1].registers.Get("rbx"), restores ? 0x77u : 0x11u);
    EXPECT_EQ(frames[0].warning, "");
  }
}

TEST(Unwinder, ReturnAddressAtTheEndOfAFunctionBelongsToIt) {
  Machine machine;
  machine.AddFunction(0x1000, 0x1020, kPushAndAllocate);
  machine.AddFunction(0x1020, 0x1040, {1, 4, 1, 0, 4, 0xf2});
  machine.SetRip(0x3000);
  machine.SetStack(0, kBase + 0x1020);         // a call was the last instruction of the first function
  machine.SetStack(8 + 0x28, kBase + 0x3010);  // its caller
  const std::vector<StackFrame> frames = machine.Walk(3);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[1].return_address, kBase + 0x3010);
}

TEST(Unwinder, MachineFrameIsATrapBoundary) {
  for (const bool error_code : {false, true}) {
    Machine machine;
    machine.AddFunction(0x1000, 0x1100, {1, 5, 2, 0, 5, 0x32, 0, error_code ? 0x1au : 0x0au});
    machine.AddFunction(0x2000, 0x2100, kPushAndAllocate);
    machine.SetRip(0x1050);
    const std::uint64_t frame = 0x20 + (error_code ? 8 : 0);
    machine.SetStack(frame, kBase + 0x2000);  // interrupted at the first byte of the second function
    machine.SetStack(frame + 8, 0x10);
    machine.SetStack(frame + 16, 0x246);
    machine.SetStack(frame + 24, kStack + 0x800);
    machine.SetStack(frame + 32, 0x18);
    machine.SetStack(0x800, kBase + 0x3000);
    const std::vector<StackFrame> frames = machine.Walk(3);
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_TRUE(frames[0].trap_frame);
    EXPECT_FALSE(frames[1].trap_frame);
    EXPECT_EQ(frames[1].child_sp, kStack + 0x800);
    EXPECT_EQ(frames[1].registers.Get("cs"), 0x10u);
    EXPECT_EQ(frames[1].registers.Get("efl"), 0x246u);
    EXPECT_EQ(frames[2].child_sp, kStack + 0x808) << "nothing pushed yet at the first byte";
  }
}

TEST(Unwinder, FarSavesAndFarAllocation) {
  Machine machine;
  // ALLOC_LARGE u32 0x1000, SAVE_NONVOL_FAR rsi 0x800, SAVE_XMM128_FAR xmm7 0x900.
  machine.AddFunction(0x1000, 0x1100, {1,    0x20, 9,    0, 0x20, 0x79, 0,    0x09, 0,    0, 0x18,
                                       0x65, 0,    0x08, 0, 0,    7,    0x11, 0,    0x10, 0, 0});
  machine.SetCode(0x1050, {0x90});
  machine.SetRip(0x1050);
  machine.SetStack(0x800, 0x5151);
  machine.SetStack(0x900, 0x6161);
  machine.SetStack(0x1000, kBase + 0x3000);
  const std::vector<StackFrame> frames = machine.Walk(2);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].registers.Get("rsi"), 0x5151u);
  EXPECT_EQ((*frames[1].registers.GetVector("xmm7"))[0], std::byte{0x61});
}

TEST(Unwinder, EpilogOfVersion2IsGivenByCodes) {
  // Epilog of 3 bytes at the end: add rsp is not part of it here, only `pop rbx; ret` behind a jump-free
  // body.
  Machine machine;
  machine.AddFunction(0x1000, 0x1020, {2, 5, 3, 0, 2, 0x16, 5, 0x32, 1, 0x30});
  machine.SetCode(0x1010, {0x5b, 0xc3});
  machine.SetCode(0x101e, {0x5b, 0xc3});
  machine.SetStack(0, 0x77);
  machine.SetStack(8, kBase + 0x3000);
  machine.SetStack(0x28, kBase + 0x4000);
  machine.SetRip(0x101e);
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x3000);
  machine.SetRip(0x1010);
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x4000) << "the same bytes outside the epilog map";
}

TEST(Unwinder, JumpInsideTheFunctionIsNoEpilog) {
  Machine machine;
  machine.AddFunction(0x1000, 0x1020, kPushAndAllocate);
  machine.AddFunction(0x1020, 0x1040, {0x21, 0, 0, 0, 0, 0x10, 0, 0, 0x20, 0x10, 0, 0, 0, 0x90, 0, 0});
  machine.SetStack(0, kBase + 0x3000);
  machine.SetStack(0x28, kBase + 0x4000);
  machine.SetRip(0x1010);
  machine.SetCode(0x1010, {0xeb, 0x02});  // inside
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x4000);
  machine.SetCode(0x1010, {0xeb, 0x1e});  // to a chained part of the same function
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x4000);
  machine.SetCode(0x1010, {0xe9, 0x00, 0x10, 0, 0});  // to another function
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x3000);
  machine.SetCode(0x1010, {0xeb, 0xee});  // to its own first byte: a recursive tail call
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x3000);
}

TEST(Unwinder, ChainedAndIndirectEntries) {
  Machine machine;
  machine.AddFunction(0x1000, 0x1020, kPushAndAllocate);
  machine.AddEntry(0x1800, 0x1820, kTable + 1);  // stands for the first entry
  // A part that saved rdi and chains to the first.
  machine.AddFunction(0x2000, 0x2040,
                      {0x21, 5, 2, 0, 5, 0x74, 2, 0, 0, 0x10, 0, 0, 0x20, 0x10, 0, 0, 0, 0x90, 0, 0});
  machine.SetStack(0x10, 0x4444);
  machine.SetStack(0x20, 0x77);
  machine.SetStack(0x28, kBase + 0x3000);
  for (const std::uint32_t rva : {0x1810u, 0x2010u}) {
    machine.SetRip(rva);
    machine.SetCode(rva, {0x90});
    const std::vector<StackFrame> frames = machine.Walk(2);
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[1].registers.Get("rbx"), 0x77u);
    EXPECT_EQ(frames[1].registers.Get("rdi"), rva == 0x2010 ? 0x4444u : 0u);
  }
}

TEST(Unwinder, EndlessChainsEnd) {
  Machine machine;
  machine.AddFunction(0x1000, 0x1020, {0x21, 0, 0, 0, 0, 0x10, 0, 0, 0x20, 0x10, 0, 0, 0, 0x90, 0, 0});
  machine.AddEntry(0x1800, 0x1820, (kTable + 12) | 1);
  for (const std::uint32_t rva : {0x1010u, 0x1810u}) {
    machine.SetRip(rva);
    const std::vector<StackFrame> frames = machine.Walk();
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].warning, kNoUnwindInformation);
    EXPECT_EQ(frames[0].return_address, 0u);
  }
}

TEST(Unwinder, Guards) {
  Machine machine;
  machine.SetRip(0x3000);
  for (unsigned i = 0; i < 0x400; ++i) machine.SetStack(i * 8, kBase + 0x3000);
  EXPECT_EQ(machine.Walk().size(), 1024u) << "frames";
  EXPECT_EQ(machine.Walk(5).size(), 5u);
  machine.source_.stack_low = kStack;
  machine.source_.stack_high = kStack + 0x40;
  EXPECT_EQ(machine.Walk().size(), 9u) << "bounds";
  machine.SetStack(0x10, 0);
  EXPECT_EQ(machine.Walk().size(), 3u) << "a zero return address ends the stack";
  EXPECT_EQ(machine.Walk().back().return_address, 0u);
}

TEST(Unwinder, StackMustGrowAndLoopsEnd) {
  Machine machine;
  // SET_FPREG rbp: the frame register decides where rsp goes.
  machine.AddFunction(0x1000, 0x1100, {1, 4, 2, 0x05, 4, 0x03, 1, 0x50});
  machine.SetRip(0x1050);
  machine.SetCode(0x1050, {0x90});
  machine.registers_.Set("rsp", kStack + 0x100);
  machine.registers_.Set("rbp", kStack + 0x40);
  machine.SetStack(0x48, kBase + 0x3000);
  EXPECT_EQ(machine.Walk().size(), 1u);
  machine.source_.on_other_stack = [](std::uint64_t address) { return address < kStack + 0x100; };
  EXPECT_GT(machine.Walk().size(), 1u) << "another known stack may lie lower";

  Machine looping;  // a machine frame that points to itself
  looping.AddFunction(0x1000, 0x1100, {1, 0, 1, 0, 0, 0x0a});
  looping.SetRip(0x1050);
  looping.SetCode(0x1050, {0x90});
  looping.SetStack(0, kBase + 0x1050);
  looping.SetStack(24, kStack);
  EXPECT_EQ(looping.Walk().size(), 1u);
}

TEST(Unwinder, UnknownCodeIsALeafOnceAndWarns) {
  Machine machine;
  machine.registers_.Set("rip", 0x1234);
  machine.SetStack(0, kBase + 0x3000);
  machine.SetStack(8, 0x9999);
  const std::vector<StackFrame> frames = machine.Walk();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].warning, "WARNING: Frame IP not in any known module. Following frames may be wrong.");
  EXPECT_EQ(frames[1].warning, "");
  EXPECT_EQ(frames[2].warning, kNoModule);
  machine.SetStack(0, 0x7777);
  EXPECT_EQ(machine.Walk().size(), 1u) << "no code address on the stack";
}

TEST(Unwinder, ModuleWithoutExceptionDirectoryWarns) {
  Machine machine;
  machine.source_.exception_directory = [](std::uint64_t) { return std::nullopt; };
  machine.SetRip(0x3000);
  machine.SetStack(0, kBase + 0x3000);
  EXPECT_EQ(machine.Walk().at(0).warning,
            "WARNING: Stack unwind information not available. Following frames may be wrong.");
}

TEST(Unwinder, UnreadableStackKeepsTheFrame) {
  Machine machine;
  machine.SetRip(0x3000);
  machine.registers_.Set("rsp", 0x10);
  ASSERT_EQ(machine.Walk().size(), 1u);
  EXPECT_EQ(machine.Walk()[0].return_address, 0u);
}

TEST(Unwinder, SearchesALargeTableInFewReadsAndPreparesOncePerFrame) {
  Machine machine;
  machine.image_.resize(0x200000);
  machine.source_.find_module = [](std::uint64_t address) -> std::optional<UnwindModule> {
    if (address - kBase < 0x200000) return UnwindModule{kBase, 0x200000};
    return std::nullopt;
  };
  static constexpr std::uint32_t kCount = 20000, kFar = 0x10000;
  machine.source_.exception_directory = [](std::uint64_t) {
    return std::optional(std::pair(std::uint32_t{kFar}, kCount * 12));
  };
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::uint32_t values[] = {0x100000 + i * 16, 0x100000 + i * 16 + 16, kUnwindData};
    for (unsigned k = 0; k < 12; ++k) {
      machine.image_[kFar + i * 12 + k] = static_cast<std::byte>(values[k / 4] >> k % 4 * 8);
    }
  }
  machine.image_[kUnwindData] = std::byte{1};
  int prepared = 0;
  machine.source_.prepare = [&](std::uint64_t base, std::uint32_t rva) {
    EXPECT_EQ(base, kBase);
    EXPECT_EQ(rva, 0x100000u + 12345 * 16 + 8);
    ++prepared;
  };
  machine.SetRip(0x100000 + 12345 * 16 + 8);
  machine.SetCode(0x100000 + 12345 * 16 + 8, {0x90});
  machine.SetStack(0, 0);
  const std::vector<StackFrame> frames = machine.Walk();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].warning, "");
  EXPECT_EQ(prepared, 1);
  EXPECT_LE(machine.image_reads_, 10);
}

TEST(Unwinder, AsksTheFinderBeforeTheTable) {
  Machine machine;
  machine.AddFunction(0x1000, 0x1020, kPushAndAllocate);
  machine.SetRip(0x1510);
  machine.SetCode(0x1510, {0x90});
  machine.SetStack(0, kBase + 0x3000);
  machine.SetStack(0x28, kBase + 0x4000);
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x3000) << "not in the table: a leaf";
  machine.source_.find_function = [](std::uint64_t, std::uint32_t) {
    return std::optional(std::array<std::uint32_t, 3>{0x1500, 0x1600, kUnwindData});
  };
  EXPECT_EQ(machine.Walk(2).at(0).return_address, kBase + 0x4000);
}

TEST(WalkX86Frames, FollowsTheChainBehindCalls) {
  constexpr std::uint32_t kStack32 = 0x90000, kCode32 = 0x401000;
  std::vector<std::byte> stack(0x100), code(0x100, std::byte{0x90});
  code[0x10] = std::byte{0xe8};                                // call rel32, returns to +0x15
  code[0x20] = std::byte{0xff}, code[0x21] = std::byte{0xd0};  // call eax, returns to +0x22
  const auto put = [&stack](std::size_t at, std::uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) stack[at + i] = static_cast<std::byte>(value >> i * 8);
  };
  put(0x20, kStack32 + 0x40);
  put(0x24, kCode32 + 0x15);
  put(0x40, kStack32 + 0x60);
  put(0x44, kCode32 + 0x22);
  put(0x60, kStack32 + 0x80);
  put(0x64, kCode32 + 0x30);  // follows no call
  RegisterSet registers(Architecture::kX86, std::vector<std::byte>(0x2cc));
  registers.Set("eip", kCode32 + 0x50);
  registers.Set("esp", kStack32 + 0x10);
  registers.Set("ebp", kStack32 + 0x20);
  UnwindSource source;
  source.read_memory = [&](std::uint64_t address, std::span<std::byte> out) -> std::size_t {
    const bool in_stack = address - kStack32 < stack.size();
    const std::vector<std::byte>& from = in_stack ? stack : code;
    const std::uint64_t at = address - (in_stack ? kStack32 : kCode32);
    if (at >= from.size() || at + out.size() > from.size()) return 0;
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    return out.size();
  };
  std::vector<StackFrame> frames = WalkStack(registers, source);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].warning, kNoUnwindInformation);
  EXPECT_EQ(frames[0].child_sp, kStack32 + 0x20);
  EXPECT_EQ(frames[0].return_address, kCode32 + 0x15);
  EXPECT_EQ(frames[1].return_address, kCode32 + 0x22);
  EXPECT_EQ(frames[2].return_address, 0u);
  // At `push ebp` of a function entry the return address is on top of the stack.
  code[0x50] = std::byte{0x55}, code[0x51] = std::byte{0x8b}, code[0x52] = std::byte{0xec};
  put(0x10, kCode32 + 0x15);
  frames = WalkStack(registers, source);
  ASSERT_GE(frames.size(), 2u);
  EXPECT_EQ(frames[0].return_address, kCode32 + 0x15);
  EXPECT_EQ(frames[1].child_sp, kStack32 + 0x20);
}

}  // namespace
}  // namespace longwire

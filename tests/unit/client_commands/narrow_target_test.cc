#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/commands/command.h"
#include "client/engine/session.h"
#include "tests/support/fake_target.h"

namespace longwire {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t kHead = 0x80600000, kKernel = 0x80400000, kDriver = 0xF9E00000, kStack = 0x80700000;

/// Commands on a halted 32-bit x86 target: what is typed is sign-extended (engine.md 2.2), what the target
/// holds is not, and both are one address.
class NarrowCommands : public testing::Test {
 protected:
  void SetUp() override {
    rpc::TargetDescription description = *target_.description();
    description.machine = 0x14C;
    description.kernel_base = kKernel;
    description.loaded_module_list = kHead;
    target_.SetDescription(description);
    target_.Put(kHead, kHead + 0x100, 4);
    AddEntry(kHead + 0x100, kKernel, 0x46000, "ntoskrnl.exe", kHead + 0x400);
    AddEntry(kHead + 0x400, kDriver, 0x5000, "mydrv.sys", kHead);
    // mydrv+1010 calls, returns to +1015; nt+2020 calls mydrv, returns to +2025.
    target_.Map(kDriver + 0x1010, Bytes({0xE8, 0, 0, 0, 0, 0x8B, 0x45, 0x08, 0xC3}));
    target_.Map(kKernel + 0x2020, Bytes({0xE8, 0, 0, 0, 0, 0xC3}));
    target_.Map(kDriver + 0x1050, Bytes({0x33, 0xC0, 0x64, 0xA1, 0x18, 0, 0, 0, 0x75, 0x02, 0xC3}));
    target_.Put(kStack + 0x20, kStack + 0x40, 4);
    target_.Put(kStack + 0x24, kDriver + 0x1015, 4);
    target_.Put(kStack + 0x28, 0xC0DE0001, 4);
    target_.Put(kStack + 0x40, 0, 4);
    target_.Put(kStack + 0x44, kKernel + 0x2025, 4);
    RegisterSet registers(Architecture::kX86, std::vector<std::byte>(0x2CC));
    registers.Set("eip", kDriver + 0x1050);
    registers.Set("esp", kStack + 0x10);
    registers.Set("ebp", kStack + 0x20);
    registers.Set("eax", 0x80000001);
    rpc::StopEvent stop;
    stop.stop_counter = 1;
    stop.program_counter = kDriver + 0x1050;
    stop.context.assign(registers.context().begin(), registers.context().end());
    target_.Halt(stop);
    session_ = std::make_unique<Session>(target_, interrupt_, SessionOptions{}, [](std::string_view) {});
    for (auto add :
         {AddMemoryCommands, AddExpressionCommands, AddRegisterCommands, AddDisassemblyCommands,
          AddStackCommands, AddModuleCommands, AddNameCommands, AddRunCommands, AddBreakpointCommands})
      add(table_);
  }

  static std::vector<std::byte> Bytes(std::initializer_list<unsigned> values) {
    std::vector<std::byte> bytes;
    for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
  }
  void AddEntry(std::uint64_t entry, std::uint32_t base, std::uint32_t size, const std::string& name,
                std::uint32_t next) {
    target_.Put(entry, next, 4);
    target_.Put(entry + 0x18, base, 4);
    target_.Put(entry + 0x20, size, 4);
    target_.PutUnicode(entry + 0x24, entry + 0x100, "\\drivers\\" + name, 4);
    target_.PutUnicode(entry + 0x2C, entry + 0x200, name, 4);
  }
  std::string Run(std::string_view line) {
    Report report({});
    std::string pending;
    (void)table_.Execute(*session_, line, report, pending);
    return report.text() + report.error();
  }

  FakeTarget target_;
  Interrupt interrupt_;
  std::unique_ptr<Session> session_;
  CommandTable table_;
};

TEST_F(NarrowCommands, ModulesComeFromNarrowEntries) {
  const std::string text = Run("lm");
  EXPECT_THAT(text, HasSubstr("start    end        module name\n"));
  EXPECT_THAT(text, HasSubstr("80400000 80446000   nt "));
  EXPECT_THAT(text, HasSubstr("f9e00000 f9e05000   mydrv "));
  EXPECT_THAT(Run("lm a f9e01050"), HasSubstr("mydrv"));
  EXPECT_THAT(Run("lm a f9e01050"), Not(HasSubstr("nt ")));
}

TEST_F(NarrowCommands, RegistersAreShownAndAssigned) {
  EXPECT_THAT(Run("r"), HasSubstr("eax=80000001 ebx=00000000"));
  EXPECT_THAT(Run("r"), HasSubstr("eip=f9e01050 esp=80700010 ebp=80700020"));
  EXPECT_EQ(Run("r ebx = eip"), "");
  EXPECT_THAT(Run("r ebx"), HasSubstr("ebx=f9e01050"));
}

TEST_F(NarrowCommands, MemoryHasEightDigitsHoweverTheAddressIsGiven) {
  const std::string row = "80700020  80700040 f9e01015 c0de0001";
  EXPECT_THAT(Run("dd 80700020 L3"), HasSubstr(row));
  EXPECT_THAT(Run("dd ebp L3"), HasSubstr(row));
  EXPECT_THAT(Run("dp 0xffffffff`80700020 L3"), HasSubstr(row));
  EXPECT_THAT(Run("dd poi(ebp) L2"), HasSubstr("80700040  00000000 80402025"));
  EXPECT_THAT(Run("dds ebp L2"), HasSubstr("80700024  f9e01015 mydrv+0x1015"));
  EXPECT_THAT(Run("dd 80700ffc L2"), HasSubstr("80700ffc  00000000 ????????"));
}

TEST_F(NarrowCommands, ExpressionsExtendTheSignOfRegistersAndNames) {
  EXPECT_THAT(Run("? eip"), HasSubstr("= f9e01050"));
  EXPECT_THAT(Run("? eip == mydrv + 1050"), HasSubstr("= 00000001"));
}

TEST_F(NarrowCommands, CodeIsDecodedAsX86) {
  const std::string text = Run("u eip L4");
  EXPECT_THAT(text, HasSubstr("mydrv+0x1050:\n"));
  EXPECT_THAT(text, HasSubstr("f9e01050 33c0            xor     eax,eax\n"));
  EXPECT_THAT(text, HasSubstr("f9e01052 64a118000000    mov     eax,dword ptr fs:[18h]"));
  EXPECT_THAT(text, HasSubstr("f9e01058 7502            jne     mydrv+0x105c (f9e0105c)\n"));
}

TEST_F(NarrowCommands, StacksFollowTheFrameChainAndSayThatTheyGuess) {
  const std::string text = Run("kb");
  EXPECT_THAT(text, HasSubstr("ChildEBP RetAddr"));
  EXPECT_THAT(text, HasSubstr("WARNING: Stack unwind information not available."));
  EXPECT_THAT(text, HasSubstr("80700020 f9e01015 c0de0001"));
  EXPECT_THAT(text, HasSubstr("mydrv+0x1050\n"));
  EXPECT_THAT(text, HasSubstr("80700040 80402025"));
  EXPECT_THAT(text, HasSubstr("mydrv+0x1015\n"));
  EXPECT_THAT(text, HasSubstr("nt+0x2025"));
}

TEST_F(NarrowCommands, BreakpointsAreGivenWithoutSignExtension) {
  EXPECT_EQ(Run("bp f9e01058"), "");
  EXPECT_EQ(Run("bp mydrv+1059"), "");
  std::vector<std::uint64_t> addresses;
  for (const auto& [id, breakpoint] : target_.breakpoints()) addresses.push_back(breakpoint.address);
  EXPECT_THAT(addresses, testing::UnorderedElementsAre(kDriver + 0x1058, kDriver + 0x1059));
  EXPECT_THAT(Run("bl"), HasSubstr("f9e01058"));
}

}  // namespace
}  // namespace longwire

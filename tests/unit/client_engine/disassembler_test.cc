#include "client/engine/disassembler.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

std::vector<std::byte> Bytes(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

Instruction Decode(std::string_view hex, Architecture architecture = Architecture::kAmd64,
                   std::uint64_t address = 0x1000, const AddressNamer& namer = {}) {
  const std::vector<std::byte> code = Bytes(hex);
  const Result<Instruction> instruction = Disassemble(architecture, address, code, namer);
  EXPECT_TRUE(instruction) << hex;
  return instruction ? *instruction : Instruction{};
}

std::string Text(std::string_view hex, Architecture architecture = Architecture::kAmd64) {
  const Instruction instruction = Decode(hex, architecture);
  return instruction.operands.empty() ? instruction.mnemonic
                                      : instruction.mnemonic + " " + instruction.operands;
}

TEST(Disassembler, MicrosoftSpelling64) {
  struct Case {
    const char *hex, *text;
  };
  const Case cases[] = {
      {"43891401", "mov dword ptr [r9+r8],edx"},
      {"48895c2408", "mov qword ptr [rsp+8],rbx"},
      {"48895c2418", "mov qword ptr [rsp+18h],rbx"},
      {"4883ec28", "sub rsp,28h"},
      {"488d6c24f0", "lea rbp,[rsp-10h]"},
      {"b0ff", "mov al,0FFh"},
      {"83c8ff", "or eax,0FFFFFFFFh"},
      {"4883e4f0", "and rsp,0FFFFFFFFFFFFFFF0h"},
      {"48c7442420feffffff", "mov qword ptr [rsp+20h],0FFFFFFFFFFFFFFFEh"},
      {"48b80000000080f7ffff", "mov rax,0FFFFF78000000000h"},
      {"8b0488", "mov eax,dword ptr [rax+rcx*4]"},
      {"8b44cd10", "mov eax,dword ptr [rbp+rcx*8+10h]"},
      {"65488b042588010000", "mov rax,qword ptr gs:[188h]"},
      {"0f29742420", "movaps xmmword ptr [rsp+20h],xmm6"},
      {"0f1f440000", "nop dword ptr [rax+rax]"},
      {"f348ab", "rep stos qword ptr [rdi]"},
      {"f3a4", "rep movs byte ptr [rdi],byte ptr [rsi]"},
      {"f2ae", "repne scas byte ptr [rdi]"},
      {"f00fc101", "lock xadd dword ptr [rcx],eax"},
      {"0f94c0", "sete al"},
      {"0f95c0", "setne al"},
      {"480f43c1", "cmovae rax,rcx"},
      {"d1e0", "shl eax,1"},
      {"d3e8", "shr eax,cl"},
      {"cc", "int 3"},
      {"cd2c", "int 2Ch"},
      {"c3", "ret"},
      {"f3c3", "rep ret"},
      {"c20800", "ret 8"},
      {"ff5010", "call qword ptr [rax+10h]"},
      {"41ffe3", "jmp r11"},
      {"6aff", "push 0FFFFFFFFFFFFFFFFh"},
      {"0fb64101", "movzx eax,byte ptr [rcx+1]"},
      {"4863c1", "movsxd rax,ecx"},
      {"f20f1001", "movsd xmm0,mmword ptr [rcx]"},
      {"dd00", "fld qword ptr [rax]"},
      {"dc00", "fadd qword ptr [rax]"},
      {"0f0d09", "prefetchw [rcx]"},
      {"0f20d8", "mov rax,cr3"},
      {"f4", "hlt"},
      {"ec", "in al,dx"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(Text(test.hex), test.text) << test.hex;
  }
}

TEST(Disassembler, MicrosoftSpelling32) {
  EXPECT_EQ(Text("8b4508", Architecture::kX86), "mov eax,dword ptr [ebp+8]");
  EXPECT_EQ(Text("8b45fc", Architecture::kX86), "mov eax,dword ptr [ebp-4]");
  EXPECT_EQ(Text("64a118000000", Architecture::kX86), "mov eax,dword ptr fs:[18h]");
  EXPECT_EQ(Text("f3ab", Architecture::kX86), "rep stos dword ptr es:[edi]");
  EXPECT_EQ(Text("f3a5", Architecture::kX86), "rep movs dword ptr es:[edi],dword ptr [esi]");
  EXPECT_EQ(Text("8b048510203081", Architecture::kX86), "mov eax,dword ptr [eax*4+81302010h]");
  EXPECT_EQ(Text("d8c1", Architecture::kX86), "fadd st(0),st(1)");
}

TEST(Disassembler, BranchesAndNames) {
  const AddressNamer namer = [](std::uint64_t address) {
    return address == 0xfffff80400001012 ? std::string("nt!Foo+0x12 (") + FormatAddress(address) + ")"
                                         : std::string();
  };
  Instruction jump = Decode("7510", Architecture::kAmd64, 0xfffff80400001000, namer);
  EXPECT_EQ(jump.mnemonic, "jne");
  EXPECT_EQ(jump.operands, "nt!Foo+0x12 (fffff804`00001012)");
  EXPECT_EQ(jump.branch_target, 0xfffff80400001012u);
  EXPECT_TRUE(jump.is_branch && jump.is_conditional && !jump.is_call && !jump.is_return);
  Instruction call = Decode("e8fbffffff", Architecture::kAmd64, 0xfffff80400001000, namer);
  EXPECT_EQ(call.operands, "fffff804`00001000");
  EXPECT_TRUE(call.is_call && !call.is_branch);
  Instruction relative = Decode("488b050b000000", Architecture::kAmd64, 0xfffff80400001000, namer);
  EXPECT_EQ(relative.operands, "rax,qword ptr [nt!Foo+0x12 (fffff804`00001012)]");
  EXPECT_EQ(relative.branch_target, 0xfffff80400001012u);
  EXPECT_EQ(Decode("ff2500000000").operands, "qword ptr [00000000`00001006]");
  EXPECT_TRUE(Decode("c3").is_return);
  EXPECT_EQ(Decode("e8fbffffff", Architecture::kX86, 0x81001000).operands, "81001000");
  struct Spelling {
    const char *hex, *mnemonic;
  };
  for (const Spelling& test : {Spelling{"7200", "jb"},
                               {"7300", "jae"},
                               {"7400", "je"},
                               {"7600", "jbe"},
                               {"7700", "ja"},
                               {"7c00", "jl"},
                               {"7d00", "jge"},
                               {"7e00", "jle"},
                               {"7f00", "jg"},
                               {"eb00", "jmp"}}) {
    EXPECT_EQ(Decode(test.hex).mnemonic, test.mnemonic);
  }
}

TEST(Disassembler, BadBytes) {
  const Instruction bad = Decode("0f0b0f0b", Architecture::kAmd64);
  EXPECT_EQ(bad.mnemonic, "ud2");
  const Instruction invalid = Decode("06", Architecture::kAmd64);
  EXPECT_FALSE(invalid.valid);
  EXPECT_EQ(invalid.mnemonic, "???");
  EXPECT_EQ(invalid.length, 1u);
  EXPECT_EQ(invalid.bytes, "06");
  EXPECT_FALSE(Decode("4889").valid) << "cut short";
  const Result<Instruction> empty = Disassemble(Architecture::kAmd64, 5, {}, {});
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, Errc::kUnreadable);
}

TEST(Disassembler, Arm64Instructions) {
  const auto text = [](const char* hex) { return Text(hex, Architecture::kArm64); };
  EXPECT_EQ(text("fd7bbfa9"), "stp fp,lr,[sp,#-0x10]!");
  EXPECT_EQ(text("7f2303d5"), "pacibsp");
  EXPECT_EQ(text("00003ed4"), "brk #0xf000");
  EXPECT_EQ(text("ff8300d1"), "sub sp,sp,#0x20");
  EXPECT_EQ(text("e00300aa"), "mov x0,x0");
  const Instruction call = Decode("02000094", Architecture::kArm64, 0x1000);
  EXPECT_TRUE(call.is_call);
  EXPECT_EQ(call.branch_target, 0x1008u);
  EXPECT_EQ(call.operands, "00000000`00001008");
  const Instruction back = Decode("e0ffff54", Architecture::kArm64, 0x1000);
  EXPECT_EQ(back.mnemonic, "b.eq");
  EXPECT_TRUE(back.is_conditional && back.is_branch && !back.is_call);
  EXPECT_EQ(back.branch_target, 0xFFCu);
  const Instruction zero = Decode("400000b4", Architecture::kArm64, 0x1000);
  EXPECT_EQ(zero.operands, "x0,00000000`00001008");
  const Instruction page = Decode("08000090", Architecture::kArm64, 0x1234);
  EXPECT_EQ(page.mnemonic + " " + page.operands, "adrp x8,00000000`00001000");
  EXPECT_TRUE(Decode("c0035fd6", Architecture::kArm64).is_return);
  EXPECT_TRUE(Decode("00013fd6", Architecture::kArm64).is_call);
  const Instruction jump = Decode("00011fd6", Architecture::kArm64);
  EXPECT_TRUE(jump.is_branch && !jump.is_return && !jump.is_call);
}

TEST(Disassembler, Arm64Words) {
  EXPECT_EQ(Text("00000000", Architecture::kArm64), "udf #0x0");
  EXPECT_FALSE(Decode("ffffffff", Architecture::kArm64).valid);
  EXPECT_EQ(Text("ffffffff", Architecture::kArm64), ".inst 0xFFFFFFFF");
  const Instruction word = Decode("00003ed4", Architecture::kArm64);
  EXPECT_EQ(word.bytes, "d43e0000");
  EXPECT_EQ(word.length, 4u);
}

TEST(EffectiveAddress, OfTheOperand) {
  RegisterSet set(Architecture::kAmd64, std::vector<std::byte>(0x4d0));
  set.Set("r8", 0xffff9b0003360008);
  set.Set("r9", 0x44);
  set.Set("ds", 0x2b);
  set.Set("ss", 0x18);
  set.Set("rsp", 0x8000);
  set.Set("rdi", 0x9000);
  const auto store = EffectiveAddress(set, 0x1000, Bytes("43891401"));
  ASSERT_TRUE(store);
  EXPECT_EQ(store->address, 0xffff9b000336004cu);
  EXPECT_EQ(store->segment, "ds");
  EXPECT_EQ(store->selector, 0x2b);
  EXPECT_EQ(store->size, 4u);
  EXPECT_TRUE(store->is_written && !store->is_read);
  const auto stack = EffectiveAddress(set, 0x1000, Bytes("488b442408"));
  ASSERT_TRUE(stack);
  EXPECT_EQ(stack->segment, "ss");
  EXPECT_EQ(stack->address, 0x8008u);
  EXPECT_TRUE(stack->is_read);
  EXPECT_EQ(EffectiveAddress(set, 0x1000, Bytes("488b050b000000"))->address, 0x1012u);
  EXPECT_EQ(EffectiveAddress(set, 0x1000, Bytes("48ab"))->address, 0x9000u);
  EXPECT_TRUE(EffectiveAddress(set, 0x1000, Bytes("65488b042588010000"))->segment_relative);
  EXPECT_FALSE(EffectiveAddress(set, 0x1000, Bytes("488d6c24f0"))) << "lea";
  EXPECT_FALSE(EffectiveAddress(set, 0x1000, Bytes("53"))) << "push";
}

TEST(BranchTaken, ByFlags) {
  RegisterSet set(Architecture::kAmd64, std::vector<std::byte>(0x4d0));
  EXPECT_EQ(BranchTaken("jne", set), true);
  EXPECT_EQ(BranchTaken("je", set), false);
  set.Set("zf", 1);
  EXPECT_EQ(BranchTaken("jne", set), false);
  set.Set("of", 1);
  EXPECT_EQ(BranchTaken("jl", set), true);
  EXPECT_EQ(BranchTaken("jmp", set), std::nullopt);
}

}  // namespace
}  // namespace longwire

#include "proto/kd/context.h"

#include <algorithm>

#include "proto/kd/bytes.h"

namespace longwire::kd {
namespace {

constexpr RegisterField kAmd64Registers[] = {
    {"p1home", 0x0, 8},
    {"p2home", 0x8, 8},
    {"p3home", 0x10, 8},
    {"p4home", 0x18, 8},
    {"p5home", 0x20, 8},
    {"p6home", 0x28, 8},
    {"contextflags", 0x30, 4},
    {"mxcsr", 0x34, 4},
    {"cs", 0x38, 2},
    {"ds", 0x3A, 2},
    {"es", 0x3C, 2},
    {"fs", 0x3E, 2},
    {"gs", 0x40, 2},
    {"ss", 0x42, 2},
    {"efl", 0x44, 4},
    {"dr0", 0x48, 8},
    {"dr1", 0x50, 8},
    {"dr2", 0x58, 8},
    {"dr3", 0x60, 8},
    {"dr6", 0x68, 8},
    {"dr7", 0x70, 8},
    {"rax", 0x78, 8},
    {"rcx", 0x80, 8},
    {"rdx", 0x88, 8},
    {"rbx", 0x90, 8},
    {"rsp", 0x98, 8},
    {"rbp", 0xA0, 8},
    {"rsi", 0xA8, 8},
    {"rdi", 0xB0, 8},
    {"r8", 0xB8, 8},
    {"r9", 0xC0, 8},
    {"r10", 0xC8, 8},
    {"r11", 0xD0, 8},
    {"r12", 0xD8, 8},
    {"r13", 0xE0, 8},
    {"r14", 0xE8, 8},
    {"r15", 0xF0, 8},
    {"rip", 0xF8, 8},
    {"fpcw", 0x100, 2},
    {"fpsw", 0x102, 2},
    {"fptw", 0x104, 1},
    {"st0", 0x120, 16},
    {"st1", 0x130, 16},
    {"st2", 0x140, 16},
    {"st3", 0x150, 16},
    {"st4", 0x160, 16},
    {"st5", 0x170, 16},
    {"st6", 0x180, 16},
    {"st7", 0x190, 16},
    {"xmm0", 0x1A0, 16},
    {"xmm1", 0x1B0, 16},
    {"xmm2", 0x1C0, 16},
    {"xmm3", 0x1D0, 16},
    {"xmm4", 0x1E0, 16},
    {"xmm5", 0x1F0, 16},
    {"xmm6", 0x200, 16},
    {"xmm7", 0x210, 16},
    {"xmm8", 0x220, 16},
    {"xmm9", 0x230, 16},
    {"xmm10", 0x240, 16},
    {"xmm11", 0x250, 16},
    {"xmm12", 0x260, 16},
    {"xmm13", 0x270, 16},
    {"xmm14", 0x280, 16},
    {"xmm15", 0x290, 16},
    {"vectorcontrol", 0x4A0, 8},
    {"debugctl", 0x4A8, 8},
    {"lastbranchto", 0x4B0, 8},
    {"lastbranchfrom", 0x4B8, 8},
    {"lastexceptionto", 0x4C0, 8},
    {"lastexceptionfrom", 0x4C8, 8},
};

constexpr RegisterField kX86Registers[] = {
    {"contextflags", 0x0, 4}, {"dr0", 0x4, 4},     {"dr1", 0x8, 4},     {"dr2", 0xC, 4},
    {"dr3", 0x10, 4},         {"dr6", 0x14, 4},    {"dr7", 0x18, 4},    {"gs", 0x8C, 4},
    {"fs", 0x90, 4},          {"es", 0x94, 4},     {"ds", 0x98, 4},     {"edi", 0x9C, 4},
    {"esi", 0xA0, 4},         {"ebx", 0xA4, 4},    {"edx", 0xA8, 4},    {"ecx", 0xAC, 4},
    {"eax", 0xB0, 4},         {"ebp", 0xB4, 4},    {"eip", 0xB8, 4},    {"cs", 0xBC, 4},
    {"efl", 0xC0, 4},         {"esp", 0xC4, 4},    {"ss", 0xC8, 4},     {"mxcsr", 0xE4, 4},
    {"xmm0", 0x16C, 16},      {"xmm1", 0x17C, 16}, {"xmm2", 0x18C, 16}, {"xmm3", 0x19C, 16},
    {"xmm4", 0x1AC, 16},      {"xmm5", 0x1BC, 16}, {"xmm6", 0x1CC, 16}, {"xmm7", 0x1DC, 16},
};

constexpr RegisterField kArm64Registers[] = {
    {"contextflags", 0x0, 4}, {"cpsr", 0x4, 4},   {"x0", 0x8, 8},     {"x1", 0x10, 8},    {"x2", 0x18, 8},
    {"x3", 0x20, 8},          {"x4", 0x28, 8},    {"x5", 0x30, 8},    {"x6", 0x38, 8},    {"x7", 0x40, 8},
    {"x8", 0x48, 8},          {"x9", 0x50, 8},    {"x10", 0x58, 8},   {"x11", 0x60, 8},   {"x12", 0x68, 8},
    {"x13", 0x70, 8},         {"x14", 0x78, 8},   {"x15", 0x80, 8},   {"x16", 0x88, 8},   {"x17", 0x90, 8},
    {"x18", 0x98, 8},         {"x19", 0xA0, 8},   {"x20", 0xA8, 8},   {"x21", 0xB0, 8},   {"x22", 0xB8, 8},
    {"x23", 0xC0, 8},         {"x24", 0xC8, 8},   {"x25", 0xD0, 8},   {"x26", 0xD8, 8},   {"x27", 0xE0, 8},
    {"x28", 0xE8, 8},         {"fp", 0xF0, 8},    {"lr", 0xF8, 8},    {"sp", 0x100, 8},   {"pc", 0x108, 8},
    {"v0", 0x110, 16},        {"v1", 0x120, 16},  {"v2", 0x130, 16},  {"v3", 0x140, 16},  {"v4", 0x150, 16},
    {"v5", 0x160, 16},        {"v6", 0x170, 16},  {"v7", 0x180, 16},  {"v8", 0x190, 16},  {"v9", 0x1A0, 16},
    {"v10", 0x1B0, 16},       {"v11", 0x1C0, 16}, {"v12", 0x1D0, 16}, {"v13", 0x1E0, 16}, {"v14", 0x1F0, 16},
    {"v15", 0x200, 16},       {"v16", 0x210, 16}, {"v17", 0x220, 16}, {"v18", 0x230, 16}, {"v19", 0x240, 16},
    {"v20", 0x250, 16},       {"v21", 0x260, 16}, {"v22", 0x270, 16}, {"v23", 0x280, 16}, {"v24", 0x290, 16},
    {"v25", 0x2A0, 16},       {"v26", 0x2B0, 16}, {"v27", 0x2C0, 16}, {"v28", 0x2D0, 16}, {"v29", 0x2E0, 16},
    {"v30", 0x2F0, 16},       {"v31", 0x300, 16}, {"fpcr", 0x310, 4}, {"fpsr", 0x314, 4}, {"bcr0", 0x318, 4},
    {"bcr1", 0x31C, 4},       {"bcr2", 0x320, 4}, {"bcr3", 0x324, 4}, {"bcr4", 0x328, 4}, {"bcr5", 0x32C, 4},
    {"bcr6", 0x330, 4},       {"bcr7", 0x334, 4}, {"bvr0", 0x338, 8}, {"bvr1", 0x340, 8}, {"bvr2", 0x348, 8},
    {"bvr3", 0x350, 8},       {"bvr4", 0x358, 8}, {"bvr5", 0x360, 8}, {"bvr6", 0x368, 8}, {"bvr7", 0x370, 8},
    {"wcr0", 0x378, 4},       {"wcr1", 0x37C, 4}, {"wvr0", 0x380, 8}, {"wvr1", 0x388, 8},
};

constexpr RegisterField kAmd64Special[] = {
    {"cr0", 0x0, 8},
    {"cr2", 0x8, 8},
    {"cr3", 0x10, 8},
    {"cr4", 0x18, 8},
    {"kdr0", 0x20, 8},
    {"kdr1", 0x28, 8},
    {"kdr2", 0x30, 8},
    {"kdr3", 0x38, 8},
    {"kdr6", 0x40, 8},
    {"kdr7", 0x48, 8},
    {"gdtl", 0x56, 2},
    {"gdtr", 0x58, 8},
    {"idtl", 0x66, 2},
    {"idtr", 0x68, 8},
    {"tr", 0x70, 2},
    {"ldtr", 0x72, 2},
    {"kmxcsr", 0x74, 4},
    {"kdebugctl", 0x78, 8},
    {"klastbranchto", 0x80, 8},
    {"klastbranchfrom", 0x88, 8},
    {"klastexceptionto", 0x90, 8},
    {"klastexceptionfrom", 0x98, 8},
    {"cr8", 0xA0, 8},
    {"gsbase", 0xA8, 8},
    {"gsswap", 0xB0, 8},
    {"star", 0xB8, 8},
    {"lstar", 0xC0, 8},
    {"cstar", 0xC8, 8},
    {"syscallmask", 0xD0, 8},
    {"xcr0", 0xD8, 8},
    {"fsbase", 0xE0, 8},
};

constexpr RegisterField kX86Special[] = {
    {"cr0", 0x0, 4},   {"cr2", 0x4, 4},   {"cr3", 0x8, 4},   {"cr4", 0xC, 4},
    {"kdr0", 0x10, 4}, {"kdr1", 0x14, 4}, {"kdr2", 0x18, 4}, {"kdr3", 0x1C, 4},
    {"kdr6", 0x20, 4}, {"kdr7", 0x24, 4}, {"gdtl", 0x2A, 2}, {"gdtr", 0x2C, 4},
    {"idtl", 0x32, 2}, {"idtr", 0x34, 4}, {"tr", 0x38, 2},   {"ldtr", 0x3A, 2},
};

constexpr RegisterField kArm64Special[] = {
    {"kbvr0", 0x28, 8}, {"kbvr1", 0x30, 8}, {"kbvr2", 0x38, 8}, {"kbvr3", 0x40, 8}, {"kbvr4", 0x48, 8},
    {"kbvr5", 0x50, 8}, {"kbvr6", 0x58, 8}, {"kbvr7", 0x60, 8}, {"kbcr0", 0x68, 4}, {"kbcr1", 0x6C, 4},
    {"kbcr2", 0x70, 4}, {"kbcr3", 0x74, 4}, {"kbcr4", 0x78, 4}, {"kbcr5", 0x7C, 4}, {"kbcr6", 0x80, 4},
    {"kbcr7", 0x84, 4}, {"kwvr0", 0x88, 8}, {"kwvr1", 0x90, 8}, {"kwcr0", 0x98, 4}, {"kwcr1", 0x9C, 4},
};

constexpr ContextLayout kAmd64Layout = {.size = 0x4D0,
                                        .flags_offset = 0x30,
                                        .all_flags = 0x10001F,
                                        .pc_offset = 0xF8,
                                        .sp_offset = 0x98,
                                        .frame_offset = 0xA0,
                                        .eflags_offset = 0x44,
                                        .dr0_offset = 0x48,
                                        .dr6_offset = 0x68,
                                        .dr7_offset = 0x70,
                                        .pointer_size = 8,
                                        .breakpoint_size = 1,
                                        .registers = kAmd64Registers};

constexpr ContextLayout kX86Layout = {.size = 0x2CC,
                                      .flags_offset = 0x00,
                                      .all_flags = 0x1003F,
                                      .pc_offset = 0xB8,
                                      .sp_offset = 0xC4,
                                      .frame_offset = 0xB4,
                                      .eflags_offset = 0xC0,
                                      .dr0_offset = 0x04,
                                      .dr6_offset = 0x14,
                                      .dr7_offset = 0x18,
                                      .pointer_size = 4,
                                      .breakpoint_size = 1,
                                      .registers = kX86Registers};

constexpr ContextLayout kArm64Layout = {.size = 0x390,
                                        .flags_offset = 0x00,
                                        .all_flags = 0x40000F,
                                        .pc_offset = 0x108,
                                        .sp_offset = 0x100,
                                        .frame_offset = 0xF0,
                                        .eflags_offset = 0x04,
                                        .dr0_offset = 0,
                                        .dr6_offset = 0,
                                        .dr7_offset = 0,
                                        .pointer_size = 8,
                                        .breakpoint_size = 4,
                                        .registers = kArm64Registers};

// E0 bytes: the part all versions of the AMD64 record share, FsBase excluded.
constexpr SpecialLayout kAmd64SpecialLayout = {
    .size = 0xE0, .control_selector = 2, .registers = kAmd64Special};
constexpr SpecialLayout kX86SpecialLayout = {
    .size = 0x54, .control_selector = 0x2CC, .registers = kX86Special};
constexpr SpecialLayout kArm64SpecialLayout = {
    .size = 0xA0, .control_selector = 2, .registers = kArm64Special};

const RegisterField* Find(std::span<const RegisterField> fields, std::string_view name) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

}  // namespace

std::uint64_t LoadWord(const ContextLayout& layout, std::span<const std::byte> context, std::size_t offset) {
  return layout.pointer_size == 8 ? Load64(context, offset) : Load32(context, offset);
}

const ContextLayout* FindContextLayout(Machine machine) {
  switch (machine) {
    case Machine::kAmd64: return &kAmd64Layout;
    case Machine::kX86: return &kX86Layout;
    case Machine::kArm64: return &kArm64Layout;
    default: return nullptr;
  }
}

const RegisterField* FindContextRegister(Machine machine, std::string_view name) {
  const ContextLayout* layout = FindContextLayout(machine);
  return layout == nullptr ? nullptr : Find(layout->registers, name);
}

const SpecialLayout* FindSpecialLayout(Machine machine) {
  switch (machine) {
    case Machine::kAmd64: return &kAmd64SpecialLayout;
    case Machine::kX86: return &kX86SpecialLayout;
    case Machine::kArm64: return &kArm64SpecialLayout;
    default: return nullptr;
  }
}

const RegisterField* FindSpecialRegister(Machine machine, std::string_view name) {
  const SpecialLayout* layout = FindSpecialLayout(machine);
  return layout == nullptr ? nullptr : Find(layout->registers, name);
}

bool IsBreakpointInstruction(Machine machine, std::span<const std::byte> bytes) {
  constexpr std::byte kInt3{0xCC};
  constexpr std::byte kBrk[] = {std::byte{0x00}, std::byte{0x00}, std::byte{0x3E}, std::byte{0xD4}};
  constexpr std::byte kArmBreak[] = {std::byte{0xFE}, std::byte{0xDE}};
  const auto begins_with = [&](std::span<const std::byte> instruction) {
    return bytes.size() >= instruction.size() &&
           std::equal(instruction.begin(), instruction.end(), bytes.begin());
  };
  switch (machine) {
    case Machine::kAmd64:
    case Machine::kX86: return begins_with({&kInt3, 1});
    case Machine::kArm64: return begins_with(kBrk);
    case Machine::kArm: return begins_with(kArmBreak);
    default: return false;
  }
}

}  // namespace longwire::kd

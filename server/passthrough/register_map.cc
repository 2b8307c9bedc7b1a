#include "server/passthrough/register_map.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace longwire {
namespace {

using Source = ServedRegister::Source;

constexpr std::string_view kX86Core = "org.gnu.gdb.i386.core";
constexpr std::string_view kX86Sse = "org.gnu.gdb.i386.sse";
constexpr std::string_view kX86Segments = "org.gnu.gdb.i386.segments";
constexpr std::string_view kX86Control = "org.longwire.i386.control";
constexpr std::string_view kArmCore = "org.gnu.gdb.aarch64.core";
constexpr std::string_view kArmFpu = "org.gnu.gdb.aarch64.fpu";

constexpr std::uint32_t kFsBaseMsr = 0xC0000100;
constexpr std::uint32_t kTagByte = 0x104;  ///< of the AMD64 record, as FXSAVE has it: a bit a register
constexpr std::uint32_t kStatusWord = 0x102;
constexpr std::uint32_t kFirstFloat = 0x120;  ///< 16 bytes a register

constexpr std::string_view kVectorTypes =
    R"(<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>)"
    R"(<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>)"
    R"(<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>)"
    R"(<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>)"
    R"(<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>)"
    R"(<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>)"
    R"(<field name="uint128" type="uint128"/></union>)";

/// Single-bit fields of a flags register, `NAME` at its bit.
std::string FlagsType(std::string_view id) {
  struct Flag {
    std::string_view name;
    int bit;
  };
  static constexpr std::array<Flag, 17> kFlags{{{"CF", 0},
                                                {"", 1},
                                                {"PF", 2},
                                                {"AF", 4},
                                                {"ZF", 6},
                                                {"SF", 7},
                                                {"TF", 8},
                                                {"IF", 9},
                                                {"DF", 10},
                                                {"OF", 11},
                                                {"NT", 14},
                                                {"RF", 16},
                                                {"VM", 17},
                                                {"AC", 18},
                                                {"VIF", 19},
                                                {"VIP", 20},
                                                {"ID", 21}}};
  std::string text = "<flags id=\"" + std::string(id) + "\" size=\"4\">";
  for (const Flag& flag : kFlags) {
    const std::string bit = std::to_string(flag.bit);
    text += "<field name=\"" + std::string(flag.name) + "\" start=\"" + bit + "\" end=\"" + bit + "\"/>";
  }
  return text + "</flags>";
}

/// Types a feature uses, which have to be told inside it.
std::string TypesOf(std::string_view feature) {
  if (feature == kX86Core) return FlagsType("i386_eflags");
  if (feature == kX86Sse) return std::string(kVectorTypes);
  return "";
}

/// Two bits for each physical register: 0 valid, 1 zero, 2 special, 3 empty. FXSAVE keeps only whether it is
/// empty; the rest follows from the value, which it keeps in stack order.
std::uint16_t TagWord(kd::ByteView context) {
  const std::uint8_t used = kd::Load8(context, kTagByte);
  const unsigned top = (kd::Load16(context, kStatusWord) >> 11) & 7u;
  std::uint16_t word = 0;
  for (unsigned physical = 0; physical < 8; ++physical) {
    unsigned tag = 3;
    if ((used >> physical & 1u) != 0) {
      const std::size_t at = kFirstFloat + std::size_t{16} * ((physical + 8 - top) & 7u);
      const std::uint64_t fraction = kd::Load64(context, at);
      const unsigned exponent = kd::Load16(context, at + 8) & 0x7FFFu;
      const bool normal = exponent != 0 && exponent != 0x7FFF && (fraction >> 63) != 0;
      tag = normal ? 0 : exponent == 0 && fraction == 0 ? 1 : 2;
    }
    word = static_cast<std::uint16_t>(word | tag << (2 * physical));
  }
  return word;
}

std::uint8_t TagByte(std::uint16_t word) {
  unsigned used = 0;
  for (unsigned physical = 0; physical < 8; ++physical) {
    if ((word >> (2 * physical) & 3u) != 3) used |= 1u << physical;
  }
  return static_cast<std::uint8_t>(used);
}

}  // namespace

std::optional<RegisterMap> RegisterMap::For(kd::Machine machine) {
  RegisterMap map;
  map.machine_ = machine;
  switch (machine) {
    case kd::Machine::kAmd64: map.AddAmd64(); break;
    case kd::Machine::kX86: map.AddX86(); break;
    case kd::Machine::kArm64: map.AddArm64(); break;
    default: return std::nullopt;
  }
  return map;
}

void RegisterMap::AddAt(std::string_view feature, std::string name, std::string_view type, std::uint32_t bits,
                        std::uint32_t offset, std::uint32_t size) {
  registers_.push_back({std::move(name), feature, type, bits, Source::kContext, offset, size});
}

void RegisterMap::Add(std::string_view feature, std::string name, std::string_view type, std::uint32_t bits,
                      std::string_view field) {
  if (const kd::RegisterField* found = kd::FindContextRegister(machine_, field))
    AddAt(feature, std::move(name), type, bits, found->offset, found->size);
}

void RegisterMap::AddSpecial(std::string_view feature, std::string name, std::string_view field) {
  if (const kd::RegisterField* found = kd::FindSpecialRegister(machine_, field)) {
    registers_.push_back({std::move(name), feature, found->size == 8 ? "int64" : "int32", found->size * 8u,
                          Source::kSpecial, found->offset, found->size});
  }
}

/// The coprocessor after its registers: gdb has eight words of 32 bits for what FSAVE stores.
void RegisterMap::AddX87(std::uint32_t control, std::uint32_t status, std::uint32_t first,
                         std::uint32_t step) {
  for (unsigned i = 0; i < 8; ++i)
    AddAt(kX86Core, "st" + std::to_string(i), "i387_ext", 80, first + i * step, 10);
  AddAt(kX86Core, "fctrl", "int", 32, control, 2);
  AddAt(kX86Core, "fstat", "int", 32, status, 2);
}

void RegisterMap::AddAmd64() {
  for (const char* name : {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11",
                           "r12", "r13", "r14", "r15"}) {
    const bool pointer = std::strcmp(name, "rbp") == 0 || std::strcmp(name, "rsp") == 0;
    Add(kX86Core, name, pointer ? "data_ptr" : "int64", 64, name);
  }
  Add(kX86Core, "rip", "code_ptr", 64, "rip");
  Add(kX86Core, "eflags", "i386_eflags", 32, "efl");
  for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"}) Add(kX86Core, name, "int32", 32, name);
  AddX87(0x100, kStatusWord, kFirstFloat, 16);
  registers_.push_back({"ftag", kX86Core, "int", 32, Source::kTagWord, kTagByte, 1});
  AddAt(kX86Core, "fiseg", "int", 32, 0x10C, 2);
  AddAt(kX86Core, "fioff", "int", 32, 0x108, 4);
  AddAt(kX86Core, "foseg", "int", 32, 0x114, 2);
  AddAt(kX86Core, "fooff", "int", 32, 0x110, 4);
  AddAt(kX86Core, "fop", "int", 32, 0x106, 2);
  for (unsigned i = 0; i < 16; ++i) {
    const std::string name = "xmm" + std::to_string(i);
    Add(kX86Sse, name, "vec128", 128, name);
  }
  Add(kX86Sse, "mxcsr", "int", 32, "mxcsr");
  registers_.push_back({"fs_base", kX86Segments, "int64", 64, Source::kMsr, kFsBaseMsr, 8});
  AddSpecial(kX86Segments, "gs_base", "gsbase");
  AddSpecial(kX86Control, "k_gs_base", "gsswap");
  for (const char* name : {"cr0", "cr2", "cr3", "cr4", "cr8"}) AddSpecial(kX86Control, name, name);
}

void RegisterMap::AddX86() {
  for (const char* name : {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"}) {
    const bool pointer = std::strcmp(name, "ebp") == 0 || std::strcmp(name, "esp") == 0;
    Add(kX86Core, name, pointer ? "data_ptr" : "int32", 32, name);
  }
  Add(kX86Core, "eip", "code_ptr", 32, "eip");
  Add(kX86Core, "eflags", "i386_eflags", 32, "efl");
  for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"}) Add(kX86Core, name, "int32", 32, name);
  // FLOATING_SAVE_AREA at 1C: what FSAVE stores, so the tag word is whole.
  AddX87(0x1C, 0x20, 0x38, 10);
  AddAt(kX86Core, "ftag", "int", 32, 0x24, 2);
  AddAt(kX86Core, "fiseg", "int", 32, 0x2C, 2);
  AddAt(kX86Core, "fioff", "int", 32, 0x28, 4);
  AddAt(kX86Core, "foseg", "int", 32, 0x34, 2);
  AddAt(kX86Core, "fooff", "int", 32, 0x30, 4);
  AddAt(kX86Core, "fop", "int", 32, 0x2E, 2);
  for (unsigned i = 0; i < 8; ++i) {
    const std::string name = "xmm" + std::to_string(i);
    Add(kX86Sse, name, "vec128", 128, name);
  }
  Add(kX86Sse, "mxcsr", "int", 32, "mxcsr");
  for (const char* name : {"cr0", "cr2", "cr3", "cr4"}) AddSpecial(kX86Control, name, name);
}

void RegisterMap::AddArm64() {
  for (unsigned i = 0; i < 29; ++i) {
    const std::string name = "x" + std::to_string(i);
    Add(kArmCore, name, "int64", 64, name);
  }
  Add(kArmCore, "x29", "int64", 64, "fp");
  Add(kArmCore, "x30", "int64", 64, "lr");
  Add(kArmCore, "sp", "data_ptr", 64, "sp");
  Add(kArmCore, "pc", "code_ptr", 64, "pc");
  Add(kArmCore, "cpsr", "int32", 32, "cpsr");
  for (unsigned i = 0; i < 32; ++i) {
    const std::string name = "v" + std::to_string(i);
    Add(kArmFpu, name, "uint128", 128, name);
  }
  Add(kArmFpu, "fpsr", "int", 32, "fpsr");
  Add(kArmFpu, "fpcr", "int", 32, "fpcr");
}

std::optional<std::size_t> RegisterMap::Find(std::string_view name) const {
  const auto found = std::find_if(registers_.begin(), registers_.end(),
                                  [&](const ServedRegister& one) { return one.name == name; });
  if (found == registers_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - registers_.begin());
}

std::string_view RegisterMap::triple() const {
  switch (machine_) {
    case kd::Machine::kAmd64: return "x86_64-pc-windows-msvc";
    case kd::Machine::kX86: return "i386-pc-windows-msvc";
    default: return "aarch64-pc-windows-msvc";
  }
}

std::string RegisterMap::Describe() const {
  const char* architecture = machine_ == kd::Machine::kAmd64 ? "i386:x86-64"
                             : machine_ == kd::Machine::kX86 ? "i386"
                                                             : "aarch64";
  std::string text = R"(<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">)"
                     R"(<target version="1.0"><architecture>)";
  text += std::string(architecture) + "</architecture>";
  std::string_view feature;
  for (const ServedRegister& one : registers_) {
    if (one.feature != feature) {
      text += (feature.empty() ? "" : "</feature>");
      text += "<feature name=\"" + std::string(one.feature) + "\">" + TypesOf(one.feature);
      feature = one.feature;
    }
    text += "<reg name=\"" + one.name + "\" bitsize=\"" + std::to_string(one.bits) + "\" type=\"" +
            std::string(one.type) + "\"/>";
  }
  return text + "</feature></target>";
}

kd::Bytes RegisterMap::Get(const ServedRegister& one, kd::ByteView record) const {
  kd::Bytes value(one.bits / 8);
  if (one.source == Source::kTagWord) {
    kd::Store(std::span(value), 0, TagWord(record));
    return value;
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(value.size(), one.size); ++i) {
    if (one.offset + i < record.size()) value[i] = record[one.offset + i];
  }
  return value;
}

void RegisterMap::Set(const ServedRegister& one, kd::ByteView value, kd::Bytes& record) const {
  if (std::size_t{one.offset} + one.size > record.size()) return;
  if (one.source == Source::kTagWord) {
    record[one.offset] = std::byte{TagByte(kd::Load16(value, 0))};
    return;
  }
  std::copy_n(value.begin(), std::min<std::size_t>(value.size(), one.size), record.begin() + one.offset);
}

kd::Bytes RegisterMap::Pack(kd::ByteView context) const {
  kd::Bytes packed;
  for (const ServedRegister& one : registers_) {
    if (one.source == Source::kSpecial || one.source == Source::kMsr) break;
    const kd::Bytes value = Get(one, context);
    packed.insert(packed.end(), value.begin(), value.end());
  }
  return packed;
}

void RegisterMap::Unpack(kd::ByteView packed, kd::Bytes& context) const {
  for (const ServedRegister& one : registers_) {
    if (one.source == Source::kSpecial || one.source == Source::kMsr || packed.size() < one.bits / 8) break;
    Set(one, packed.first(one.bits / 8), context);
    packed = packed.subspan(one.bits / 8);
  }
}

}  // namespace longwire

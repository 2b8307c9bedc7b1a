#include "client/engine/machine.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <map>

namespace longwire {
namespace {

// Where a named register lives in a CONTEXT record (kd-protocol.md 5.9).
struct RegisterField {
  std::uint16_t offset = 0;
  std::uint8_t size = 0;   // bytes in the record; 10 for x87 registers, 16 for vectors
  std::uint8_t shift = 0;  // for flags: bit number inside the field
  std::uint8_t bits = 0;   // for flags: width; 0: the whole field
  std::uint8_t cleared_bytes =
      0;  // a write clears the whole register of this size first (32-bit writes on 64-bit machines)
};

using RegisterTable = std::map<std::string, RegisterField, std::less<>>;

RegisterField Field(unsigned offset, unsigned size, unsigned cleared_bytes = 0) {
  return {static_cast<std::uint16_t>(offset), static_cast<std::uint8_t>(size), 0, 0,
          static_cast<std::uint8_t>(cleared_bytes)};
}

RegisterField Flag(unsigned offset, unsigned shift, unsigned bits = 1) {
  return {static_cast<std::uint16_t>(offset), 4, static_cast<std::uint8_t>(shift),
          static_cast<std::uint8_t>(bits), 0};
}

void AddX86Flags(RegisterTable& table, unsigned offset) {
  table["efl"] = Field(offset, 4);
  const std::initializer_list<std::pair<const char*, unsigned>> flags = {
      {"cf", 0},  {"pf", 2},  {"af", 4},  {"zf", 6},  {"sf", 7},   {"tf", 8},  {"if", 9},
      {"df", 10}, {"of", 11}, {"nt", 14}, {"rf", 16}, {"vif", 19}, {"vip", 20}};
  for (const auto& [name, bit] : flags) table[name] = Flag(offset, bit);
  table["iopl"] = Flag(offset, 12, 2);
}

// The registers named by one letter (a, b, c, d): 16-bit, low and high byte.
void AddLetterParts(RegisterTable& table, char letter, unsigned offset) {
  table[std::string{letter, 'x'}] = Field(offset, 2);
  table[std::string{letter, 'l'}] = Field(offset, 1);
  table[std::string{letter, 'h'}] = Field(offset + 1, 1);
}

RegisterTable MakeAmd64Table() {
  RegisterTable table;
  const std::initializer_list<std::pair<char, unsigned>> letters = {
      {'a', 0x78}, {'c', 0x80}, {'d', 0x88}, {'b', 0x90}};
  for (const auto& [letter, offset] : letters) {
    table[std::string{'r', letter, 'x'}] = Field(offset, 8);
    table[std::string{'e', letter, 'x'}] = Field(offset, 4, 8);
    AddLetterParts(table, letter, offset);
  }
  const std::initializer_list<std::pair<const char*, unsigned>> words = {
      {"sp", 0x98}, {"bp", 0xa0}, {"si", 0xa8}, {"di", 0xb0}};
  for (const auto& [word, offset] : words) {
    const std::string name = word;
    table["r" + name] = Field(offset, 8);
    table["e" + name] = Field(offset, 4, 8);
    table[name] = Field(offset, 2);
    table[name + "l"] = Field(offset, 1);
  }
  for (unsigned number = 8; number < 16; ++number) {
    const std::string name = "r" + std::to_string(number);
    const unsigned offset = 0xb8 + (number - 8) * 8;
    table[name] = Field(offset, 8);
    table[name + "d"] = Field(offset, 4, 8);
    table[name + "w"] = Field(offset, 2);
    table[name + "b"] = Field(offset, 1);
  }
  table["rip"] = Field(0xf8, 8);
  table["eip"] = Field(0xf8, 4, 8);
  table["ip"] = Field(0xf8, 2);
  unsigned segment_offset = 0x38;
  for (const char* name : {"cs", "ds", "es", "fs", "gs", "ss"}) {
    table[name] = Field(segment_offset, 2);
    segment_offset += 2;
  }
  AddX86Flags(table, 0x44);
  for (unsigned number = 0; number < 4; ++number)
    table["dr" + std::to_string(number)] = Field(0x48 + number * 8, 8);
  table["dr6"] = Field(0x68, 8);
  table["dr7"] = Field(0x70, 8);
  table["mxcsr"] = Field(0x34, 4);
  table["fpcw"] = Field(0x100, 2);
  table["fpsw"] = Field(0x102, 2);
  table["fptw"] = Field(0x104, 1);
  for (unsigned number = 0; number < 8; ++number) {
    table["st" + std::to_string(number)] = Field(0x120 + number * 16, 10);
    table["mm" + std::to_string(number)] = Field(0x120 + number * 16, 8);
  }
  for (unsigned number = 0; number < 16; ++number)
    table["xmm" + std::to_string(number)] = Field(0x1a0 + number * 16, 16);
  return table;
}

RegisterTable MakeX86Table() {
  RegisterTable table;
  const std::initializer_list<std::pair<char, unsigned>> letters = {
      {'a', 0xb0}, {'c', 0xac}, {'d', 0xa8}, {'b', 0xa4}};
  for (const auto& [letter, offset] : letters) {
    table[std::string{'e', letter, 'x'}] = Field(offset, 4);
    AddLetterParts(table, letter, offset);
  }
  const std::initializer_list<std::pair<const char*, unsigned>> words = {
      {"sp", 0xc4}, {"bp", 0xb4}, {"si", 0xa0}, {"di", 0x9c}, {"ip", 0xb8}};
  for (const auto& [word, offset] : words) {
    const std::string name = word;
    table["e" + name] = Field(offset, 4);
    table[name] = Field(offset, 2);
  }
  const std::initializer_list<std::pair<const char*, unsigned>> segments = {
      {"gs", 0x8c}, {"fs", 0x90}, {"es", 0x94}, {"ds", 0x98}, {"cs", 0xbc}, {"ss", 0xc8}};
  for (const auto& [name, offset] : segments) table[name] = Field(offset, 2);
  AddX86Flags(table, 0xc0);
  for (unsigned number = 0; number < 4; ++number)
    table["dr" + std::to_string(number)] = Field(0x04 + number * 4, 4);
  table["dr6"] = Field(0x14, 4);
  table["dr7"] = Field(0x18, 4);
  table["fpcw"] = Field(0x1c, 2);
  table["fpsw"] = Field(0x20, 2);
  table["fptw"] = Field(0x24, 2);
  for (unsigned number = 0; number < 8; ++number) {
    table["st" + std::to_string(number)] = Field(0x38 + number * 10, 10);
    table["mm" + std::to_string(number)] = Field(0x38 + number * 10, 8);
    table["xmm" + std::to_string(number)] = Field(0x16c + number * 16, 16);
  }
  table["mxcsr"] = Field(0xe4, 4);
  return table;
}

RegisterTable MakeArm64Table() {
  RegisterTable table;
  for (unsigned number = 0; number < 31; ++number) {
    table["x" + std::to_string(number)] = Field(0x08 + number * 8, 8);
    table["w" + std::to_string(number)] = Field(0x08 + number * 8, 4, 8);
  }
  table["fp"] = Field(0xf0, 8);
  table["lr"] = Field(0xf8, 8);
  table["sp"] = Field(0x100, 8);
  table["pc"] = Field(0x108, 8);
  table["psr"] = table["cpsr"] = Field(0x04, 4);
  table["n"] = Flag(0x04, 31);
  table["z"] = Flag(0x04, 30);
  table["c"] = Flag(0x04, 29);
  table["v"] = Flag(0x04, 28);
  for (unsigned number = 0; number < 32; ++number) {
    const std::string digits = std::to_string(number);
    table["v" + digits] = table["q" + digits] = Field(0x110 + number * 16, 16);
    table["d" + digits] = Field(0x110 + number * 16, 8);
    table["s" + digits] = Field(0x110 + number * 16, 4);
  }
  table["fpcr"] = Field(0x310, 4);
  table["fpsr"] = Field(0x314, 4);
  return table;
}

const RegisterTable& TableOf(Architecture architecture) {
  static const RegisterTable amd64 = MakeAmd64Table();
  static const RegisterTable x86 = MakeX86Table();
  static const RegisterTable arm64 = MakeArm64Table();
  switch (architecture) {
    case Architecture::kX86: return x86;
    case Architecture::kArm64: return arm64;
    case Architecture::kAmd64: break;
  }
  return amd64;
}

std::string Lower(std::string_view name) {
  std::string result(name);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return result;
}

const RegisterField* FindField(Architecture architecture, std::string_view name) {
  const RegisterTable& table = TableOf(architecture);
  const auto found = table.find(Lower(name));
  return found == table.end() ? nullptr : &found->second;
}

std::uint64_t LoadBytes(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

void StoreBytes(std::span<std::byte> bytes, std::uint64_t value) {
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(value & 0xff);
    value >>= 8;
  }
}

// Registers outside CONTEXT: processor state of the kernel (kd-protocol.md 5.10) and the XSAVE area.
bool IsControlRegisterName(Architecture architecture, const std::string& name) {
  if (architecture == Architecture::kArm64) return false;
  for (const char* known : {"cr0", "cr2", "cr3", "cr4", "gdtr", "gdtl", "idtr", "idtl", "tr", "ldtr"}) {
    if (name == known) return true;
  }
  if (architecture == Architecture::kX86) return false;
  if (name == "cr8" || name == "xcr0") return true;
  for (unsigned number = 0; number < 16; ++number) {
    if (name == "ymm" + std::to_string(number)) return true;
  }
  return false;
}

}  // namespace

std::optional<Architecture> ArchitectureOf(std::uint16_t pe_machine) {
  switch (pe_machine) {
    case 0x8664: return Architecture::kAmd64;
    case 0x014c: return Architecture::kX86;
    case 0xaa64: return Architecture::kArm64;
    default: return std::nullopt;
  }
}

unsigned PointerSize(Architecture architecture) { return architecture == Architecture::kX86 ? 4 : 8; }

RegisterSet::RegisterSet(Architecture architecture, std::vector<std::byte> context)
    : architecture_(architecture), context_(std::move(context)) {}

std::optional<std::uint64_t> RegisterSet::Get(std::string_view name) const {
  const RegisterField* field = FindField(architecture_, name);
  if (!field || field->size > 8 || field->offset + field->size > context_.size()) return std::nullopt;
  const std::uint64_t value = LoadBytes(std::span(context_).subspan(field->offset, field->size));
  if (field->bits == 0) return value;
  return value >> field->shift & ((std::uint64_t{1} << field->bits) - 1);
}

bool RegisterSet::Set(std::string_view name, std::uint64_t value) {
  const RegisterField* field = FindField(architecture_, name);
  if (!field || field->size > 8) return false;
  const std::size_t written = std::max(field->size, field->cleared_bytes);
  if (field->offset + written > context_.size()) return false;
  const std::span<std::byte> bytes = std::span(context_).subspan(field->offset, written);
  if (field->bits != 0) {
    const std::uint64_t mask = ((std::uint64_t{1} << field->bits) - 1) << field->shift;
    value = (LoadBytes(bytes) & ~mask) | (value << field->shift & mask);
  } else if (field->cleared_bytes > field->size) {
    value &= (std::uint64_t{1} << field->size * 8) - 1;
  }
  StoreBytes(bytes, value);
  return true;
}

std::uint64_t RegisterSet::program_counter() const {
  switch (architecture_) {
    case Architecture::kX86: return Get("eip").value_or(0);
    case Architecture::kArm64: return Get("pc").value_or(0);
    case Architecture::kAmd64: break;
  }
  return Get("rip").value_or(0);
}

std::uint64_t RegisterSet::stack_pointer() const {
  switch (architecture_) {
    case Architecture::kX86: return Get("esp").value_or(0);
    case Architecture::kArm64: return Get("sp").value_or(0);
    case Architecture::kAmd64: break;
  }
  return Get("rsp").value_or(0);
}

std::uint64_t RegisterSet::frame_pointer() const {
  switch (architecture_) {
    case Architecture::kX86: return Get("ebp").value_or(0);
    case Architecture::kArm64: return Get("fp").value_or(0);
    case Architecture::kAmd64: break;
  }
  return Get("rbp").value_or(0);
}

std::optional<std::array<std::byte, 16>> RegisterSet::GetVector(std::string_view name) const {
  const RegisterField* field = FindField(architecture_, name);
  if (!field || field->size < 10 || field->offset + field->size > context_.size()) return std::nullopt;
  std::array<std::byte, 16> value{};
  std::copy_n(context_.begin() + field->offset, field->size, value.begin());
  return value;
}

bool RegisterSet::SetVector(std::string_view name, const std::array<std::byte, 16>& value) {
  const RegisterField* field = FindField(architecture_, name);
  if (!field || field->size < 10 || field->offset + field->size > context_.size()) return false;
  std::copy_n(value.begin(), field->size, context_.begin() + field->offset);
  return true;
}

bool IsRegisterName(Architecture architecture, std::string_view name) {
  return FindField(architecture, name) != nullptr || IsControlRegisterName(architecture, Lower(name));
}

std::uint64_t PlainAddress(Architecture architecture, std::uint64_t address) {
  if (PointerSize(architecture) == 8 || address < 0xffffffff80000000) return address;
  return address & 0xffffffff;
}

std::string FormatAddress(std::uint64_t address, unsigned pointer_size) {
  char text[32];
  if (pointer_size == 4) {
    std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(address));
  } else {
    std::snprintf(text, sizeof text, "%08x`%08x", static_cast<unsigned>(address >> 32),
                  static_cast<unsigned>(address));
  }
  return text;
}

}  // namespace longwire

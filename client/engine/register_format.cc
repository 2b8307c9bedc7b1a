#include "client/engine/register_format.h"

#include <cstdio>
#include <initializer_list>

namespace longwire {
namespace {

std::string Hex(std::uint64_t value, int digits) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(value));
  return text;
}

// " r8=ffff9b0003360008": the name right-aligned to three characters.
std::string NamedValue(const RegisterSet& registers, std::string_view name, int digits) {
  std::string text(name.size() < 3 ? 3 - name.size() : 0, ' ');
  text += name;
  return text + '=' + Hex(registers.Get(name).value_or(0), digits);
}

std::string Row(const RegisterSet& registers, std::initializer_list<std::string_view> names, int digits,
                std::string_view separator = " ") {
  std::string row;
  for (const std::string_view name : names) {
    if (!row.empty()) row += separator;
    row += NamedValue(registers, name, digits);
  }
  return row;
}

// "iopl=0         nv up ei pl zr na pe nc": between them the words vip and vif, blank when clear.
std::string FlagRow(const RegisterSet& registers) {
  std::string row = "iopl=" + Hex(registers.Get("iopl").value_or(0), 1);
  row += registers.Get("vip").value_or(0) ? " vip" : "    ";
  row += registers.Get("vif").value_or(0) ? " vif " : "     ";
  return row + FormatFlagWords(registers.Get("efl").value_or(0));
}

std::string SegmentRow(const RegisterSet& registers) {
  std::string row;
  for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"}) {
    row += std::string(name) + '=' + Hex(registers.Get(name).value_or(0), 4) + "  ";
  }
  return row + "           efl=" + Hex(registers.Get("efl").value_or(0), 8);
}

std::vector<std::string> Amd64Block(const RegisterSet& registers) {
  return {Row(registers, {"rax", "rbx", "rcx"}, 16),
          Row(registers, {"rdx", "rsi", "rdi"}, 16),
          Row(registers, {"rip", "rsp", "rbp"}, 16),
          Row(registers, {"r8", "r9", "r10"}, 16),
          Row(registers, {"r11", "r12", "r13"}, 16),
          Row(registers, {"r14", "r15"}, 16),
          FlagRow(registers),
          SegmentRow(registers)};
}

std::vector<std::string> X86Block(const RegisterSet& registers) {
  return {Row(registers, {"eax", "ebx", "ecx", "edx", "esi", "edi"}, 8),
          Row(registers, {"eip", "esp", "ebp"}, 8) + ' ' + FlagRow(registers), SegmentRow(registers)};
}

std::vector<std::string> Arm64Block(const RegisterSet& registers) {
  std::vector<std::string> lines;
  for (unsigned first = 0; first < 28; first += 4) {
    std::string row;
    for (unsigned number = first; number < first + 4; ++number) {
      if (number != first) row += "  ";
      row += NamedValue(registers, "x" + std::to_string(number), 16);
    }
    lines.push_back(row);
  }
  lines.push_back(Row(registers, {"x28", "fp", "lr", "sp"}, 16, "  "));
  std::string status = Row(registers, {"pc"}, 16) + "  psr=" + Hex(registers.Get("psr").value_or(0), 8) + ' ';
  for (const char* flag : {"n", "z", "c", "v"}) {
    status += registers.Get(flag).value_or(0) ? static_cast<char>(flag[0] - 'a' + 'A') : '-';
  }
  lines.push_back(status + " EL" + std::to_string(registers.Get("psr").value_or(0) >> 2 & 3));
  return lines;
}

}  // namespace

std::string FormatFlagWords(std::uint64_t flags) {
  struct FlagWord {
    unsigned bit;
    const char *set, *clear;
  };
  static constexpr FlagWord kWords[] = {{11, "ov", "nv"}, {10, "dn", "up"}, {9, "ei", "di"}, {7, "ng", "pl"},
                                        {6, "zr", "nz"},  {4, "ac", "na"},  {2, "pe", "po"}, {0, "cy", "nc"}};
  std::string text;
  for (const FlagWord& word : kWords) {
    if (!text.empty()) text += ' ';
    text += flags >> word.bit & 1 ? word.set : word.clear;
  }
  return text;
}

std::vector<std::string> FormatRegisterBlock(const RegisterSet& registers) {
  switch (registers.architecture()) {
    case Architecture::kX86: return X86Block(registers);
    case Architecture::kArm64: return Arm64Block(registers);
    case Architecture::kAmd64: break;
  }
  return Amd64Block(registers);
}

}  // namespace longwire

#include "client/commands/register_text.h"

#include <cctype>
#include <vector>

#include "client/commands/number_text.h"
#include "client/engine/location_text.h"
#include "client/engine/module_reader.h"
#include "client/engine/register_format.h"

namespace longwire {
namespace {

constexpr RegisterMaskName kMaskNames[] = {
    {0x1, "Integer state (32-bit)"}, {0x2, "Integer state (64-bit)"}, {0x4, "Floating-point state"},
    {0x8, "Segment registers"},      {0x10, "MMX registers"},         {0x20, "Debug registers"},
    {0x40, "SSE XMM registers"},     {0x80, "Control registers"},     {0x100, "Descriptor and task state"}};

void ShowNamed(Session& session, const RegisterSet& registers, std::initializer_list<const char*> names,
               Report& report) {
  std::string line;
  for (const char* name : names) {
    std::optional<std::uint64_t> value = registers.Get(name);
    // Control registers are no part of a CONTEXT.
    if (!value) {
      if (Result<std::uint64_t> evaluated = session.Evaluate(std::string("@") + name))
        value = session.Plain(*evaluated);
    }
    if (!value) continue;
    if (!line.empty()) line += ' ';
    line += PadLeft(name, 3) + "=" + HexDigits(*value, RegisterDigits(session.architecture(), name));
  }
  if (!line.empty()) report.Line(line);
}

void ShowVectors(const RegisterSet& registers, Report& report) {
  for (unsigned number = 0; number < 32; ++number) {
    for (const char* prefix : {"xmm", "v"}) {
      const std::string name = prefix + std::to_string(number);
      const auto vector = registers.GetVector(name);
      if (!vector) continue;
      if (Result<std::string> text = FormatVector(*vector, "")) report.Line(name + "=" + *text);
    }
  }
}

void ShowFloats(Session& session, const RegisterSet& registers, Report& report) {
  ShowNamed(session, registers, {"fpcw", "fpsw", "fptw"}, report);
  for (unsigned number = 0; number < 8; ++number) {
    const std::string name = "st" + std::to_string(number);
    const auto value = registers.GetVector(name);
    if (!value) continue;
    const std::uint64_t mantissa = LoadLittle(*value, 0, 8), head = LoadLittle(*value, 8, 2);
    report.Line(name + "=" + HexDigits(head, 4) + ":" + HexDigits(mantissa, 16));
  }
}

Fields AllRegisters(const RegisterSet& registers) {
  Fields fields;
  auto add = [&](const std::string& name) {
    if (const auto value = registers.Get(name)) fields.push_back({name, Hex{*value}});
  };
  for (const char* name : {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rip", "rsp", "rbp", "r8", "r9",
                           "r10", "r11", "r12", "r13", "r14", "r15", "fp",  "lr",  "sp",  "pc", "psr"}) {
    add(name);
  }
  if (fields.empty()) {
    for (const char* name : {"eax", "ebx", "ecx", "edx", "esi", "edi", "eip", "esp", "ebp"}) add(name);
  }
  for (const char* name : {"efl", "cs", "ss", "ds", "es", "fs", "gs"}) add(name);
  for (unsigned number = 0; number < 29; ++number) add("x" + std::to_string(number));
  return fields;
}

}  // namespace

std::span<const RegisterMaskName> RegisterMaskNames() { return kMaskNames; }

const char* ProgramCounterName(Architecture architecture) {
  return architecture == Architecture::kAmd64 ? "rip" : architecture == Architecture::kX86 ? "eip" : "pc";
}

const char* StackPointerName(Architecture architecture) {
  return architecture == Architecture::kAmd64 ? "rsp" : architecture == Architecture::kX86 ? "esp" : "sp";
}

unsigned RegisterDigits(Architecture architecture, std::string_view name) {
  // The value of a record full of ones is as wide as the register.
  const RegisterSet ones(architecture, std::vector<std::byte>(0x4d0, std::byte{0xff}));
  if (const auto widest = ones.Get(name)) return static_cast<unsigned>(HexDigits(*widest).size());
  return PointerSize(architecture) * 2;
}

Result<std::string> FormatVector(const std::array<std::byte, 16>& value, std::string_view suffix) {
  while (!suffix.empty() && std::isdigit(static_cast<unsigned char>(suffix.front()))) suffix.remove_prefix(1);
  const bool is_unsigned = suffix.starts_with("u");
  if (is_unsigned) suffix.remove_prefix(1);
  const char type = suffix.empty() ? 'f' : suffix.front();
  const unsigned size = type == 'b'                   ? 1
                        : type == 'w'                 ? 2
                        : type == 'q'                 ? 8
                        : type == 'd' && !is_unsigned ? 8
                                                      : 4;
  if (suffix.size() > 1 || std::string_view("bwdqf").find(type) == std::string_view::npos) {
    return Error{Errc::kUsage, "^ Syntax error in ':" + std::string(suffix) +
                                   "'; the types are [u]b, [u]w, [u]d, [u]q, f and d"};
  }
  std::string text;
  for (unsigned element = 16 / size; element-- > 0;) {
    const std::uint64_t bits = LoadLittle(value, element * size, size);
    if (!text.empty()) text += ' ';
    if (type == 'f')
      text += GeneralFloat(FloatOfBits(static_cast<std::uint32_t>(bits)));
    else if (type == 'd' && !is_unsigned)
      text += GeneralFloat(DoubleOfBits(bits));
    else if (is_unsigned)
      text += HexDigits(bits, size * 2);
    else
      text += std::to_string(static_cast<std::int64_t>(bits << (64 - 8 * size)) >> (64 - 8 * size));
  }
  return text;
}

Result<CommandFlow> ShowRegisters(Session& session, const RegisterSet& registers, std::uint32_t mask,
                                  Report& report) {
  report.Row("registers", AllRegisters(registers), "");
  if ((mask & kIntegerMask) != 0) {
    for (const std::string& line : FormatRegisterBlock(registers)) report.Line(line);
  }
  if ((mask & kFloatMask) != 0) ShowFloats(session, registers, report);
  if ((mask & kDebugMask) != 0) {
    ShowNamed(session, registers, {"dr0", "dr1", "dr2"}, report);
    ShowNamed(session, registers, {"dr3", "dr6", "dr7"}, report);
  }
  if ((mask & kVectorMask) != 0) ShowVectors(registers, report);
  if ((mask & kControlMask) != 0) ShowNamed(session, registers, {"cr0", "cr2", "cr3", "cr4", "cr8"}, report);
  if ((mask & kDescriptorMask) != 0) {
    ShowNamed(session, registers, {"gdtr", "gdtl", "idtr", "idtl", "tr", "ldtr"}, report);
  }
  if ((mask & kIntegerMask) != 0) report.Text(FormatLocation(session, registers));
  return CommandFlow::kPrompt;
}

}  // namespace longwire

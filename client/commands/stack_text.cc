#include "client/commands/stack_text.h"

#include "client/commands/local_variables.h"
#include "client/commands/memory_form.h"
#include "client/commands/number_text.h"

namespace longwire {

std::string FrameNumber(std::size_t number) { return HexDigits(number, 2); }

std::string StackText::Header() const {
  std::string header;
  if (columns_.numbers || columns_.names_only) header += " # ";
  if (columns_.names_only) return header + "Call Site";
  if (columns_.distances) header += "  Memory  ";
  const bool narrow = session_.pointer_size() == 4;
  if (narrow)
    return header + "ChildEBP RetAddr  " + (columns_.arguments ? "Args to Child              " : "");
  if (!columns_.no_stack) header += "Child-SP          ";
  header += "RetAddr               ";
  if (columns_.arguments)
    header += ": Args to Child                                                           : ";
  return header + "Call Site";
}

std::uint64_t StackText::ArgumentsAddress(const std::vector<StackFrame>& frames, std::size_t index) const {
  // x86: behind saved EBP and return address. x64: the home area stands above the return address, which is
  // where the caller's stack pointer is after the return.
  if (session_.pointer_size() == 4) return frames[index].child_sp + 8;
  if (index + 1 < frames.size()) return frames[index + 1].child_sp;
  return frames[index].child_sp + 8;
}

void StackText::Prepare(const std::vector<StackFrame>& frames, std::size_t shown) {
  std::vector<std::uint64_t> addresses;
  for (std::size_t i = 0; i < shown; ++i) addresses.push_back(frames[i].registers.program_counter());
  PrepareNames(session_, addresses);
  if (!columns_.arguments) return;
  std::vector<rpc::ReadRange> ranges;
  const std::uint64_t bytes = session_.pointer_size() == 4 ? 12 : 32;
  for (std::size_t i = 0; i < shown; ++i) ranges.push_back({ArgumentsAddress(frames, i), bytes});
  session_.target().Prefetch(session_.address_space(), ranges);
}

std::string StackText::SiteName(const std::vector<StackFrame>& frames, std::size_t index) {
  const std::uint64_t address = frames[index].registers.program_counter();
  const bool returns_here = index > 0 && !frames[index - 1].trap_frame;
  std::string name = session_.NameOf(address);
  if (returns_here && address != 0) {
    // A call that never returns may be the last instruction of its function.
    Result<NearbySymbol> call = session_.symbols().Nearest(address - 1);
    if (call) {
      ++call->displacement;
      name = call->Text();
    }
  }
  return name.empty() ? "0x" + session_.Address(address) : name;
}

std::string StackText::ArgumentWords(std::uint64_t address, std::vector<std::string>& words) {
  const unsigned pointer = session_.pointer_size();
  const unsigned count = pointer == 4 ? 3 : 4;
  std::string text;
  Result<MemoryView> view = ReadView(session_, address, std::size_t{count} * pointer);
  for (unsigned i = 0; i < count; ++i) {
    const auto value = view ? view->Unsigned(i * pointer, pointer) : std::nullopt;
    words.push_back(value ? session_.Address(*value) : pointer == 4 ? "????????" : "????????`????????");
    text += (i > 0 ? " " : "") + words.back();
  }
  return text;
}

std::string StackText::Parameters(const StackFrame& frame) {
  Result<std::vector<FrameVariable>> variables = ReadFrameVariables(session_, frame.registers);
  if (!variables) return "";
  std::string text;
  for (const FrameVariable& variable : *variables) {
    if (!variable.variable.is_parameter) continue;
    if (!text.empty()) text += columns_.parameter_lines ? "," : ", ";
    if (columns_.parameter_lines) text += "\n            ";
    text += CTypeName(session_, variable.type) + " " + variable.variable.name + " = ";
    text += variable.known ? ValueText(session_, variable.value, {variable.type, 0}) : "<value unavailable>";
  }
  return "(" + (text.empty() ? "void" : text) + ")";
}

std::string StackText::SourceSuffix(const std::vector<StackFrame>& frames, std::size_t index) {
  if (!columns_.source || !session_.options().source_lines) return "";
  std::uint64_t address = frames[index].registers.program_counter();
  if (index > 0 && !frames[index - 1].trap_frame) --address;
  Result<SourceLine> line = session_.symbols().FindLine(address);
  return line ? " [" + line->file + " @ " + std::to_string(line->line) + "] " : "";
}

Result<void> StackText::Write(const std::vector<StackFrame>& frames, std::size_t index, Report& report) {
  if (session_.interrupt().raised()) return Cancelled();
  const StackFrame& frame = frames[index];
  if (!frame.warning.empty()) report.Line(frame.warning);
  std::string site = SiteName(frames, index);
  Fields fields = {{"number", static_cast<std::int64_t>(index)},
                   {"child_sp", Hex{frame.child_sp}},
                   {"return_address", Hex{frame.return_address}},
                   {"instruction", Hex{frame.registers.program_counter()}},
                   {"site", site}};
  if (!frame.warning.empty()) fields.push_back({"warning", frame.warning});
  if (columns_.parameters) {
    // A displacement stands behind the parameters.
    const std::size_t plus = site.find('+');
    const std::string rest = plus == std::string::npos ? "" : site.substr(plus);
    site = site.substr(0, plus) + Parameters(frame) + rest;
  }
  std::string line;
  if (columns_.numbers || columns_.names_only) line += FrameNumber(index) + " ";
  if (!columns_.names_only) {
    if (columns_.distances) {
      const std::uint64_t distance = index > 0 ? frame.child_sp - frames[index - 1].child_sp : 0;
      line += (index > 0 ? PadLeft(HexDigits(distance), 8) : std::string(8, ' ')) + "  ";
    }
    const bool narrow = session_.pointer_size() == 4;
    if (!columns_.no_stack || narrow) line += session_.Address(frame.child_sp) + " ";
    line += session_.Address(frame.return_address);
    line += narrow ? " " : "     ";
    if (columns_.arguments) {
      std::vector<std::string> words;
      const std::string text = ArgumentWords(ArgumentsAddress(frames, index), words);
      line += narrow ? text + " " : ": " + text + " : ";
      fields.push_back({"arguments", std::move(words)});
    }
  }
  line += site;
  if (columns_.verbose && frame.trap_frame) {
    line += " (TrapFrame @ " + session_.Address(frame.child_sp) + ")";
    fields.push_back({"trap_frame", Hex{frame.child_sp}});
  }
  report.Row("frame", std::move(fields), line + SourceSuffix(frames, index));
  return {};
}

}  // namespace longwire

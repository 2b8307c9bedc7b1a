#include <algorithm>

#include "client/commands/command.h"
#include "client/commands/memory_view.h"
#include "client/commands/number_text.h"
#include "client/engine/disassembler.h"
#include "client/engine/location_text.h"

namespace longwire {
namespace {

constexpr std::uint64_t kDefaultInstructions = 8;
constexpr std::uint64_t kMaxInstructions = 65'536;
constexpr unsigned kLongestInstruction = 15;
constexpr std::uint64_t kSearchBackBytes = 64 * 1024;

AddressNamer Namer(Session& session) {
  return [&session](std::uint64_t target) {
    std::string name = session.NameOf(target);
    return name.empty() ? name : name + " (" + session.Address(target) + ")";
  };
}

Error Unreadable(std::string_view whole) {
  return Error{Errc::kUnreadable, "^ Memory access error in 'u" + std::string(whole) + "'"};
}

/// A line naming the place before the first instruction and before each symbol.
void ShowPlace(Session& session, std::uint64_t address, bool first, Report& report) {
  const std::string name = session.NameOf(address);
  if (name.empty() || (!first && name.find('+') != std::string::npos)) return;
  // A module without symbols has no symbol lines but the first.
  if (!first && name.find('!') == std::string::npos) return;
  std::string line = name;
  if (session.options().source_lines) {
    if (Result<SourceLine> source = session.symbols().FindLine(address)) {
      line += " [" + source->file + " @ " + std::to_string(source->line) + "]";
    }
  }
  report.Line(line + ":");
}

void ShowInstruction(Session& session, const Instruction& instruction, Report& report) {
  Fields fields = {{"address", Hex{instruction.address}},
                   {"bytes", instruction.bytes},
                   {"mnemonic", instruction.mnemonic},
                   {"operands", instruction.operands}};
  if (instruction.branch_target) fields.push_back({"target", Hex{*instruction.branch_target}});
  report.Row("instruction", std::move(fields), FormatInstruction(session, instruction));
}

/// Shows `count` instructions, or those up to `end` if it is not 0. Returns the address behind the last one.
Result<std::uint64_t> Show(Session& session, AddressSpace space, std::uint64_t address, std::uint64_t count,
                           std::uint64_t end, std::string_view whole, Report& report) {
  const std::uint64_t wanted = end != 0 ? end - address + kLongestInstruction
                                        : std::min<std::uint64_t>(count * kLongestInstruction, 64 * 1024);
  Result<MemoryView> view = ReadView(session, space, address, std::min<std::uint64_t>(wanted, kMaxViewBytes));
  if (!view) return view.error();
  const AddressNamer namer = Namer(session);
  for (std::uint64_t done = 0; end != 0 ? address < end : done < count; ++done) {
    if (session.interrupt().raised()) return Cancelled();
    if (address - view->address() + kLongestInstruction > view->size()) {
      view = ReadView(session, space, address, 4096);
      if (!view) return view.error();
    }
    const std::size_t offset = address - view->address();
    std::size_t known = 0;
    while (known < kLongestInstruction && view->Known(offset + known, 1)) ++known;
    if (known == 0 && done == 0) return Unreadable(whole);
    ShowPlace(session, address, done == 0, report);
    if (known == 0) {
      report.Line(session.Address(address) + " ??              ???");
      return Unreadable(whole);
    }
    Result<Instruction> instruction =
        Disassemble(session.architecture(), address, std::span(view->bytes()).subspan(offset, known), namer);
    if (!instruction) return instruction.error();
    ShowInstruction(session, *instruction, report);
    address += std::max(1u, instruction->length);
  }
  return address;
}

/// Addresses of the instructions from `start` on that end exactly at `end`; empty if they do not.
std::vector<std::uint64_t> InstructionsUpTo(Session& session, const MemoryView& view, std::uint64_t start,
                                            std::uint64_t end) {
  std::vector<std::uint64_t> addresses;
  std::uint64_t address = start;
  while (address < end) {
    const std::size_t offset = address - view.address();
    std::size_t known = 0;
    while (known < kLongestInstruction && view.Known(offset + known, 1)) ++known;
    if (known == 0) return {};
    Result<Instruction> instruction =
        Disassemble(session.architecture(), address, std::span(view.bytes()).subspan(offset, known), {});
    if (!instruction || !instruction->valid) return {};
    addresses.push_back(address);
    address += instruction->length;
  }
  if (address != end) return {};
  return addresses;
}

/// Where `count` instructions before `address` begin. Decoding starts at the symbol before, where it is in
/// step with the code; without one, at the place that gives the most instructions.
Result<std::uint64_t> StartBefore(Session& session, std::uint64_t address, std::uint64_t count) {
  if (session.architecture() == Architecture::kArm64) return address - 4 * count;
  (void)session.NameOf(address - 1);
  std::uint64_t start = address;
  const Result<NearbySymbol> nearest = session.symbols().Nearest(address - 1);
  const bool by_symbol = nearest && nearest->symbol && address - nearest->address <= kSearchBackBytes;
  if (by_symbol) start = nearest->address;
  const std::uint64_t back =
      std::max<std::uint64_t>(address - start, std::min<std::uint64_t>(count * kLongestInstruction, address));
  Result<MemoryView> view = ReadView(session, address - back, back);
  if (!view) return view.error();
  if (by_symbol) {
    const std::vector<std::uint64_t> list = InstructionsUpTo(session, *view, start, address);
    if (list.size() >= count) return list[list.size() - count];
    if (!list.empty() && session.architecture() != Architecture::kX86) return list.front();
  }
  for (std::uint64_t distance = back; distance > 0; --distance) {
    if (session.interrupt().raised()) return Cancelled();
    const std::vector<std::uint64_t> list = InstructionsUpTo(session, *view, address - distance, address);
    if (list.size() >= count) return list[list.size() - count];
  }
  return Error{Errc::kNotFound, "no instructions end at this address; give an address to start from"};
}

/// Whether a range is `address end`: what stands behind the address is no length.
bool EndsAtAddress(Session& session, std::string_view text) {
  if (!EvaluateMasm(text, session.Evaluation())) return false;
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return !text.empty() && text.front() != 'l' && text.front() != 'L';
}

Result<CommandFlow> Unassemble(Session& session, Arguments& arguments, Report& report, bool backwards,
                               bool physical) {
  const std::string whole = (backwards ? "b" : physical ? "p" : "") + std::string(arguments.rest());
  const std::string_view text = arguments.rest();
  Result<AddressRange> range = arguments.Range(1);
  if (!range) return range.error();
  const bool by_end = range->has_address && range->has_count && EndsAtAddress(session, text);
  if (Result<void> rest = arguments.ExpectEnd(); !rest) return rest.error();
  if (range->has_count && range->count > kMaxInstructions)
    return Error{Errc::kLimitExceeded, "^ Range error in 'u" + whole + "'"};
  std::uint64_t address = range->address;
  if (!range->has_address) {
    address = session.next_code_address;
    if (address == 0) {
      Result<const RegisterSet*> registers = session.Registers();
      if (!registers) return registers.error();
      address = (*registers)->program_counter();
    }
  }
  const std::uint64_t count = range->has_count ? range->count : kDefaultInstructions;
  std::uint64_t end = by_end ? address + range->count : 0;
  if (backwards) {
    end = address;
    Result<std::uint64_t> start = StartBefore(session, address, count);
    if (!start) return start.error();
    address = *start;
  }
  const AddressSpace space = physical ? AddressSpace::Physical() : session.address_space();
  Result<std::uint64_t> next = Show(session, space, address, count, end, whole, report);
  if (!next) return next.error();
  session.next_code_address = backwards ? address : *next;
  return CommandFlow::kPrompt;
}

/// `uf /c`: the calls of a function.
Result<void> ShowCalls(Session& session, std::uint64_t start, std::uint64_t size, Report& report) {
  Result<MemoryView> view = ReadView(session, start, size);
  if (!view) return view.error();
  const AddressNamer namer = Namer(session);
  report.Line(session.NameOf(start) + " (" + session.Address(start) + ")");
  for (std::uint64_t address = start; address < start + size;) {
    if (session.interrupt().raised()) return Cancelled();
    const std::size_t offset = address - start;
    std::size_t known = 0;
    while (known < kLongestInstruction && offset + known < view->size() && view->Known(offset + known, 1))
      ++known;
    if (known == 0) return Unreadable("f /c");
    Result<Instruction> instruction =
        Disassemble(session.architecture(), address, std::span(view->bytes()).subspan(offset, known), namer);
    if (!instruction) return instruction.error();
    if (instruction->is_call) {
      report.Row(
          "call",
          {{"address", Hex{address}}, {"name", session.NameOf(address)}, {"target", instruction->operands}},
          "  " + session.NameOf(address) + " (" + session.Address(address) + "):\n    call to " +
              instruction->operands);
    }
    address += std::max(1u, instruction->length);
  }
  return {};
}

/// `uf`: the function that holds an address, from its symbol to its end.
Result<CommandFlow> UnassembleFunction(Session& session, Arguments& arguments, Report& report) {
  const std::string whole = "f" + std::string(arguments.rest());
  const bool calls_only = arguments.Option("/c");
  const Result<std::uint64_t> given = arguments.AddressOrHere();
  if (!given) return given.error();
  const std::uint64_t address = *given;
  (void)session.NameOf(address);
  Result<NearbySymbol> symbol = session.symbols().Nearest(address);
  if (!symbol || !symbol->symbol || !symbol->symbol->is_function) {
    return Error{Errc::kNotFound,
                 "No code found, aborting; no function is known at " + session.Address(address)};
  }
  std::uint64_t size = symbol->symbol->size;
  if (size == 0) {
    Result<NearbySymbol> next = session.symbols().Next(symbol->address);
    size = next ? next->address - symbol->address : 0;
  }
  if (size == 0 || size > kMaxViewBytes / 4)
    return Error{Errc::kNotFound, "No code found, aborting; the end of the function is not known"};
  if (calls_only) {
    if (Result<void> shown = ShowCalls(session, symbol->address, size, report); !shown) return shown.error();
    return CommandFlow::kPrompt;
  }
  Result<std::uint64_t> shown =
      Show(session, session.address_space(), symbol->address, 0, symbol->address + size, whole, report);
  if (!shown) return shown.error();
  return CommandFlow::kPrompt;
}

}  // namespace

void AddDisassemblyCommands(CommandTable& table) {
  struct Form {
    const char *name, *help;
    bool backwards, physical;
  };
  for (const Form& form :
       {Form{"u", "Disassembles; without a range goes on where the last one ended.", false, false},
        Form{"uu", "Disassembles.", false, false},
        Form{"ub", "Disassembles the instructions before an address.", true, false},
        Form{"up", "Disassembles physical memory.", false, true}}) {
    Command command{{form.name},
                    std::string(form.name) + " [RANGE]",
                    form.help,
                    [form](Session& session, Arguments& arguments, Report& report) {
                      return Unassemble(session, arguments, report, form.backwards, form.physical);
                    }};
    command.repeats_on_enter = true;
    table.Add(std::move(command));
  }
  table.Add(
      {{"uf"}, "uf [/c] [ADDRESS]", "Disassembles a whole function; /c: its calls.", UnassembleFunction});
}

}  // namespace longwire

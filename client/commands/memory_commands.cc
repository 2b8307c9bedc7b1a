#include <algorithm>
#include <memory>

#include "client/commands/command.h"
#include "client/commands/memory_form.h"
#include "client/commands/memory_write.h"
#include "client/commands/number_text.h"
#include "proto/plan/plan_builder.h"

namespace longwire {
namespace {

using Kind = MemoryForm::Kind;

struct NamedForm {
  const char* name;
  MemoryForm form;
};

// engine.md 3.1. The names differ in case: dd and dD, dw and dW, ds and dS.
constexpr NamedForm kForms[] = {{"db", {Kind::kInteger, 1, 16, 128, true}},
                                {"dw", {Kind::kInteger, 2, 8, 128}},
                                {"dW", {Kind::kInteger, 2, 8, 128, true}},
                                {"dd", {Kind::kInteger, 4, 4, 128}},
                                {"dc", {Kind::kInteger, 4, 4, 128, true}},
                                {"dq", {Kind::kInteger, 8, 2, 128}},
                                {"dp", {Kind::kInteger, 0, 2, 128}},
                                {"df", {Kind::kFloat, 4, 4, 64}},
                                {"dD", {Kind::kFloat, 8, 3, 120}},
                                {"dyb", {Kind::kBits, 1, 4, 32}},
                                {"dyd", {Kind::kBits, 4, 1, 32}},
                                {"da", {Kind::kText, 1, 48, 384}},
                                {"du", {Kind::kText, 2, 32, 768}},
                                {"dds", {Kind::kSymbols, 4, 1, 128}},
                                {"dqs", {Kind::kSymbols, 8, 1, 128}},
                                {"dps", {Kind::kSymbols, 0, 1, 128}},
                                {"dda", {Kind::kPointers, 4, 1, 64, false, 'a'}},
                                {"ddu", {Kind::kPointers, 4, 1, 64, false, 'u'}},
                                {"ddp", {Kind::kPointers, 4, 1, 64, false, 'p'}},
                                {"dqa", {Kind::kPointers, 8, 1, 128, false, 'a'}},
                                {"dqu", {Kind::kPointers, 8, 1, 128, false, 'u'}},
                                {"dqp", {Kind::kPointers, 8, 1, 128, false, 'p'}},
                                {"dpa", {Kind::kPointers, 0, 1, 128, false, 'a'}},
                                {"dpu", {Kind::kPointers, 0, 1, 128, false, 'u'}},
                                {"dpp", {Kind::kPointers, 0, 1, 128, false, 'p'}}};

struct DisplayOptions {
  AddressSpace space;
  unsigned columns = 0;
};

/// `/cN`, `/p`, `/p[c]`: in any order before the range.
Result<DisplayOptions> TakeDisplayOptions(Session& session, Arguments& arguments) {
  DisplayOptions options{session.address_space(), 0};
  while (true) {
    arguments.SkipBlanks();
    const std::string_view rest = arguments.rest();
    if (rest.size() < 2 || rest.front() != '/') return options;
    if (rest[1] == 'p') {
      std::string_view word = arguments.Word();
      // Caching attributes choose how the target maps the page; ours decides that itself.
      if (word != "/p" && word != "/p[c]" && word != "/p[uc]" && word != "/p[wc]") {
        return SyntaxError(word);
      }
      options.space = AddressSpace::Physical();
    } else if (rest[1] == 'c') {
      arguments.text().remove_prefix(2);
      Result<std::uint64_t> columns = arguments.Expression();
      if (!columns) return columns.error();
      if (*columns == 0 || *columns > 1024)
        return Error{Errc::kUsage, "^ Range error in '/c'; 1 to 400 (hexadecimal) columns"};
      options.columns = static_cast<unsigned>(*columns);
    } else {
      return SyntaxError(arguments.Word());
    }
  }
}

/// Where a command without an address begins.
Result<std::uint64_t> Continue(Session& session) {
  if (session.next_data_address != 0) return session.next_data_address;
  Result<const RegisterSet*> registers = session.Registers();
  if (!registers) return registers.error();
  return (*registers)->program_counter();
}

Result<CommandFlow> DisplayText(Session& session, const MemoryForm& form, AddressSpace space,
                                const AddressRange& range, Report& report) {
  const bool wide = form.size == 2;
  const std::uint64_t maximum = range.has_count ? range.count : form.bytes / form.size;
  if (maximum * form.size > kMaxViewBytes)
    return Error{Errc::kLimitExceeded, "a command reads at most 4 MB at once; give a shorter range"};
  Result<MemoryView> view = ReadView(session, space, range.address, maximum * form.size);
  if (!view) return view.error();
  std::uint64_t shown = 0;
  while (shown < maximum) {
    const std::size_t offset = shown * form.size;
    const std::size_t line = std::min<std::uint64_t>(form.columns, maximum - shown);
    std::size_t readable = 0;
    while (readable < line && view->Known(offset + readable * form.size, form.size)) ++readable;
    std::size_t characters = 0;
    std::string text =
        TextOf(std::span(view->bytes()).subspan(offset, readable * form.size), wide, &characters);
    const bool hole = characters == readable && readable < line;
    if (hole) text += std::string(line - readable, '?');
    report.Row("text", {{"address", Hex{range.address + offset}}, {"text", text}},
               session.Address(range.address + offset) + "  \"" + text + "\"");
    shown += characters;
    if (characters < line) {
      if (!hole) ++shown;  // the zero
      break;
    }
  }
  session.next_data_address = range.address + shown * form.size;
  return CommandFlow::kPrompt;
}

Result<void> DisplayRange(Session& session, MemoryLines& lines, AddressSpace space, std::uint64_t address,
                          std::uint64_t bytes, Report& report) {
  // A long range comes in pieces of whole lines, so that it shows progress and can be stopped.
  const std::uint64_t line = std::uint64_t{lines.form().columns} * lines.element_size();
  const std::uint64_t piece = kMaxViewBytes / 16 / line * line;
  for (std::uint64_t done = 0; done < bytes;) {
    const std::uint64_t size = std::min(piece, bytes - done);
    Result<MemoryView> view = ReadView(session, space, address + done, size);
    if (!view) return view.error();
    if (Result<void> written = lines.Write(*view, report); !written) return written.error();
    const std::size_t element = lines.element_size();
    if (view->size() >= element) {
      const auto last = view->Unsigned((view->size() / element - 1) * element, lines.element_size());
      session.last_data_value = last.value_or(session.last_data_value);
    }
    done += size;
    session.next_data_address = address + done;
    if (view->size() < size) break;
  }
  return {};
}

Result<CommandFlow> Display(Session& session, Arguments& arguments, Report& report, MemoryForm form,
                            bool physical) {
  Result<DisplayOptions> options = TakeDisplayOptions(session, arguments);
  if (!options) return options.error();
  if (physical) options->space = AddressSpace::Physical();
  if (options->columns != 0) form.columns = options->columns;
  MemoryLines lines(session, form, options->columns != 0);
  Result<AddressRange> range = arguments.Range(lines.element_size());
  if (!range) return range.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  if (!range->has_address) {
    Result<std::uint64_t> next = Continue(session);
    if (!next) return next.error();
    range->address = *next;
  }
  if (form.kind == Kind::kText) return DisplayText(session, form, options->space, *range, report);
  const std::uint64_t bytes = range->has_count ? range->count * lines.element_size() : form.bytes;
  Result<void> shown = DisplayRange(session, lines, options->space, range->address, bytes, report);
  if (!shown) return shown.error();
  return CommandFlow::kPrompt;
}

/// `ds`, `dS`: the text of a STRING or UNICODE_STRING.
Result<CommandFlow> DisplayCounted(Session& session, Arguments& arguments, Report& report, bool wide) {
  Result<std::uint64_t> address = arguments.Address();
  if (!address) return address.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const unsigned pointer = session.pointer_size();
  Result<MemoryView> view = ReadView(session, *address, 2 * pointer);
  if (!view) return view.error();
  const auto length = view->Unsigned(0, 2), buffer = view->Unsigned(pointer, pointer);
  if (!length || !buffer)
    return Error{Errc::kUnreadable, "Unable to read memory at " + session.Address(*address), *address};
  std::vector<std::byte> bytes(*length);
  if (Result<void> read = session.ReadExact(*buffer, bytes); !read && !bytes.empty()) return read.error();
  const std::string text = TextOf(bytes, wide);
  report.Row("text", {{"address", Hex{*buffer}}, {"text", text}},
             session.Address(*buffer) + "  \"" + text + "\"");
  session.next_data_address = *address + 2 * pointer;
  return CommandFlow::kPrompt;
}

void UseSpace(plan::PlanBuilder& builder, AddressSpace space) {
  if (space.kind == AddressSpace::Kind::kPhysical) return builder.UsePhysical();
  if (space.kind == AddressSpace::Kind::kVirtual) return builder.UseVirtual();
  const plan::Reg base = builder.Constant(space.directory_base);
  builder.UsePageTable(base);
  builder.Release(base);
}

/// Reads the elements of a list with one plan; what it reads is remembered for the reads that follow.
Result<std::vector<std::uint64_t>> ListElements(Session& session, std::uint64_t first, std::uint64_t maximum,
                                                std::uint64_t bytes, bool backwards) {
  const unsigned pointer = session.pointer_size();
  plan::PlanBuilder builder;
  UseSpace(builder, session.address_space());
  const plan::Reg head = builder.Constant(first), entry = builder.Constant(first),
                  left = builder.Constant(maximum);
  const auto loop = builder.NewLabel(), out = builder.NewLabel();
  builder.Bind(loop);
  builder.JumpZero(left, out);
  builder.AddImmediate(left, left, ~std::uint64_t{0});
  builder.EmitFixed(0, entry, 0, bytes);
  builder.Load(entry, pointer, entry, backwards ? pointer : 0, out);
  builder.JumpZero(entry, out);
  builder.JumpNotEqual(entry, head, loop);
  builder.Bind(out);
  builder.End();
  Result<plan::Output> output = session.target().Run(builder.Build());
  if (!output) return output.error();
  std::vector<std::uint64_t> elements;
  for (const plan::Record& record : output->records) elements.push_back(record.address);
  return elements;
}

Result<CommandFlow> DisplayList(Session& session, Arguments& arguments, Report& report, bool backwards) {
  std::uint64_t maximum = 32, size = 2;
  Result<std::uint64_t> address = arguments.Address();
  if (!address) return address.error();
  for (std::uint64_t* value : {&maximum, &size}) {
    if (arguments.AtEnd()) break;
    Result<std::uint64_t> given = arguments.Expression();
    if (!given) return given.error();
    *value = *given;
  }
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const std::uint64_t pointer = session.pointer_size();
  if (maximum > 65'536 || size == 0 || size > 1024)
    return Error{Errc::kLimitExceeded, "^ Range error in 'dl'; at most 65536 elements of 1 to 1024 pointers"};
  Result<std::vector<std::uint64_t>> elements =
      ListElements(session, *address, maximum, size * pointer, backwards);
  if (!elements) return elements.error();
  MemoryLines lines(session, {Kind::kInteger, 0, 2, 0});
  for (const std::uint64_t element : *elements) {
    if (session.interrupt().raised()) return Cancelled();
    Result<MemoryView> view = ReadView(session, element, size * pointer);
    if (!view) return view.error();
    if (Result<void> written = lines.Write(*view, report); !written) return written.error();
  }
  return CommandFlow::kPrompt;
}

void AddDisplay(CommandTable& table, std::vector<std::string> names, MemoryForm form, bool physical,
                const std::shared_ptr<MemoryForm>& last) {
  Command command;
  command.names = std::move(names);
  command.grammar = command.names.front() + " [/cN] [/p] [RANGE]";
  command.help = "Shows memory; without a range goes on where the last one ended.";
  command.run = [form, physical, last](Session& session, Arguments& arguments, Report& report) {
    *last = form;
    return Display(session, arguments, report, form, physical);
  };
  command.repeats_on_enter = true;
  table.Add(std::move(command));
}

}  // namespace

void AddMemoryCommands(CommandTable& table) {
  const auto last = std::make_shared<MemoryForm>(kForms[0].form);
  for (const NamedForm& named : kForms) AddDisplay(table, {named.name}, named.form, false, last);
  for (const NamedForm& named : kForms) {
    const std::string_view name = named.name;
    if (name == "db" || name == "dc" || name == "dd" || name == "dp" || name == "dq" || name == "du" ||
        name == "dw") {
      AddDisplay(table, {"!" + std::string(name)}, named.form, true, last);
    }
  }
  Command again{{"d"},
                "d [/cN] [/p] [RANGE]",
                "Shows memory in the form used last.",
                [last](Session& session, Arguments& arguments, Report& report) {
                  return Display(session, arguments, report, *last, false);
                }};
  again.repeats_on_enter = true;
  table.Add(std::move(again));
  for (const bool wide : {false, true}) {
    table.Add({{wide ? "dS" : "ds"},
               wide ? "dS ADDRESS" : "ds ADDRESS",
               wide ? "Shows the text of a UNICODE_STRING." : "Shows the text of a STRING.",
               [wide](Session& session, Arguments& arguments, Report& report) {
                 return DisplayCounted(session, arguments, report, wide);
               }});
  }
  for (const bool backwards : {false, true}) {
    table.Add({{backwards ? "dlb" : "dl"},
               std::string(backwards ? "dlb" : "dl") + " ADDRESS [MAXIMUM [SIZE]]",
               "Follows a list, and shows SIZE pointers of each element.",
               [backwards](Session& session, Arguments& arguments, Report& report) {
                 return DisplayList(session, arguments, report, backwards);
               }});
  }
  AddMemoryWriteCommands(table);
  AddSearchCommand(table);
}

}  // namespace longwire

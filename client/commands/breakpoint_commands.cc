#include <algorithm>
#include <cctype>
#include <charconv>
#include <cinttypes>
#include <cstdio>

#include "client/commands/command.h"
#include "client/engine/breakpoints.h"

namespace longwire {
namespace {

/// Ids are decimal whatever the radix is (engine.md 2.2).
std::optional<unsigned> ParseId(std::string_view text) {
  unsigned id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

/// The id written directly behind the name: `bp3 ...`.
std::optional<unsigned> AttachedId(Arguments& arguments) {
  std::size_t digits = 0;
  while (digits < arguments.rest().size() &&
         std::isdigit(static_cast<unsigned char>(arguments.rest()[digits])))
    ++digits;
  if (digits == 0) return std::nullopt;
  std::optional<unsigned> id = ParseId(arguments.rest().substr(0, digits));
  arguments.text().remove_prefix(digits);
  return id;
}

/// `"commands"` at the end.
Result<std::string> TakeCommands(Arguments& arguments) {
  arguments.SkipBlanks();
  if (arguments.rest().empty() || arguments.rest().front() != '"') return std::string();
  std::string text = arguments.TakeRest();
  if (text.size() < 2 || text.back() != '"') return SyntaxError(text);
  return text.substr(1, text.size() - 2);
}

Result<void> TakeOptions(Arguments& arguments, Breakpoint& breakpoint) {
  while (true) {
    std::uint64_t* filter = nullptr;
    if (arguments.Option("/1")) {
      breakpoint.one_shot = true;
      continue;
    }
    if (arguments.Option("/p"))
      filter = &breakpoint.process;
    else if (arguments.Option("/t"))
      filter = &breakpoint.thread;
    if (!filter) return {};
    Result<std::uint64_t> value = arguments.Expression();
    if (!value) return value.error();
    *filter = *value;
  }
}

Result<void> TakeAddress(Session& session, Arguments& arguments, Breakpoint& breakpoint, bool may_wait) {
  arguments.SkipBlanks();
  std::string_view before = arguments.rest();
  if (before.empty()) {
    Result<const RegisterSet*> registers = session.Registers();
    if (!registers) return registers.error();
    breakpoint.address = (*registers)->program_counter();
    breakpoint.expression = session.NameOf(breakpoint.address);
    return {};
  }
  Result<std::uint64_t> address = arguments.Expression();
  if (address) {
    breakpoint.address = *address;
    breakpoint.expression = std::string(before.substr(0, before.size() - arguments.rest().size()));
    return {};
  }
  bool unknown_name = address.error().code == Errc::kNotFound || address.error().code == Errc::kUsage;
  std::string_view word = before.substr(0, before.find_first_of(" \t\""));
  if (!may_wait || !unknown_name || word.find('!') == std::string_view::npos) return address.error();
  arguments.text() = before.substr(word.size());
  breakpoint.unresolved = breakpoint.symbolic = true;
  breakpoint.expression = std::string(word);
  return {};
}

Result<CommandFlow> Insert(Session& session, Breakpoint breakpoint, std::optional<unsigned> id,
                           Report& report) {
  if (breakpoint.unresolved) {
    report.Line("Bp expression '" + breakpoint.expression + "' could not be resolved, adding deferred bp");
  }
  std::optional<unsigned> redefined;
  Result<Breakpoint*> added = session.breakpoints().Add(std::move(breakpoint), id, &redefined);
  if (!added) return added.error();
  if (redefined) report.Line("breakpoint " + std::to_string(*redefined) + " redefined");
  report.Row("breakpoint",
             {{"id", static_cast<std::int64_t>((*added)->id)},
              {"address", Hex{(*added)->address}},
              {"unresolved", (*added)->unresolved}},
             "");
  return CommandFlow::kPrompt;
}

/// What `bp` and `ba` have in common behind the address: `[PASSES] ["commands"]`.
Result<void> TakeTail(Arguments& arguments, Breakpoint& breakpoint) {
  arguments.SkipBlanks();
  if (!arguments.rest().empty() && arguments.rest().front() != '"') {
    Result<std::uint64_t> passes = arguments.Expression();
    if (!passes) return passes.error();
    if (*passes == 0) return Error{Errc::kUsage, "a breakpoint needs at least one pass"};
    breakpoint.passes = breakpoint.passes_left = *passes;
  }
  Result<std::string> commands = TakeCommands(arguments);
  if (!commands) return commands.error();
  breakpoint.commands = std::move(*commands);
  return arguments.ExpectEnd();
}

Result<CommandFlow> SetCode(Session& session, Arguments& arguments, Report& report, bool symbolic) {
  std::optional<unsigned> id = AttachedId(arguments);
  Breakpoint breakpoint;
  breakpoint.symbolic = symbolic;
  if (Result<void> options = TakeOptions(arguments, breakpoint); !options) return options.error();
  if (Result<void> address = TakeAddress(session, arguments, breakpoint, true); !address)
    return address.error();
  if (Result<void> tail = TakeTail(arguments, breakpoint); !tail) return tail.error();
  return Insert(session, std::move(breakpoint), id, report);
}

Result<CommandFlow> SetData(Session& session, Arguments& arguments, Report& report) {
  std::optional<unsigned> id = AttachedId(arguments);
  std::string_view access = arguments.Word();
  if (access.empty())
    return Error{Errc::kUsage, "ba needs an access and a size: ba w4 ADDRESS, ba e1 ADDRESS"};
  std::string size_text(access.substr(1));
  if (size_text.empty()) size_text = std::string(arguments.Word());
  std::optional<unsigned> size = ParseId(size_text);
  Breakpoint breakpoint;
  switch (std::tolower(static_cast<unsigned char>(access.front()))) {
    case 'e': breakpoint.kind = rpc::BreakpointKind::kExecute; break;
    case 'w': breakpoint.kind = rpc::BreakpointKind::kWrite; break;
    case 'r': breakpoint.kind = rpc::BreakpointKind::kReadWrite; break;
    case 'i': breakpoint.kind = rpc::BreakpointKind::kIo; break;
    default: return SyntaxError("ba " + std::string(access));
  }
  bool fits = size && (*size == 1 || *size == 2 || *size == 4 || (*size == 8 && session.pointer_size() == 8));
  if (!fits) return Error{Errc::kUsage, "the size of a data breakpoint is 1, 2, 4 or, on 64-bit targets, 8"};
  if (breakpoint.kind == rpc::BreakpointKind::kExecute && *size != 1) {
    return Error{Errc::kUsage, "an execution breakpoint has size 1: ba e1 ADDRESS"};
  }
  breakpoint.size = *size;
  if (Result<void> options = TakeOptions(arguments, breakpoint); !options) return options.error();
  if (Result<void> address = TakeAddress(session, arguments, breakpoint, false); !address)
    return address.error();
  if (breakpoint.address % breakpoint.size != 0) {
    return Error{Errc::kUsage, "the address of a data breakpoint must be a multiple of its size"};
  }
  if (Result<void> tail = TakeTail(arguments, breakpoint); !tail) return tail.error();
  return Insert(session, std::move(breakpoint), id, report);
}

std::string AccessText(const Breakpoint& breakpoint) {
  const char* letter = "";
  switch (breakpoint.kind) {
    case rpc::BreakpointKind::kCode: return "";
    case rpc::BreakpointKind::kExecute: letter = "e"; break;
    case rpc::BreakpointKind::kWrite: letter = "w"; break;
    case rpc::BreakpointKind::kReadWrite: letter = "r"; break;
    case rpc::BreakpointKind::kIo: letter = "i"; break;
  }
  return std::string(letter) + " " + std::to_string(breakpoint.size) + " ";
}

void Show(Session& session, const Breakpoint& breakpoint, Report& report) {
  char passes[48];
  std::snprintf(passes, sizeof passes, "%04" PRIx64 " (%04" PRIx64 ") ", breakpoint.passes_left,
                breakpoint.passes);
  std::string line = std::to_string(breakpoint.id);
  line.insert(0, line.size() < 2 ? 2 - line.size() : 0, ' ');
  line += breakpoint.enabled ? " e" : " d";
  if (breakpoint.unresolved) {
    line += "u             " + std::string(passes) + "(" + breakpoint.expression + ")";
  } else {
    std::string name = session.NameOf(breakpoint.address);
    line += " " + session.Address(breakpoint.address) + " " + AccessText(breakpoint) + "    " + passes + name;
  }
  if (!breakpoint.commands.empty()) line += " \"" + breakpoint.commands + "\"";
  Fields fields{{"id", static_cast<std::int64_t>(breakpoint.id)},
                {"enabled", breakpoint.enabled},
                {"unresolved", breakpoint.unresolved},
                {"expression", breakpoint.expression},
                {"passes", static_cast<std::int64_t>(breakpoint.passes)},
                {"commands", breakpoint.commands}};
  if (!breakpoint.unresolved) fields.push_back({"address", Hex{breakpoint.address}});
  report.Row("breakpoint", std::move(fields), line);
}

/// The breakpoints named by `0 2 3-5` or `*`.
Result<std::vector<unsigned>> TakeIds(Session& session, Arguments& arguments) {
  std::vector<unsigned> ids;
  while (!arguments.AtEnd()) {
    std::string_view word = arguments.Word();
    if (word == "*") {
      for (const auto& breakpoint : session.breakpoints().list()) ids.push_back(breakpoint->id);
      continue;
    }
    std::size_t dash = word.find('-');
    std::optional<unsigned> first = ParseId(word.substr(0, dash));
    std::optional<unsigned> last = dash == std::string_view::npos ? first : ParseId(word.substr(dash + 1));
    if (!first || !last) return SyntaxError(word);
    bool found = false;
    for (const auto& breakpoint : session.breakpoints().list()) {
      if (breakpoint->id < *first || breakpoint->id > *last) continue;
      ids.push_back(breakpoint->id);
      found = true;
    }
    if (!found) return Error{Errc::kNotFound, "Breakpoint " + std::string(word) + " does not exist"};
  }
  return ids;
}

Result<CommandFlow> List(Session& session, Arguments& arguments, Report& report) {
  if (arguments.AtEnd()) {
    for (const auto& breakpoint : session.breakpoints().list()) Show(session, *breakpoint, report);
    return CommandFlow::kPrompt;
  }
  Result<std::vector<unsigned>> ids = TakeIds(session, arguments);
  if (!ids) return ids.error();
  for (unsigned id : *ids) Show(session, *session.breakpoints().Find(id), report);
  return CommandFlow::kPrompt;
}

using Change = std::function<Result<void>(Session&, Breakpoint&)>;

Result<CommandFlow> ForIds(Session& session, Arguments& arguments, const Change& change) {
  if (arguments.AtEnd()) return Error{Errc::kUsage, "name breakpoints by their ids, or * for all"};
  Result<std::vector<unsigned>> ids = TakeIds(session, arguments);
  if (!ids) return ids.error();
  for (unsigned id : *ids) {
    Breakpoint* breakpoint = session.breakpoints().Find(id);
    if (!breakpoint) continue;  // named twice
    if (Result<void> done = change(session, *breakpoint); !done) return done.error();
  }
  return CommandFlow::kPrompt;
}

}  // namespace

void AddBreakpointCommands(CommandTable& table) {
  auto set = [](bool symbolic) {
    return [symbolic](Session& session, Arguments& arguments, Report& report) {
      return SetCode(session, arguments, report, symbolic);
    };
  };
  auto change = [](Change what) {
    return [what = std::move(what)](Session& session, Arguments& arguments, Report&) {
      return ForIds(session, arguments, what);
    };
  };
  table.Add({{"bp"},
             "bp[ID] [/1] [/p EPROCESS] [/t KTHREAD] [ADDRESS [PASSES]] [\"COMMANDS\"]",
             "Sets a breakpoint.",
             set(false)});
  table.Add({{"bu"},
             "bu[ID] [/1] [/p EPROCESS] [/t KTHREAD] SYMBOL [PASSES] [\"COMMANDS\"]",
             "Sets a breakpoint by name; it waits for the module if it is not loaded.",
             set(true)});
  table.Add({{"ba"},
             "ba[ID] e|r|w|i SIZE [/1] ADDRESS [PASSES] [\"COMMANDS\"]",
             "Sets a breakpoint on access, in a debug register.",
             SetData});
  table.Add({{"bl"}, "bl [IDS]", "Lists breakpoints.", List, false, false});
  table.Add({{"bc"}, "bc IDS|*", "Removes breakpoints.", change([](Session& session, Breakpoint& breakpoint) {
               return session.breakpoints().Remove(breakpoint.id);
             })});
  table.Add(
      {{"bd"}, "bd IDS|*", "Disables breakpoints.", change([](Session& session, Breakpoint& breakpoint) {
         return session.breakpoints().Enable(breakpoint, false);
       })});
  table.Add({{"be"}, "be IDS|*", "Enables breakpoints.", change([](Session& session, Breakpoint& breakpoint) {
               return session.breakpoints().Enable(breakpoint, true);
             })});
}

}  // namespace longwire

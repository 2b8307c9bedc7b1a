#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <cstdio>

#include "client/commands/breakpoint_syntax.h"

namespace longwire {
namespace {

/// The id written directly behind the name: `bp3 ...`.
std::optional<unsigned> AttachedId(Arguments& arguments) {
  std::size_t digits = 0;
  while (digits < arguments.rest().size() &&
         std::isdigit(static_cast<unsigned char>(arguments.rest()[digits])))
    ++digits;
  if (digits == 0) return std::nullopt;
  std::optional<unsigned> id = ParseBreakpointId(arguments.rest().substr(0, digits));
  arguments.text().remove_prefix(digits);
  return id;
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
  Result<std::uint64_t> address = arguments.Address();
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

Result<CommandFlow> SetCode(Session& session, Arguments& arguments, Report& report, bool symbolic) {
  std::optional<unsigned> id = AttachedId(arguments);
  Breakpoint breakpoint;
  breakpoint.symbolic = symbolic;
  if (Result<void> options = TakeBreakpointOptions(arguments, breakpoint); !options) return options.error();
  if (Result<void> address = TakeAddress(session, arguments, breakpoint, true); !address)
    return address.error();
  if (Result<void> tail = TakeBreakpointTail(arguments, breakpoint); !tail) return tail.error();
  return Insert(session, std::move(breakpoint), id, report);
}

Result<CommandFlow> SetData(Session& session, Arguments& arguments, Report& report) {
  std::optional<unsigned> id = AttachedId(arguments);
  std::string_view access = arguments.Word();
  if (access.empty())
    return Error{Errc::kUsage, "ba needs an access and a size: ba w4 ADDRESS, ba e1 ADDRESS"};
  std::string size_text(access.substr(1));
  if (size_text.empty()) size_text = std::string(arguments.Word());
  std::optional<unsigned> size = ParseBreakpointId(size_text);
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
  if (Result<void> options = TakeBreakpointOptions(arguments, breakpoint); !options) return options.error();
  if (Result<void> address = TakeAddress(session, arguments, breakpoint, false); !address)
    return address.error();
  if (breakpoint.address % breakpoint.size != 0) {
    return Error{Errc::kUsage, "the address of a data breakpoint must be a multiple of its size"};
  }
  if (Result<void> tail = TakeBreakpointTail(arguments, breakpoint); !tail) return tail.error();
  return Insert(session, std::move(breakpoint), id, report);
}

std::string AccessText(const Breakpoint& breakpoint) {
  if (breakpoint.kind == rpc::BreakpointKind::kCode) return "";
  return std::string(AccessLetter(breakpoint)) + " " + std::to_string(breakpoint.size) + " ";
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
  std::string options = BreakpointOptionsText(session, breakpoint);
  if (!options.empty()) {
    options.pop_back();
    line += "\n     " + options;
  }
  Fields fields{{"id", static_cast<std::int64_t>(breakpoint.id)},
                {"enabled", breakpoint.enabled},
                {"unresolved", breakpoint.unresolved},
                {"expression", breakpoint.expression},
                {"passes", static_cast<std::int64_t>(breakpoint.passes)},
                {"passes_left", static_cast<std::int64_t>(breakpoint.passes_left)},
                {"condition", breakpoint.condition},
                {"commands", breakpoint.commands}};
  if (!breakpoint.unresolved) fields.push_back({"address", Hex{breakpoint.address}});
  report.Row("breakpoint", std::move(fields), line);
}

Result<CommandFlow> List(Session& session, Arguments& arguments, Report& report) {
  if (arguments.AtEnd()) {
    for (const auto& breakpoint : session.breakpoints().list()) Show(session, *breakpoint, report);
    return CommandFlow::kPrompt;
  }
  Result<std::vector<unsigned>> ids = TakeBreakpointIds(session, arguments);
  if (!ids) return ids.error();
  for (unsigned id : *ids) Show(session, *session.breakpoints().Find(id), report);
  return CommandFlow::kPrompt;
}

using Change = std::function<Result<void>(Session&, Breakpoint&)>;

Result<CommandFlow> ForIds(Session& session, Arguments& arguments, const Change& change) {
  if (arguments.AtEnd()) return Error{Errc::kUsage, "name breakpoints by their ids, or * for all"};
  Result<std::vector<unsigned>> ids = TakeBreakpointIds(session, arguments);
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
             "bp[ID] [/1] [/p EPROCESS] [/t KTHREAD] [/c|/C DEPTH] [/w \"CONDITION\"] [ADDRESS [PASSES]] "
             "[\"COMMANDS\"]",
             "Sets a breakpoint; /c and /C: at most, at least so many frames deep.",
             set(false)});
  table.Add({{"bu"},
             "bu[ID] [OPTIONS] SYMBOL [PASSES] [\"COMMANDS\"]",
             "Sets a breakpoint by name; it waits for the module if it is not loaded.",
             set(true)});
  table.Add({{"ba"},
             "ba[ID] e|r|w|i SIZE [OPTIONS] ADDRESS [PASSES] [\"COMMANDS\"]",
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
  AddBreakpointEditCommands(table);
}

}  // namespace longwire

#include <algorithm>
#include <cctype>
#include <memory>

#include "client/commands/command.h"
#include "client/commands/memory_form.h"
#include "client/commands/number_text.h"
#include "client/commands/register_text.h"
#include "client/commands/scope_commands.h"
#include "client/commands/stack_text.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxFrames = 1024;
constexpr std::uint64_t kRawWords = 32;

struct StackRequest {
  StackColumns columns;
  std::optional<RegisterSet> start;  ///< of `k = base ip`
  std::optional<std::uint64_t> count;
  bool raw = false;  ///< kd
};

/// The letters behind `k`.
bool TakeLetter(char letter, bool narrow, StackRequest& request) {
  StackColumns& columns = request.columns;
  switch (letter) {
    case 'b':
      columns.arguments = true;
      columns.no_stack = !narrow;
      return true;
    case 'c': columns.names_only = true; return true;
    case 'd': request.raw = true; return true;
    case 'p': columns.parameters = true; return true;
    case 'P': columns.parameters = columns.parameter_lines = true; return true;
    case 'v':
      columns.arguments = columns.verbose = true;
      columns.no_stack = false;
      return true;
    case 'n': columns.numbers = true; return true;
    case 'f': columns.distances = true; return true;
    case 'L': columns.source = false; return true;
    case 'M': return true;  // links between frames and locals: for displays with links
    default: return false;
  }
}

/// `= base ip`: x86 `= Ebp Esp Eip`, x64 and ARM64 `= Sp Ip`.
Result<void> TakeStart(Session& session, Arguments& arguments, StackRequest& request) {
  Result<const RegisterSet*> registers = session.Registers();
  if (!registers) return registers.error();
  RegisterSet start = **registers;
  std::vector<const char*> names = {StackPointerName(session.architecture()),
                                    ProgramCounterName(session.architecture())};
  if (session.architecture() == Architecture::kX86) names.insert(names.begin(), "ebp");
  for (const char* name : names) {
    Result<std::uint64_t> value = arguments.Address();
    if (!value) return value.error();
    start.Set(name, *value);
  }
  request.start = std::move(start);
  return {};
}

Result<StackRequest> ParseRequest(Session& session, Arguments& arguments) {
  const std::string whole(arguments.rest());
  StackRequest request;
  const bool narrow = session.pointer_size() == 4;
  bool attached = true;  // letters stand at the name, or blank-separated: `k n`, `kn`
  while (!arguments.rest().empty()) {
    const char c = arguments.rest().front();
    const bool ends =
        arguments.rest().size() < 2 || !std::isalnum(static_cast<unsigned char>(arguments.rest()[1]));
    if (c == ' ' || c == '\t') {
      attached = false;
      arguments.SkipBlanks();
    } else if (c == '=') {
      arguments.text().remove_prefix(1);
      if (Result<void> start = TakeStart(session, arguments, request); !start) return start.error();
    } else if ((attached || ends) && std::isalpha(static_cast<unsigned char>(c)) &&
               TakeLetter(c, narrow, request)) {
      arguments.text().remove_prefix(1);
    } else if (attached && std::isalpha(static_cast<unsigned char>(c))) {
      return SyntaxError("k" + whole);
    } else {
      if (request.count) return Error{Errc::kUsage, "^ Extra character error in 'k" + whole + "'"};
      Result<std::uint64_t> count = arguments.Expression();
      if (!count) return count.error();
      if (*count == 0) return Error{Errc::kUsage, "^ Range error in 'k" + whole + "'"};
      request.count = *count;
    }
  }
  return request;
}

Result<CommandFlow> ShowRaw(Session& session, const RegisterSet& registers, std::uint64_t count,
                            Report& report) {
  const unsigned pointer = session.pointer_size();
  if (count > kMaxViewBytes / pointer) return Error{Errc::kLimitExceeded, "kd shows at most 4 MB of stack"};
  Result<MemoryView> view = ReadView(session, registers.stack_pointer(), count * pointer);
  if (!view) return view.error();
  MemoryLines lines(session, {MemoryForm::Kind::kSymbols, 0, 1, 0});
  if (Result<void> written = lines.Write(*view, report); !written) return written.error();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ShowStack(Session& session, Arguments& arguments, Report& report, FrameScope& scope) {
  Result<StackRequest> request = ParseRequest(session, arguments);
  if (!request) return request.error();
  bool set_context = false;
  Result<RegisterSet> start = Error{Errc::kInternal};
  if (request->start) {
    start = std::move(*request->start);
  } else {
    start = scope.Innermost(session, set_context);
    if (!start) return start.error();
  }
  if (request->raw) return ShowRaw(session, *start, request->count.value_or(kRawWords), report);
  const std::size_t wanted =
      std::min<std::uint64_t>(request->count.value_or(scope.default_frames), kMaxFrames);
  // One frame more than shown: its stack pointer is where the last one's arguments are.
  Result<std::vector<StackFrame>> frames = session.Walk(*start, std::min(wanted + 1, kMaxFrames));
  if (!frames) return frames.error();
  if (frames->empty()) return Error{Errc::kUnreadable, "Unable to get stack trace"};
  const std::size_t shown = std::min(frames->size(), wanted);
  StackText text(session, request->columns);
  text.Prepare(*frames, shown);
  if (set_context) report.Line("  *** Stack trace for last set context - .thread/.cxr resets it");
  report.Line(text.Header());
  for (std::size_t i = 0; i < shown; ++i) {
    if (Result<void> written = text.Write(*frames, i, report); !written) return written.error();
  }
  return CommandFlow::kPrompt;
}

Result<CommandFlow> SetDefaultFrames(Session&, Arguments& arguments, Report& report, FrameScope& scope) {
  if (!arguments.AtEnd()) {
    Result<std::uint64_t> count = arguments.Expression();
    if (!count) return count.error();
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    if (*count == 0 || *count > kMaxFrames)
      return Error{Errc::kUsage, "^ Range error in '.kframes'; 1 to 400 (hexadecimal) frames"};
    scope.default_frames = *count;
  }
  report.Row("frames", {{"frames", static_cast<std::int64_t>(scope.default_frames)}},
             "Default stack trace depth is 0n" + std::to_string(scope.default_frames) + " frames");
  return CommandFlow::kPrompt;
}

}  // namespace

void AddStackCommands(CommandTable& table) {
  const auto scope = std::make_shared<FrameScope>();
  Command stack{{"k"},
                "k[b|c|d|p|P|v][n][f][L] [= SP IP] [COUNT]",
                "Shows the stack.",
                [scope](Session& session, Arguments& arguments, Report& report) {
                  return ShowStack(session, arguments, report, *scope);
                }};
  stack.prefix = true;
  table.Add(std::move(stack));
  Command frames{{".kframes"},
                 ".kframes [COUNT]",
                 "Shows or sets how many frames `k` shows.",
                 [scope](Session& session, Arguments& arguments, Report& report) {
                   return SetDefaultFrames(session, arguments, report, *scope);
                 }};
  frames.needs_halt = false;
  table.Add(std::move(frames));
  AddScopeCommands(table, scope);
  AddLocalCommands(table);
}

}  // namespace longwire

#include "client/commands/breakpoint_syntax.h"

#include <charconv>

#include "client/commands/number_text.h"

namespace longwire {

std::optional<unsigned> ParseBreakpointId(std::string_view text) {
  unsigned id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

Result<std::vector<unsigned>> TakeBreakpointIds(Session& session, Arguments& arguments) {
  std::vector<unsigned> ids;
  while (!arguments.AtEnd()) {
    std::string_view word = arguments.Word();
    if (word == "*") {
      for (const auto& breakpoint : session.breakpoints().list()) ids.push_back(breakpoint->id);
      continue;
    }
    std::size_t dash = word.find('-');
    std::optional<unsigned> first = ParseBreakpointId(word.substr(0, dash));
    std::optional<unsigned> last =
        dash == std::string_view::npos ? first : ParseBreakpointId(word.substr(dash + 1));
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

Result<std::string> TakeQuoted(Arguments& arguments) {
  arguments.SkipBlanks();
  const std::string_view text = arguments.rest();
  if (text.empty() || text.front() != '"') return std::string();
  const std::size_t end = text.find('"', 1);
  if (end == std::string_view::npos) return SyntaxError(text);
  arguments.text().remove_prefix(end + 1);
  return std::string(text.substr(1, end - 1));
}

Result<void> TakeBreakpointOptions(Arguments& arguments, Breakpoint& breakpoint) {
  while (true) {
    if (arguments.Option("/1")) {
      breakpoint.one_shot = true;
      continue;
    }
    if (arguments.Option("/a")) continue;  // set whatever the memory holds: nothing else is ever done
    if (arguments.Option("/w")) {
      Result<std::string> condition = TakeQuoted(arguments);
      if (!condition) return condition.error();
      if (condition->empty()) return Error{Errc::kUsage, "/w needs a condition in quotes: /w \"@rcx == 5\""};
      breakpoint.condition = std::move(*condition);
      continue;
    }
    std::optional<std::uint64_t>* depth = nullptr;
    std::uint64_t* filter = nullptr;
    if (arguments.Option("/p"))
      filter = &breakpoint.process;
    else if (arguments.Option("/t"))
      filter = &breakpoint.thread;
    else if (arguments.Option("/c"))
      depth = &breakpoint.deepest;
    else if (arguments.Option("/C"))
      depth = &breakpoint.shallowest;
    else
      return {};
    Result<std::uint64_t> value = arguments.Expression();
    if (!value) return value.error();
    if (filter) *filter = *value;
    if (depth && (*value == 0 || *value > Breakpoint::kMaxDepth))
      return Error{Errc::kUsage, "^ Range error; the depth of a stack is 1 to 1023 frames"};
    if (depth) *depth = *value;
  }
}

Result<void> TakeBreakpointTail(Arguments& arguments, Breakpoint& breakpoint) {
  arguments.SkipBlanks();
  if (!arguments.rest().empty() && arguments.rest().front() != '"') {
    Result<std::uint64_t> passes = arguments.Expression();
    if (!passes) return passes.error();
    if (*passes == 0) return Error{Errc::kUsage, "a breakpoint needs at least one pass"};
    breakpoint.passes = breakpoint.passes_left = *passes;
  }
  Result<std::string> commands = TakeQuoted(arguments);
  if (!commands) return commands.error();
  breakpoint.commands = std::move(*commands);
  return arguments.ExpectEnd();
}

std::string BreakpointOptionsText(const Session& session, const Breakpoint& breakpoint) {
  std::string text;
  if (breakpoint.one_shot) text += "/1 ";
  if (breakpoint.process != 0) text += "/p " + session.Address(breakpoint.process) + " ";
  if (breakpoint.thread != 0) text += "/t " + session.Address(breakpoint.thread) + " ";
  if (breakpoint.deepest) text += "/c 0x" + HexDigits(*breakpoint.deepest) + " ";
  if (breakpoint.shallowest) text += "/C 0x" + HexDigits(*breakpoint.shallowest) + " ";
  if (!breakpoint.condition.empty()) text += "/w \"" + breakpoint.condition + "\" ";
  return text;
}

std::string_view AccessLetter(const Breakpoint& breakpoint) {
  switch (breakpoint.kind) {
    case rpc::BreakpointKind::kCode: return "";
    case rpc::BreakpointKind::kExecute: return "e";
    case rpc::BreakpointKind::kWrite: return "w";
    case rpc::BreakpointKind::kReadWrite: return "r";
    case rpc::BreakpointKind::kIo: return "i";
  }
  return "";
}

}  // namespace longwire

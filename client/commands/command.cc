#include "client/commands/command.h"

#include <algorithm>
#include <cctype>

#include "client/commands/processor_text.h"

namespace longwire {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool IsNameCharacter(char c) { return IsLetter(c) || IsDigit(c) || c == '_'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

template <class Predicate>
std::size_t RunLength(std::string_view text, std::size_t from, Predicate accepts) {
  std::size_t end = from;
  while (end < text.size() && accepts(text[end])) ++end;
  return end;
}

/// Commands whose text goes to the end of the line, `;` included (engine.md 2.1).
bool TakesWholeLine(std::string_view text) {
  if (text.front() == '*' || text.starts_with("$<") || text.starts_with("$><")) return true;
  std::size_t word = RunLength(text, 0, [](char c) { return !IsSpace(c); });
  return EqualIgnoringCase(text.substr(0, word), ".shell");
}

bool IsComment(std::string_view text) {
  if (text.starts_with("*")) return true;
  return text.starts_with("$$") && !text.starts_with("$$<") && !text.starts_with("$$>");
}

Error NotHalted(Session& session, const Command& command) {
  if (session.target().state() == rpc::TargetState::kRunning) {
    return Error{Errc::kTargetRunning, "The target is running; break in first (Ctrl-C)"};
  }
  if (session.target().state() == rpc::TargetState::kSynchronizing) {
    return Error{Errc::kTargetOffline, "The target has not answered yet; break in (Ctrl-C) or wait"};
  }
  return Error{Errc::kTargetOffline, "^ No runnable debuggees error in '" + command.names.front() + "'"};
}

}  // namespace

void CommandTable::Add(Command command) { commands_.push_back(std::move(command)); }

const Command* CommandTable::Find(std::string_view name) const {
  const Command* similar = nullptr;
  for (const Command& command : commands_) {
    for (const std::string& candidate : command.names) {
      if (candidate == name) return &command;
      if (!command.exact_case && !similar && EqualIgnoringCase(candidate, name)) similar = &command;
    }
  }
  return similar;
}

std::pair<const Command*, std::size_t> CommandTable::Match(std::string_view text) const {
  if (text.empty()) return {nullptr, 0};
  auto try_length = [&](std::size_t length) { return Find(text.substr(0, length)); };
  if (text.front() == '!') {
    std::size_t word = RunLength(text, 0, [](char c) { return !IsSpace(c); });
    if (word > 1) {
      if (const Command* command = try_length(word)) return {command, word};
    }
    return {Find("!"), 1};
  }
  if (text.front() == '.' || IsLetter(text.front())) {
    std::size_t whole = RunLength(text, 1, IsNameCharacter);
    if (const Command* command = try_length(whole)) return {command, whole};
    std::size_t letters = RunLength(text, 1, IsLetter);
    if (const Command* command = try_length(letters)) return {command, letters};
    std::pair<const Command*, std::size_t> best{nullptr, 0};
    for (const Command& command : commands_) {
      if (!command.prefix) continue;
      for (const std::string& name : command.names) {
        bool longer = name.size() > best.second && name.size() < whole;
        if (longer && EqualIgnoringCase(name, text.substr(0, name.size()))) best = {&command, name.size()};
      }
    }
    return best;
  }
  for (std::size_t length = std::min<std::size_t>(4, text.size()); length > 0; --length) {
    if (const Command* command = try_length(length)) return {command, length};
  }
  return {nullptr, 0};
}

std::pair<std::string_view, std::string_view> CommandTable::SplitFirst(std::string_view line) {
  while (!line.empty() && (IsSpace(line.front()) || line.front() == ';')) line.remove_prefix(1);
  if (line.empty()) return {{}, {}};
  std::size_t line_end = std::min(line.find('\n'), line.size());
  std::size_t end = line_end;
  if (!TakesWholeLine(line)) {
    bool quoted = false;
    int depth = 0;
    for (std::size_t i = 0; i < line_end; ++i) {
      if (line[i] == '"') quoted = !quoted;
      if (quoted) continue;
      if (line[i] == '{') ++depth;
      if (line[i] == '}' && depth > 0) --depth;
      if (line[i] == ';' && depth == 0) {
        end = i;
        break;
      }
    }
  }
  std::string_view first = Trim(line.substr(0, end));
  std::string_view rest = end < line.size() ? Trim(line.substr(end + 1)) : std::string_view();
  return {IsComment(first) ? std::string_view() : first, rest};
}

Result<CommandFlow> CommandTable::RunOnProcessors(Session& session, std::string_view which,
                                                  std::string_view command, Report& report) const {
  if (!session.halted()) return Error{Errc::kTargetRunning, "The target is running; break in first (Ctrl-C)"};
  const bool all = which == "*";
  std::uint32_t first = 0, last = ProcessorCount(session) - 1;
  if (!all) {
    Result<std::uint32_t> one = FindProcessor(session, which);
    if (!one) return one.error();
    first = last = *one;
  }
  const bool plain = command.starts_with("e ") || command.starts_with("E ");
  if (plain) command = Trim(command.substr(2));
  const std::uint32_t before = session.processor();
  const std::uint64_t stop = session.target().stop()->stop_counter;
  // A command that let the target run may have come to another stop, which has a processor of its own.
  const auto put_back = [&] {
    if (session.halted() && session.target().stop()->stop_counter == stop) session.SelectProcessor(before);
  };
  CommandFlow flow = CommandFlow::kPrompt;
  for (std::uint32_t processor = first; processor <= last && flow == CommandFlow::kPrompt; ++processor) {
    if (all && !plain) ReportProcessor(session, processor, report);
    session.SelectProcessor(processor);
    Result<CommandFlow> done = RunOne(session, command, report);
    if (!done) {
      put_back();
      return done;
    }
    flow = *done;
    if (session.interrupt().raised() || !session.halted()) break;
    if (session.target().stop()->stop_counter != stop) break;
    session.SelectProcessor(before);
  }
  put_back();
  return flow;
}

Result<CommandFlow> CommandTable::RunOne(Session& session, std::string_view command, Report& report) const {
  if (command.empty()) return CommandFlow::kPrompt;
  if (command.size() > kMaxCommandCharacters) {
    return Error{Errc::kUsage, "The command is longer than 4096 characters; put it in a script file"};
  }
  // `1k` and `~1 k` run a command on another processor; `~1` and `~1s` alone select it.
  bool tilde = command.front() == '~';
  std::size_t digits = RunLength(command, tilde ? 1 : 0, IsDigit);
  if (tilde && digits == 1 && command.size() > 1 &&
      std::string_view("*.#").find(command[1]) != std::string_view::npos)
    digits = 2;
  if (digits > (tilde ? 1u : 0u)) {
    std::string_view which = command.substr(tilde ? 1 : 0, digits - (tilde ? 1 : 0));
    std::string_view rest = Trim(command.substr(digits));
    if (!rest.empty() && rest != "s" && rest != "S") return RunOnProcessors(session, which, rest, report);
  }
  auto [found, length] = Match(command);
  if (!found) {
    if (command.front() == '!') {
      std::size_t word = RunLength(command, 0, [](char c) { return !IsSpace(c); });
      return Error{Errc::kNotFound, "No export " + std::string(command.substr(1, word - 1)) + " found"};
    }
    return SyntaxError(command);
  }
  if (found->needs_halt && !session.halted()) return NotHalted(session, *found);
  Arguments arguments(session, command.substr(length));
  return found->run(session, arguments, report);
}

Result<CommandFlow> CommandTable::Execute(Session& session, std::string_view line, Report& report,
                                          std::string& pending) const {
  pending.clear();
  while (true) {
    auto [command, rest] = SplitFirst(line);
    if (command.empty() && rest.empty()) return CommandFlow::kPrompt;
    Result<CommandFlow> flow = RunOne(session, command, report);
    if (!flow) {
      report.Error(flow.error().message);
      if (flow.error().code == Errc::kCancelled) return CommandFlow::kPrompt;
    } else if (*flow != CommandFlow::kPrompt) {
      pending = std::string(rest);
      return *flow;
    }
    if (session.interrupt().raised()) return CommandFlow::kPrompt;
    line = rest;
  }
}

}  // namespace longwire

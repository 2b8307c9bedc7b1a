#include "client/engine/event_text.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "client/engine/breakpoints.h"
#include "client/engine/event_filters.h"
#include "client/engine/location_text.h"
#include "client/engine/register_format.h"
#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

constexpr std::uint32_t kBreakpointException = 0x80000003, kSingleStepException = 0x80000004;
constexpr std::uint32_t kProcessorSwitched = 0x80000007;

constexpr std::string_view kBreakInText =
    "*******************************************************************************\n"
    "*                                                                             *\n"
    "*   You are seeing this message because you pressed CTRL+C, or asked for a    *\n"
    "*   break-in when the session began (-bonc).                                  *\n"
    "*                                                                             *\n"
    "*                   THIS IS NOT A BUG OR A SYSTEM CRASH                       *\n"
    "*                                                                             *\n"
    "* If you did not intend to break into the debugger, press the \"g\" key, then   *\n"
    "* press the \"Enter\" key now.  This message might immediately reappear.  If it *\n"
    "* does, press \"g\" and \"Enter\" again.                                          *\n"
    "*                                                                             *\n"
    "*******************************************************************************\n";

constexpr std::string_view kBugcheckBanner =
    "*******************************************************************************\n"
    "*                                                                             *\n"
    "*                        Bugcheck Analysis                                    *\n"
    "*                                                                             *\n"
    "*******************************************************************************\n"
    "\n"
    "Use !analyze -v to get detailed debugging information.\n"
    "\n";

std::string BugcheckLine(const rpc::Bugcheck& bugcheck) {
  char text[160];
  std::snprintf(text, sizeof text, "BugCheck %X, {%" PRIx64 ", %" PRIx64 ", %" PRIx64 ", %" PRIx64 "}\n",
                bugcheck.code, bugcheck.parameters[0], bugcheck.parameters[1], bugcheck.parameters[2],
                bugcheck.parameters[3]);
  return text;
}

void AddCommands(std::string& all, const std::string& more) {
  if (more.empty()) return;
  if (!all.empty()) all += ';';
  all += more;
}

/// Whether a hit counts: right thread and process, depth of the stack, condition. The cheap questions come
/// first.
Result<bool> Counts(Session& session, const Breakpoint& breakpoint, const rpc::StopEvent& stop) {
  if (breakpoint.thread != 0 && breakpoint.thread != stop.thread) return false;
  if (breakpoint.process != 0) {
    Result<std::uint64_t> process = session.Evaluate("@$proc");
    if (process && *process != breakpoint.process) return false;
  }
  if (!breakpoint.condition.empty()) {
    Result<std::uint64_t> value = session.Evaluate(breakpoint.condition);
    if (!value) return value.error();
    if (*value == 0) return false;
  }
  if (breakpoint.deepest || breakpoint.shallowest) {
    Result<const RegisterSet*> registers = session.ProcessorRegisters(stop.processor);
    if (!registers) return registers.error();
    const std::uint64_t deepest = breakpoint.deepest.value_or(Breakpoint::kMaxDepth);
    const std::uint64_t shallowest = breakpoint.shallowest.value_or(0);
    Result<std::vector<StackFrame>> frames = session.Walk(**registers, std::max(deepest + 1, shallowest));
    if (!frames) return frames.error();
    const bool in_range = frames->size() >= shallowest && (!breakpoint.deepest || frames->size() <= deepest);
    if (!in_range) return false;
  }
  return true;
}

/// Those of the breakpoints hit that want the user's attention. One whose condition cannot be found out does.
std::vector<Breakpoint*> CountHits(Session& session, const std::vector<Breakpoint*>& hits,
                                   const rpc::StopEvent& stop, std::string& reason) {
  std::vector<Breakpoint*> stopping;
  for (Breakpoint* hit : hits) {
    Result<bool> counts = Counts(session, *hit, stop);
    if (!counts) {
      reason += "Breakpoint " + std::to_string(hit->id) +
                ": whether it is meant cannot be found out: " + counts.error().message + "\n";
      stopping.push_back(hit);
    } else if (*counts && hit->passes_left > 1) {
      --hit->passes_left;
    } else if (*counts) {
      stopping.push_back(hit);
    }
  }
  return stopping;
}

struct Judgement {
  StopDecision decision;
  std::string reason;  ///< lines before the location
  bool silent = false;
};

/// What the event itself says about the module.
ModuleRecord RecordOf(const rpc::ModuleChange& change) {
  ModuleRecord record;
  record.base = change.base;
  record.size = change.size;
  record.checksum = change.checksum;
  record.image_path = change.path;
  record.image_name = change.path.substr(change.path.find_last_of("\\/") + 1);
  return record;
}

/// The target's own list may not have the module yet at its load, and may still have it at its unload.
void TakeModule(Session& session, const rpc::ModuleChange& change) {
  (void)session.RefreshModules(false);
  Module* listed = session.modules().FindByAddress(change.base);
  if (change.unload && listed) session.modules().Remove(*listed);
  if (!change.unload && !listed && change.size != 0) session.modules().Add(RecordOf(change));
  session.breakpoints().FollowModules();
}

Judgement JudgeModule(Session& session, const rpc::StopEvent& stop) {
  Judgement judgement;
  // Verbose mode has shown it with the event.
  if (!session.options().verbose) judgement.reason = ModuleLine(session, *stop.module);
  TakeModule(session, *stop.module);
  const EventFilter* filter = session.filters().ForModule(stop.module->unload);
  bool matches = filter->argument.empty();
  if (!matches) {
    const ModuleRecord record = RecordOf(*stop.module);
    Wildcard pattern(filter->argument);
    matches = pattern.Matches(ModuleNameOf(record)) || pattern.Matches(record.image_name);
  }
  FilterMode mode = matches ? filter->mode : FilterMode::kIgnore;
  judgement.decision.resume = mode != FilterMode::kBreak && !stop.break_in;
  judgement.silent = mode == FilterMode::kIgnore || mode == FilterMode::kSecondChance;
  if (stop.restarted && mode != FilterMode::kBreak &&
      session.options().reboot_break == RebootBreak::kInitialization) {
    judgement.decision.resume = judgement.decision.break_in = judgement.silent = true;
  }
  if (!judgement.decision.resume) judgement.decision.commands = filter->commands;
  return judgement;
}

Judgement JudgeException(Session& session, const rpc::StopEvent& stop) {
  Judgement judgement;
  const EventFilter* filter = session.filters().ForException(stop.exception.code);
  FilterMode mode = filter ? filter->mode : FilterMode::kBreak;
  judgement.reason = DescribeException(session.filters(), stop.exception) + "\n";
  bool first = stop.exception.first_chance;
  judgement.decision.resume = mode == FilterMode::kNotify || mode == FilterMode::kIgnore ||
                              (mode == FilterMode::kSecondChance && first);
  judgement.silent = mode == FilterMode::kIgnore;
  judgement.decision.handled = filter ? filter->handled : false;
  if (!judgement.decision.resume && filter)
    judgement.decision.commands = first ? filter->commands : filter->second_commands;
  return judgement;
}

Judgement JudgeStop(Session& session, const rpc::StopEvent& stop, const StopView& view) {
  Judgement judgement;
  if (stop.bugcheck) {
    judgement.reason =
        DescribeException(session.filters(), stop.exception) + "\n\nA fatal system error has occurred.\n\n";
    judgement.reason += kBugcheckBanner;
    judgement.reason += BugcheckLine(*stop.bugcheck) + "\n";
    return judgement;
  }
  if (stop.reason == rpc::StopEvent::Reason::kModule && stop.module) return JudgeModule(session, stop);
  if (stop.reason == rpc::StopEvent::Reason::kCommandString) {
    // A target must not run commands on the machine of the person who debugs it.
    judgement.reason =
        "The target sent a command, which was not run: " + EscapeTargetText(stop.command) + "\n";
    return judgement;
  }
  if (std::vector<Breakpoint*> hits = session.breakpoints().HitBy(stop); !hits.empty()) {
    const std::vector<Breakpoint*> stopping = CountHits(session, hits, stop, judgement.reason);
    judgement.decision.resume = judgement.silent = stopping.empty();
    for (Breakpoint* hit : stopping) {
      judgement.reason += "Breakpoint " + std::to_string(hit->id) + " hit\n";
      AddCommands(judgement.decision.commands, hit->commands);
      if (hit->one_shot) (void)session.breakpoints().Remove(hit->id);
    }
    return judgement;
  }
  std::uint32_t code = stop.exception.code;
  // The end of a step, a temporary breakpoint, a switch of the processor: the location says it all.
  if (code == kSingleStepException || code == kProcessorSwitched || view.after_step ||
      std::find(view.temporary.begin(), view.temporary.end(), stop.program_counter) != view.temporary.end()) {
    return judgement;
  }
  if (stop.break_in) {
    judgement.reason = DescribeException(session.filters(), stop.exception) + "\n";
    if (!session.options().quiet) judgement.reason += kBreakInText;
    return judgement;
  }
  judgement = JudgeException(session, stop);
  if (code == kBreakpointException) judgement.decision.handled = true;
  return judgement;
}

}  // namespace

std::string ModuleLine(Session& session, const rpc::ModuleChange& change) {
  std::string text = change.unload ? "Unload module " : "ModLoad: ";
  if (change.unload)
    return text + EscapeTargetText(change.path) + " at " + session.Address(change.base) + "\n";
  return text + session.Address(change.base) + " " + session.Address(change.base + change.size) + "   " +
         EscapeTargetText(change.path) + "\n";
}

namespace {

/// Bytes of the UTF-8 sequence at the front that a terminal may be shown; 0 if it is broken, overlong or a
/// control.
std::size_t PrintableSequence(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  std::uint32_t point = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::uint32_t kFirstC1After = 0xA0, kSmallest[] = {0, 0, 0, 0x800, 0x10000};
  return point >= kFirstC1After && point >= kSmallest[length] && point <= 0x10FFFF ? length : 0;
}

}  // namespace

std::string EscapeTargetText(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t length = text.front() == '\n' || text.front() == '\t' ? 1 : PrintableSequence(text);
    out += text.substr(0, length);
    if (length == 0) {
      length = 1;
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(text.front()));
      if (!text.starts_with("\r\n")) out += escaped;
    }
    text.remove_prefix(length);
  }
  return out;
}

StopDecision ReportStop(Session& session, const rpc::StopEvent& stop, const StopView& view, Report& report) {
  Judgement judgement = JudgeStop(session, stop, view);
  if (judgement.decision.resume) {
    if (!judgement.silent) report.Text(judgement.reason);
    return judgement.decision;
  }
  std::string text = judgement.reason;
  Result<const RegisterSet*> registers = session.Registers();
  if (registers) {
    if (view.after_step && view.show_registers) {
      for (const std::string& line : FormatRegisterBlock(**registers)) text += line + "\n";
    }
    text += FormatLocation(session, **registers);
  } else {
    text += session.Address(stop.program_counter) + "\n";
  }
  Fields fields{{"stop", static_cast<std::int64_t>(stop.stop_counter)},
                {"processor", static_cast<std::int64_t>(stop.processor)},
                {"address", Hex{stop.program_counter}},
                {"location", session.NameOf(stop.program_counter)},
                {"code", Hex{stop.exception.code}},
                {"break_in", stop.break_in}};
  if (stop.bugcheck) fields.push_back({"bugcheck", Hex{stop.bugcheck->code}});
  report.Row("stop", std::move(fields), "");
  report.Text(text);
  return judgement.decision;
}

}  // namespace longwire

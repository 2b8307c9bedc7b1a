#include <algorithm>
#include <cctype>

#include "client/commands/command.h"
#include "client/engine/event_filters.h"
#include "client/engine/location_text.h"
#include "client/engine/run_control.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxTemporaryBreakpoints = 10;

/// `=addr` directly behind the command's name: execution goes on there.
Result<void> TakeStartAddress(Session& session, Arguments& arguments) {
  if (arguments.rest().empty() || arguments.rest().front() != '=') return {};
  arguments.text().remove_prefix(1);
  Result<std::uint64_t> start = arguments.Address();
  if (!start) return start.error();
  const char* counter = session.architecture() == Architecture::kAmd64 ? "rip"
                        : session.architecture() == Architecture::kX86 ? "eip"
                                                                       : "pc";
  return session.SetRegister(counter, *start);
}

/// How `g` gives the exception back: as the filter of its code says.
bool HandledByDefault(Session& session) {
  const auto& stop = session.target().stop();
  if (!stop || stop->reason != rpc::StopEvent::Reason::kException || stop->bugcheck || stop->break_in)
    return true;
  const EventFilter* filter = session.filters().ForException(stop->exception.code);
  return !filter || filter->handled;
}

Result<CommandFlow> Go(Session& session, Arguments& arguments, Report&, std::optional<bool> handled) {
  if (Result<void> started = TakeStartAddress(session, arguments); !started) return started.error();
  Target::ResumeOptions options;
  while (!arguments.AtEnd()) {
    Result<std::uint64_t> address = arguments.Address();
    if (!address) return address.error();
    if (options.temporary_breakpoints.size() >= kMaxTemporaryBreakpoints) {
      return Error{Errc::kLimitExceeded, "at most 10 temporary breakpoints"};
    }
    options.temporary_breakpoints.push_back(*address);
  }
  options.handled = handled.value_or(HandledByDefault(session));
  session.set_run_temporaries(options.temporary_breakpoints);
  if (Result<void> resumed = session.target().Resume(options); !resumed) return resumed.error();
  return CommandFlow::kRunning;
}

Result<CommandFlow> GoConditional(Session& session, Arguments& arguments, Report& report) {
  return Go(session, arguments, report, std::nullopt);
}
Result<CommandFlow> GoHandled(Session& session, Arguments& arguments, Report& report) {
  return Go(session, arguments, report, true);
}
Result<CommandFlow> GoNotHandled(Session& session, Arguments& arguments, Report& report) {
  return Go(session, arguments, report, false);
}

struct StepStart {
  std::uint64_t thread = 0, stack = 0;
};

/// The end of a plain step; anything else (a breakpoint, an exception, a module) ends a count.
bool EndedAsPlanned(const rpc::StopEvent& stop) {
  return stop.reason == rpc::StopEvent::Reason::kException && !stop.bugcheck && !stop.break_in &&
         !stop.restarted && stop.breakpoints.empty() &&
         (stop.exception.code == 0x80000004 || stop.exception.code == 0x80000003);
}

struct StepStop {
  rpc::StopEvent event;
  bool shown = false;  ///< it was no plain end of a step, and the user has seen why
};

/// Registers of the processor that is selected, and what tells its thread from others on the way.
struct Stepper {
  const RegisterSet* registers = nullptr;
  StepStart start;
};

Result<Stepper> SelectedProcessor(Session& session) {
  Result<const RegisterSet*> registers = session.ProcessorRegisters(session.processor());
  if (!registers) return registers.error();
  Stepper stepper{*registers, {0, (*registers)->stack_pointer()}};
  // Not every target tells the thread of each processor; the stack pointer is told all the same.
  if (Result<std::uint64_t> thread = session.ProcessorThread(session.processor()); thread)
    stepper.start.thread = *thread;
  return stepper;
}

/// Resumes until a plain end of a step or a stop the user shall see, which it shows. What filters and pass
/// counts let pass goes on in the same way.
Result<StepStop> RunStep(Session& session, Target::ResumeOptions options, Report& report) {
  while (true) {
    if (Result<void> resumed = session.target().Resume(options); !resumed) return resumed.error();
    Result<std::optional<rpc::StopEvent>> stop = WaitForStop(session, std::nullopt);
    if (!stop) return stop.error();
    if (!*stop) return Error{Errc::kTimedOut, "the target did not come back from the step"};
    if (EndedAsPlanned(**stop)) return StepStop{std::move(**stop), false};
    // The Ctrl-C that stopped the target must not cancel what shows the stop.
    if ((*stop)->break_in) session.interrupt().Clear();
    StopDecision decision = ReportStop(session, **stop, {}, report);
    session.QueueCommands(decision.commands);
    if (!decision.resume) return StepStop{std::move(**stop), true};
    // A breakpoint that lets pass stands where the step was to end.
    const std::vector<std::uint64_t>& ends = options.temporary_breakpoints;
    if (std::find(ends.begin(), ends.end(), (*stop)->program_counter) != ends.end()) {
      (*stop)->breakpoints.clear();  // it has been asked
      return StepStop{std::move(**stop), false};
    }
    options.handled = decision.handled;
  }
}

/// Runs until `address` is reached by the thread that steps, at or above its stack pointer: a recursive call
/// that comes by is not the end of the step.
Result<StepStop> RunTo(Session& session, std::uint64_t address, const StepStart& start, bool above_only,
                       Report& report) {
  while (true) {
    Target::ResumeOptions options;
    options.temporary_breakpoints = {address};
    Result<StepStop> stop = RunStep(session, options, report);
    if (!stop || stop->shown || stop->event.program_counter != address) return stop;
    Result<const RegisterSet*> registers = session.ProcessorRegisters(stop->event.processor);
    if (!registers) return registers.error();
    std::uint64_t stack = (*registers)->stack_pointer();
    bool same_thread = start.thread == 0 || stop->event.thread == start.thread;
    if (same_thread && (above_only ? stack > start.stack : stack >= start.stack)) return stop;
    // A deep recursion may come by for ever.
    if (session.interrupt().raised()) return stop;
  }
}

/// Instructions that do not simply lead to the next one, or that move the stack pointer by which a nested run
/// of the same code is told from this one.
bool EndsStretch(const Instruction& instruction) {
  if (!instruction.valid || instruction.is_call || instruction.is_branch || instruction.is_return)
    return true;
  for (const char* prefix : {"push", "pop", "enter", "leave", "int", "iret", "sys", "hlt", "ud", "vm",
                             "xbegin", "xabort", "swapgs"}) {
    if (instruction.mnemonic.starts_with(prefix)) return true;
  }
  return instruction.operands.starts_with("rsp") || instruction.operands.starts_with("esp") ||
         instruction.mnemonic.starts_with("xchg") || instruction.mnemonic.starts_with("xadd");
}

/// Where the instructions from `from` on certainly lead, at most to `stop_at`: one run instead of many steps.
/// nullopt: not far enough to pay for a breakpoint.
std::optional<std::uint64_t> EndOfStretch(Session& session, std::uint64_t from,
                                          std::optional<std::uint64_t> stop_at) {
  constexpr unsigned kShortest = 3, kLongest = 256;
  if (session.architecture() == Architecture::kArm64) return std::nullopt;
  std::uint64_t at = from;
  unsigned count = 0;
  for (; count < kLongest && (count == 0 || at != stop_at); ++count) {
    Result<Instruction> instruction = InstructionAt(session, at);
    if (!instruction || EndsStretch(*instruction)) break;
    at += instruction->length;
  }
  if (count < kShortest) return std::nullopt;
  return at;
}

Result<StepStop> StepOnce(Session& session, bool over, Report& report) {
  if (over) {
    Result<Stepper> stepper = SelectedProcessor(session);
    if (!stepper) return stepper.error();
    Result<Instruction> instruction = InstructionAt(session, stepper->registers->program_counter());
    bool repeated =
        instruction && (instruction->mnemonic.starts_with("rep") || instruction->bytes.starts_with("f3a") ||
                        instruction->bytes.starts_with("f2a"));
    if (instruction && (instruction->is_call || repeated)) {
      return RunTo(session, instruction->address + instruction->length, stepper->start, false, report);
    }
  }
  Target::ResumeOptions options;
  options.step = true;
  if (session.processor() != session.target().stop()->processor) {
    options.step_processor = session.processor();
    // The one that stopped goes on meanwhile, as with `g`.
    options.handled = HandledByDefault(session);
  }
  return RunStep(session, options, report);
}

/// Shows where a step ended.
void ShowStep(Session& session, const rpc::StopEvent& stop, Report& report) {
  StopView view;
  view.after_step = true;
  view.show_registers = session.show_step_registers;
  StopDecision decision = ReportStop(session, stop, view, report);
  session.QueueCommands(decision.commands);
}

struct StepKind {
  bool over = false;
  bool to_address = false;  ///< pa, ta
  bool to_call = false;     ///< pc, tc
  bool to_return = false;   ///< pt, tt
};

bool Reached(Session& session, const StepKind& kind, std::uint64_t address) {
  std::uint64_t at = session.target().stop() ? session.target().stop()->program_counter : 0;
  if (kind.to_address) return at == address;
  if (!kind.to_call && !kind.to_return) return true;
  Result<Instruction> instruction = InstructionAt(session, at);
  return !instruction || (kind.to_call ? instruction->is_call : instruction->is_return);
}

/// One step, or a stretch of code without a place where the command might end.
Result<StepStop> Advance(Session& session, const StepKind& kind, std::uint64_t address, Report& report) {
  if (kind.to_address || kind.to_call || kind.to_return) {
    Result<Stepper> stepper = SelectedProcessor(session);
    if (!stepper) return stepper.error();
    std::optional<std::uint64_t> stop_at;
    if (kind.to_address) stop_at = address;
    if (auto end = EndOfStretch(session, stepper->registers->program_counter(), stop_at))
      return RunTo(session, *end, stepper->start, false, report);
  }
  return StepOnce(session, kind.over, report);
}

Result<CommandFlow> Step(Session& session, Arguments& arguments, Report& report, StepKind kind) {
  if (Result<void> started = TakeStartAddress(session, arguments); !started) return started.error();
  std::uint64_t count = 1, address = 0;
  if (kind.to_address) {
    Result<std::uint64_t> to = arguments.Address();
    if (!to) return to.error();
    address = *to;
  } else if (!arguments.AtEnd()) {
    Result<std::uint64_t> times = arguments.Expression();
    if (!times) return times.error();
    count = *times;
  }
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  for (std::uint64_t done = 0; done < count;) {
    Result<StepStop> stop = Advance(session, kind, address, report);
    if (!stop) return stop.error();
    if (stop->shown) return CommandFlow::kPrompt;
    const bool interrupted = session.interrupt().raised();
    if (interrupted || Reached(session, kind, address)) {
      ShowStep(session, stop->event, report);
      ++done;
    }
    if (interrupted) return Error{Errc::kCancelled, "stopped by Ctrl-C"};
  }
  return CommandFlow::kPrompt;
}

/// The names of one step command, with and without the `r` that toggles the registers.
void AddStep(CommandTable& table, const std::string& name, const std::string& toggled,
             const std::string& argument, const std::string& help, StepKind kind) {
  auto run = [kind](Session& session, Arguments& arguments, Report& report) {
    return Step(session, arguments, report, kind);
  };
  Command command{{name}, name + "[r] [=START] " + argument, help, run};
  table.Add(command);
  command.names = {toggled};
  command.run = [run](Session& session, Arguments& arguments, Report& report) {
    session.show_step_registers = !session.show_step_registers;
    return run(session, arguments, report);
  };
  table.Add(std::move(command));
}

Result<CommandFlow> GoUp(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  Result<Stepper> stepper = SelectedProcessor(session);
  if (!stepper) return stepper.error();
  Result<std::vector<StackFrame>> frames = session.Walk(*stepper->registers, 2);
  if (!frames) return frames.error();
  if (frames->empty() || frames->front().return_address == 0) {
    return Error{Errc::kNotFound, "gu needs a caller, and the stack walk found none"};
  }
  Result<StepStop> stop = RunTo(session, frames->front().return_address, stepper->start, true, report);
  if (!stop) return stop.error();
  if (stop->shown) return CommandFlow::kPrompt;
  StopView view;
  view.temporary = {frames->front().return_address};
  StopDecision decision = ReportStop(session, stop->event, view, report);
  session.QueueCommands(decision.commands);
  return CommandFlow::kPrompt;
}

}  // namespace

void AddRunCommands(CommandTable& table) {
  table.Add({{"g", "gc"},
             "g [=START] [ADDRESS...]",
             "Resumes the target, until one of at most 10 addresses if given.",
             GoConditional});
  table.Add({{"gh"}, "gh [=START] [ADDRESS...]", "Resumes; the exception counts as handled.", GoHandled});
  table.Add(
      {{"gn"}, "gn [=START] [ADDRESS...]", "Resumes; the exception goes on to the target.", GoNotHandled});
  table.Add({{"gu"}, "gu", "Runs until the current function returns.", GoUp});
  AddStep(table, "t", "tr", "[COUNT]", "Executes one instruction, into calls.", {});
  AddStep(table, "p", "pr", "[COUNT]", "Executes one instruction, over calls.", {true});
  AddStep(table, "ta", "tar", "ADDRESS", "Steps into calls until an address.", {false, true});
  AddStep(table, "pa", "par", "ADDRESS", "Steps over calls until an address.", {true, true});
  AddStep(table, "tc", "tcr", "[COUNT]", "Steps into calls until the next call.", {false, false, true});
  AddStep(table, "pc", "pcr", "[COUNT]", "Steps over calls until the next call.", {true, false, true});
  AddStep(table, "tt", "ttr", "[COUNT]", "Steps into calls until the next return.",
          {false, false, false, true});
  AddStep(table, "pt", "ptr", "[COUNT]", "Steps over calls until the next return.",
          {true, false, false, true});
}

}  // namespace longwire

#include "client/commands/command.h"
#include "client/commands/number_text.h"
#include "client/commands/target_text.h"

namespace longwire {
namespace {

/// A model-specific register's number; its text is all there is of it in a CPU manual.
Result<std::uint32_t> TakeMsrNumber(Arguments& arguments) {
  Result<std::uint64_t> number = arguments.Expression();
  if (!number) return number.error();
  // 80000000..FFFFFFFF are numbers of registers too, and the evaluator extends their sign.
  const std::uint64_t high = *number >> 32;
  if (high != 0 && (high != 0xFFFFFFFF || (*number & 0x80000000) == 0))
    return Error{Errc::kUsage, "^ Overflow error; the number of a register has 32 bits"};
  return static_cast<std::uint32_t>(*number);
}

Error NoSuchMsr(std::uint32_t number, const Error& error) {
  return Error{error.code,
               "no such msr: " + HexDigits(number) + " on this processor (" + error.message + ")"};
}

Result<CommandFlow> ReadRegister(Session& session, Arguments& arguments, Report& report) {
  Result<std::uint32_t> number = TakeMsrNumber(arguments);
  if (!number) return number.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  Result<std::uint64_t> value = session.target().ReadMsr(session.processor(), *number);
  if (!value) return NoSuchMsr(*number, value.error());
  report.Row("msr",
             {{"number", Hex{*number}},
              {"value", Hex{*value}},
              {"processor", static_cast<std::int64_t>(session.processor())}},
             "msr[" + HexDigits(*number) + "] = " + FormatAddress(*value, 8));
  return CommandFlow::kPrompt;
}

Result<CommandFlow> WriteRegister(Session& session, Arguments& arguments, Report&) {
  Result<std::uint32_t> number = TakeMsrNumber(arguments);
  if (!number) return number.error();
  Result<std::uint64_t> value = arguments.Expression();
  if (!value) return value.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  Result<void> written = session.target().WriteMsr(session.processor(), *number, *value);
  if (!written) return NoSuchMsr(*number, written.error());
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ShowTime(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  if (Result<void> shown = ReportTargetTime(session, report); !shown) return shown.error();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> EchoTime(Session&, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const std::string date = HostTime();
  report.Row("time", {{"debugger_time", date}}, "Debugger (not debuggee) time: " + date);
  return CommandFlow::kPrompt;
}

}  // namespace

void AddMachineCommands(CommandTable& table) {
  table.Add({{"rdmsr"}, "rdmsr NUMBER", "Reads a model-specific register of the processor.", ReadRegister});
  table.Add(
      {{"wrmsr"}, "wrmsr NUMBER VALUE", "Writes a model-specific register of the processor.", WriteRegister});
  table.Add({{".time"}, ".time", "Shows the target's time, and how long it has run.", ShowTime});
  table.Add({{".echotime"}, ".echotime", "Shows the time of this machine.", EchoTime, false, false});
}

}  // namespace longwire

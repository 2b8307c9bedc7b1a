#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/engine/report.h"
#include "client/engine/session.h"
#include "proto/error.h"

namespace longwire {

/// The text behind a command's name, consumed from the front.
class Arguments {
 public:
  Arguments(Session& session, std::string_view text) : session_(session), text_(text) {}

  void SkipBlanks();
  bool AtEnd();  ///< nothing but blanks left
  std::string_view rest() const { return text_; }
  std::string_view& text() { return text_; }  ///< for EvaluateMasm, ParseRange
  std::string_view Word();                    ///< up to the next blank; empty at the end
  std::string TakeRest();                     ///< everything, trimmed
  /// `/x`, `-x` style option: consumes and returns true if the next word is exactly `option`.
  bool Option(std::string_view option);
  Result<std::uint64_t> Expression();  ///< error texts name the command's text (engine.md 2.13)
  Result<std::uint64_t> Address();     ///< an expression whose value is an address of the target
  Result<AddressRange> Range(unsigned element_size);
  Result<void> ExpectEnd();  ///< `^ Extra character error in '...'`
  /// All that is left: an address, or nothing for the program counter of the scope.
  Result<std::uint64_t> AddressOrHere();
  /// Letters of the next `/abc` or `-abc` word, which is consumed; empty if the next word is no such option.
  std::string_view OptionLetters();

 private:
  Session& session_;
  std::string_view text_;
};

Error SyntaxError(std::string_view text);  ///< `^ Syntax error in 'TEXT'`

/// What a command tells the console besides its report.
enum class CommandFlow : std::uint8_t {
  kPrompt,       ///< show the prompt again
  kRunning,      ///< the target was resumed: wait for its next stop
  kQuit,         ///< `q`: leave, target as it is
  kQuitDetach,   ///< `qd`: leave, target resumed
  kServerEnded,  ///< `.endpsrv`
};

struct Command {
  std::vector<std::string> names;  ///< matched ignoring case unless `exact_case`
  std::string grammar;             ///< "lm [kv] [m PATTERN]"
  std::string help;                ///< one sentence
  std::function<Result<CommandFlow>(Session&, Arguments&, Report&)> run;
  bool exact_case = false;
  bool needs_halt = true;         ///< refused with a clear text while the target runs or is offline
  bool repeats_on_enter = false;  ///< an empty line goes on where it ended: runs it again without arguments
  bool prefix = false;            ///< letters may follow the name at once; the command parses them ("lmkv")
};

inline constexpr std::size_t kMaxCommandCharacters = 4096;

/// The registry: a plain list filled by functions, one per file of commands. `main` decides what is in it.
class CommandTable {
 public:
  void Add(Command command);
  const Command* Find(std::string_view name) const;
  /// The command at the front of a text, and the length of its name there: "bp0 x" is `bp`, "lmkv" is `lm`,
  /// "!foo" is
  /// `!` unless there is a `!foo`.
  std::pair<const Command*, std::size_t> Match(std::string_view text) const;
  const std::vector<Command>& commands() const { return commands_; }
  /// Runs one line: splits at `;` and block rules (engine.md 2.1), looks commands up, collects the last flow.
  /// Commands after one that resumes the target run after its next stop; `pending` receives that remaining
  /// text. Errors go to Report::Error and end neither the line nor the session; a cancelled command ends the
  /// line.
  Result<CommandFlow> Execute(Session& session, std::string_view line, Report& report,
                              std::string& pending) const;

  /// Cuts the first command off a line. Both parts are trimmed; a comment gives an empty command.
  static std::pair<std::string_view, std::string_view> SplitFirst(std::string_view line);
  /// Runs what SplitFirst cut off, with its processor prefix (`~1 k`, `1k`). The error is the command's.
  Result<CommandFlow> RunOne(Session& session, std::string_view command, Report& report) const;

 private:
  Result<CommandFlow> RunOnProcessors(Session& session, std::string_view which, std::string_view command,
                                      Report& report) const;

  std::vector<Command> commands_;
};

void AddMemoryCommands(CommandTable& table);       ///< d* e* f m c s
void AddExpressionCommands(CommandTable& table);   ///< ? ?? n .formats .printf-like
void AddRegisterCommands(CommandTable& table);     ///< r rm
void AddDisassemblyCommands(CommandTable& table);  ///< u ub
void AddStackCommands(CommandTable& table);        ///< k* .frame dv .cxr .trap
void AddTypeCommands(CommandTable& table);         ///< dt
void AddNameCommands(CommandTable& table);         ///< x ln
void AddModuleCommands(CommandTable& table);       ///< lm ld .reload
void AddSymbolPathCommands(CommandTable& table);   ///< .sympath .symfix .exepath !sym
void AddRunCommands(CommandTable& table);          ///< g gh gn gu p t
void AddBreakpointCommands(CommandTable& table);   ///< bp bu ba bl bc bd be bm br bs bsc .bpcmds
void AddTargetCommands(
    CommandTable& table);  ///< vertarget ~ .process .thread .bugcheck .reboot .crash .restart sx*
void AddExtensionCommands(CommandTable& table);  ///< .load .unload .chain .extpath !ext.cmd
void AddLogCommands(CommandTable& table);        ///< .logopen .logappend .logclose .logfile
void AddLinkCommands(CommandTable& table);       ///< .linkinfo .cache .kdfiles
void AddMachineCommands(CommandTable& table);    ///< rdmsr wrmsr .time .echotime
void AddRoleCommands(CommandTable& table);       ///< .driver .handover
void AddConsoleCommands(CommandTable& table);    ///< .echo .sleep q qd .endpsrv .help

}  // namespace longwire

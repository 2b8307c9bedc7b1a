#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/engine/evaluator.h"
#include "client/engine/machine.h"
#include "client/engine/report.h"
#include "client/engine/session_log.h"
#include "client/engine/unwinder.h"
#include "client/symbols/module.h"
#include "client/symbols/symbol_table.h"
#include "client/target/interrupt.h"
#include "client/target/target.h"
#include "proto/error.h"

namespace longwire {

class Breakpoints;
class DriverFiles;
class EventFilters;
class ExtensionHost;
struct ImageRange;
struct StringPlace;

/// Whether a target that boots again is stopped (-b, -x, -d, Ctrl-K).
enum class RebootBreak : std::uint8_t {
  kNone,
  kInitialization,  ///< as soon as its kernel answers a break-in
  kFirstModule,     ///< at the report of its first module
};

struct SessionOptions {
  std::string symbol_path, image_path;
  bool noisy_symbols = false;  ///< -n, !sym noisy
  bool verbose = false;        ///< -v
  bool source_lines = false;   ///< -lines
  bool quiet = false;          ///< KDQUIET
  std::string source_path;     ///< -srcpath, .srcpath
  RebootBreak reboot_break = RebootBreak::kNone;
  bool trace_packets = false;  ///< Ctrl-D
};

/// The engine's state for one target: what is selected (processor, process, thread, frame), symbols,
/// breakpoints and the user's variables. Commands and extensions work on it. Used from the engine's thread
/// only.
///
///   scope = the register context commands speak of:  explicit (.cxr, .thread, .frame)  or the current
///   processor's
class Session {
 public:
  using TextSink = std::function<void(std::string_view)>;
  /// `notes` receives text that belongs to no command: target output, symbol traces, warnings.
  Session(Target& target, Interrupt& interrupt, SessionOptions options, TextSink notes);
  ~Session();

  Target& target() { return target_; }
  Interrupt& interrupt() { return interrupt_; }
  SymbolTable& symbols() { return *symbols_; }
  ModuleList& modules() { return symbols_->modules(); }
  Breakpoints& breakpoints() { return *breakpoints_; }
  EventFilters& filters() { return *filters_; }
  DriverFiles& driver_files() { return *driver_files_; }
  /// Whoever adds the extension commands sets the host first. Shared only because its type is not known here.
  ExtensionHost& extensions() { return *extensions_; }
  void set_extensions(std::shared_ptr<ExtensionHost> host) { extensions_ = std::move(host); }
  SessionOptions& options() { return options_; }
  void Note(std::string_view text) { notes_(text); }
  /// An event that is no command's: one row of `kind` and the line that shows it.
  using EventSink = std::function<void(std::string_view kind, const Fields& fields, std::string_view line)>;
  void set_event_sink(EventSink sink) { event_sink_ = std::move(sink); }
  void Announce(std::string_view kind, const Fields& fields, std::string_view line);

  Architecture architecture() const;
  /// The process a user minidump is of; null when the target is a machine.
  const rpc::UserProcess* user_process() const;
  unsigned pointer_size() const { return PointerSize(architecture()); }
  bool halted() const { return target_.stop().has_value(); }
  /// Where an expression's value becomes an address (see machine.h).
  std::uint64_t Plain(std::uint64_t value) const { return PlainAddress(architecture(), value); }
  std::string Address(std::uint64_t address) const { return FormatAddress(address, pointer_size()); }

  // ---- selection
  // -----------------------------------------------------------------------------------------------
  std::uint32_t processor() const { return processor_; }
  void SelectProcessor(
      std::uint32_t processor);  ///< to read from; the target's own "stopped" processor stays
  /// Registers of the scope; read once per stop.
  Result<const RegisterSet*> Registers();
  /// Registers of a processor, whatever the scope is.
  Result<const RegisterSet*> ProcessorRegisters(std::uint32_t processor);
  /// The thread it runs; kUnsupported where only that of the stop is told.
  Result<std::uint64_t> ProcessorThread(std::uint32_t processor);
  /// Writes one register of the current processor's context (scope must not be explicit).
  Result<void> SetRegister(std::string_view name, std::uint64_t value);
  void SetScope(RegisterSet registers, unsigned frame_number);
  void ResetScope();
  bool has_explicit_scope() const { return scope_.has_value(); }
  unsigned frame_number() const { return frame_number_; }
  /// Address space of the selected process: that of the stopped thread, or a page-table base after
  /// `.process`.
  AddressSpace address_space() const { return space_; }
  void SelectProcess(std::uint64_t process, std::uint64_t directory_base);
  void ResetProcess();
  std::uint64_t selected_process() const { return process_; }  ///< EPROCESS, 0 = that of the stop
  void SelectThread(std::uint64_t thread) { thread_ = thread; }
  std::uint64_t selected_thread() const { return thread_; }  ///< KTHREAD, 0 = that of the stop

  // ---- memory
  // --------------------------------------------------------------------------------------------------
  /// Readable prefix in the selected address space; kUnreadable when there is none. Code that a small dump
  /// leaves out is taken from the image file, if there is one on the image path.
  Result<std::size_t> Read(std::uint64_t address, std::span<std::byte> out);
  /// The second part of that alone: bytes from `address` on that the image file has; 0: none. Asks no target.
  std::size_t ReadCodeOfImage(std::uint64_t address, std::span<std::byte> out);
  Result<void> ReadExact(std::uint64_t address, std::span<std::byte> out);
  Result<std::uint64_t> ReadUnsigned(std::uint64_t address, unsigned size);  ///< little-endian, size 1..8
  Result<std::uint64_t> ReadPointer(std::uint64_t address) { return ReadUnsigned(address, pointer_size()); }
  Result<void> Write(std::uint64_t address, std::span<const std::byte> data);

  // ---- names and expressions
  // -----------------------------------------------------------------------------------
  EvaluationScope Evaluation();
  Result<std::uint64_t> Evaluate(std::string_view text);
  /// "nt!KeBugCheckEx+0x14", "mydrv+0x334c", or "" when no module holds the address.
  std::string NameOf(std::uint64_t address);
  unsigned radix() const { return radix_; }
  void set_radix(unsigned radix) { radix_ = radix; }

  // ---- modules and stacks
  // --------------------------------------------------------------------------------------
  /// Reads the target's module list again if it may have changed (one plan), or always if `force`. A list
  /// that cannot be read to its end gives what was read, with a note.
  Result<void> RefreshModules(bool force);
  /// Reads what is needed to identify these images (headers, debug directory) in one round trip, for those
  /// that are not loaded yet and have no file here.
  void PrepareImages(std::span<Module* const> modules);
  /// The same together with a structure in memory that will be shown (structure_plan.h); asks the target for
  /// nothing that is known at this stop.
  void PrepareStructure(std::span<Module* const> modules, std::uint64_t address);
  /// Reads a structure whose layout is known and the texts it leads to in one round trip, unless the
  /// structure is known at this stop.
  void PrepareStructure(std::uint64_t address, std::uint64_t size, std::span<const StringPlace> strings);
  /// Those of the images for which PrepareImages would ask the target.
  std::vector<ImageRange> Unidentified(std::span<Module* const> modules);
  Result<std::vector<StackFrame>> Walk(const RegisterSet& from, std::size_t maximum);
  /// Disassembly lines need the bytes under planted breakpoints; the server already hides them.
  Result<std::size_t> ReadCode(std::uint64_t address, std::span<std::byte> out) { return Read(address, out); }

  /// Called for every event before it is shown: drops what a resume or a restart made void.
  void OnEvent(const rpc::Event& event);

  /// Little-endian field of the target's KDDEBUGGER_DATA64; nullopt beyond the target's block.
  std::optional<std::uint64_t> DebuggerData(std::size_t offset, unsigned size = 8) const;
  /// The stop before this one, for `.lastevent` and `$previp`.
  const std::optional<rpc::StopEvent>& last_stop() const { return last_stop_; }
  std::uint64_t previous_program_counter() const { return previous_program_counter_; }

  /// `d*` and `u` continue where they ended.
  std::uint64_t next_data_address = 0, next_code_address = 0;
  std::array<std::uint64_t, 20> user_registers{};  ///< $t0..$t19
  std::uint64_t last_expression = 0;               ///< $exp
  std::uint64_t last_data_value = 0;               ///< $p
  bool show_step_registers = true;                 ///< toggled by `pr` and `tr`

  /// Temporary breakpoints of the run that goes on: a stop at one needs no reason.
  void set_run_temporaries(std::vector<std::uint64_t> addresses) { run_temporaries_ = std::move(addresses); }
  const std::vector<std::uint64_t>& run_temporaries() const { return run_temporaries_; }

  /// Commands to run as soon as the current one is done: those of a breakpoint that was hit, lines of a
  /// script. What is queued last runs first.
  void QueueCommands(std::string_view commands);
  std::string TakeQueuedCommands() { return std::exchange(queued_commands_, {}); }
  /// Answers `Input>` prompts of the target; set by the console. Without one the target gets an empty line.
  using PromptSource = std::function<std::string(const rpc::PromptRequested&)>;
  void set_prompt_source(PromptSource source) { prompt_source_ = std::move(source); }
  const PromptSource& prompt_source() const { return prompt_source_; }
  /// Asks the user for a line; nullopt: there is none, or Ctrl-C. Set by the console; without one a command
  /// that would ask says what is missing.
  using LineSource = std::function<std::optional<std::string>(std::string_view prompt)>;
  void set_line_source(LineSource source) { line_source_ = std::move(source); }
  const LineSource& line_source() const { return line_source_; }
  SessionLog& log() { return log_; }

 private:
  Result<std::uint64_t> NamedValue(std::string_view name);
  Result<std::uint64_t> PseudoRegister(std::string_view name);
  void EnterStop();
  void WishAgain();

  Target& target_;
  Interrupt& interrupt_;
  SessionOptions options_;
  TextSink notes_;
  std::unique_ptr<SymbolTable> symbols_;
  std::unique_ptr<Breakpoints> breakpoints_;
  std::unique_ptr<EventFilters> filters_;
  std::unique_ptr<DriverFiles> driver_files_;
  std::shared_ptr<ExtensionHost> extensions_;
  std::uint32_t processor_ = 0;
  std::map<std::uint32_t, RegisterSet> processor_registers_;
  std::optional<RegisterSet> scope_;
  unsigned frame_number_ = 0;
  AddressSpace space_;
  std::uint64_t process_ = 0, thread_ = 0;
  unsigned radix_ = 16;
  std::uint64_t known_module_counter_ = ~std::uint64_t{0};
  std::optional<rpc::StopEvent> last_stop_;
  std::uint64_t previous_program_counter_ = 0;
  std::string queued_commands_;
  std::vector<std::uint64_t> run_temporaries_;
  PromptSource prompt_source_;
  EventSink event_sink_;
  unsigned renewals_ = 0;  ///< of the target, as of the last event
  bool wishes_forgotten_ = false;
  LineSource line_source_;
  SessionLog log_;
};

}  // namespace longwire

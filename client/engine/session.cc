#include "client/engine/session.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "client/engine/breakpoints.h"
#include "client/engine/driver_files.h"
#include "client/engine/event_filters.h"
#include "client/engine/image_plan.h"
#include "client/engine/module_reader.h"
#include "client/engine/structure_plan.h"

namespace longwire {
namespace {

Error NotHalted(const Target& target) {
  if (target.state() == rpc::TargetState::kRunning) {
    return Error{Errc::kTargetRunning, "the target is running; break in first (Ctrl-C)"};
  }
  return Error{Errc::kTargetOffline, "no target answers on the link"};
}

Error Unreadable(const Session& session, std::uint64_t address) {
  return Error{Errc::kUnreadable, "Unable to read memory at " + session.Address(address), address};
}

}  // namespace

Session::Session(Target& target, Interrupt& interrupt, SessionOptions options, TextSink notes)
    : target_(target),
      interrupt_(interrupt),
      options_(std::move(options)),
      notes_(std::move(notes)),
      symbols_(std::make_unique<SymbolTable>()),
      breakpoints_(std::make_unique<Breakpoints>(*this)),
      filters_(std::make_unique<EventFilters>()),
      driver_files_(std::make_unique<DriverFiles>()) {
  SymbolLoader& loader = symbols_->loader();
  auto use = [&](const std::string& text, auto set) {
    Result<SymbolPath> path = SymbolPath::Parse(text);
    if (path) {
      (loader.*set)(std::move(*path));
    } else {
      Note("WARNING: " + path.error().message + "\n");
    }
  };
  use(options_.symbol_path, &SymbolLoader::set_symbol_path);
  use(options_.image_path, &SymbolLoader::set_image_path);
  loader.options().noisy = options_.noisy_symbols;
  loader.set_trace([this](std::string_view line) { Note(std::string(line) + "\n"); });
  loader.set_memory_reader([this](std::uint64_t address, std::span<std::byte> out) -> std::size_t {
    Result<std::size_t> read = target_.Read(AddressSpace::Virtual(), address, out);
    return read ? *read : 0;
  });
  if (target_.stop()) EnterStop();
}

Session::~Session() = default;

Architecture Session::architecture() const {
  const auto& description = target_.description();
  if (!description) return Architecture::kAmd64;
  return ArchitectureOf(description->machine).value_or(Architecture::kAmd64);
}

const rpc::UserProcess* Session::user_process() const {
  const auto& description = target_.description();
  return description && description->process ? &*description->process : nullptr;
}

std::optional<std::uint64_t> Session::DebuggerData(std::size_t offset, unsigned size) const {
  const auto& description = target_.description();
  if (!description || offset + size > description->debugger_data.size()) return std::nullopt;
  const std::uint64_t value = LoadLittle(description->debugger_data, offset, size);
  return size == 8 ? Plain(value) : value;
}

// ---- events
// -------------------------------------------------------------------------------------------------------

void Session::EnterStop() {
  const rpc::StopEvent& stop = *target_.stop();
  processor_registers_.clear();
  ResetScope();
  space_ = AddressSpace::Virtual();
  process_ = thread_ = 0;
  processor_ = stop.processor;
  if (last_stop_) previous_program_counter_ = last_stop_->program_counter;
  last_stop_ = stop;
  last_stop_->context.clear();
  last_stop_->memory.clear();
  next_code_address = stop.program_counter;
}

void Session::Announce(std::string_view kind, const Fields& fields, std::string_view line) {
  if (event_sink_) {
    event_sink_(kind, fields, line);
  } else if (!line.empty()) {
    Note(std::string(line) + "\n");
  }
}

void Session::OnEvent(const rpc::Event& event) {
  if (std::exchange(renewals_, target_.renewals()) != target_.renewals()) {
    breakpoints_->MarkUprooted();
    wishes_forgotten_ = true;
  }
  auto forget_all = [this] {
    symbols_->modules().Clear();
    known_module_counter_ = ~std::uint64_t{0};
    breakpoints_->Forget();
    driver_files_->CloseAll();
  };
  if (auto* stop = std::get_if<rpc::StopEvent>(&event)) {
    if (stop->restarted || (stop->module && stop->module->all)) forget_all();
    // A later event may have been applied by the target already.
    if (target_.stop()) EnterStop();
    if (target_.stop()) breakpoints_->SetAgain();
  } else if (std::holds_alternative<rpc::Resumed>(event)) {
    if (!target_.stop()) {
      processor_registers_.clear();
      ResetScope();
    }
  } else if (auto* link = std::get_if<rpc::LinkChanged>(&event)) {
    if (link->state == rpc::TargetState::kSynchronizing || link->state == rpc::TargetState::kOffline) {
      processor_registers_.clear();
      ResetScope();
    }
  } else if (auto* module = std::get_if<rpc::ModuleChanged>(&event)) {
    if (module->change.all) forget_all();
  } else if (std::holds_alternative<rpc::DriverChanged>(event)) {
    // Who begins to drive at a stop sees no other one before the target runs.
    if (target_.stop()) breakpoints_->SetAgain();
  }
  WishAgain();
}

/// A server that knows us as a new driver, of a target that may run.
void Session::WishAgain() {
  if (!wishes_forgotten_ || !target_.driving()) return;
  wishes_forgotten_ = false;
  rpc::Configure configure;
  configure.break_on_reboot = options_.reboot_break != RebootBreak::kNone;
  Result<void> asked = target_.Configure(configure);
  if (asked) asked = breakpoints_->AskForModuleStops();
  if (!asked) Note("Unable to ask for stops at module loads and reboots: " + asked.error().message + "\n");
}

void Session::QueueCommands(std::string_view commands) {
  if (commands.empty()) return;
  std::string all(commands);
  if (!queued_commands_.empty()) all += "\n" + queued_commands_;
  queued_commands_ = std::move(all);
}

// ---- selection
// ----------------------------------------------------------------------------------------------------

void Session::SelectProcessor(std::uint32_t processor) {
  processor_ = processor;
  ResetScope();
}

Result<const RegisterSet*> Session::Registers() {
  if (scope_) return &*scope_;
  return ProcessorRegisters(processor_);
}

Result<const RegisterSet*> Session::ProcessorRegisters(std::uint32_t processor) {
  if (!halted()) return NotHalted(target_);
  auto known = processor_registers_.find(processor);
  if (known == processor_registers_.end()) {
    Result<std::vector<std::byte>> context = target_.ReadContext(processor);
    if (!context) return context.error();
    known = processor_registers_.emplace(processor, RegisterSet(architecture(), std::move(*context))).first;
  }
  return &known->second;
}

Result<void> Session::SetRegister(std::string_view name, std::uint64_t value) {
  if (scope_) return Error{Errc::kUsage, "registers of a set context cannot be written; .cxr resets it"};
  Result<const RegisterSet*> registers = ProcessorRegisters(processor_);
  if (!registers) return registers.error();
  RegisterSet changed = **registers;
  if (!changed.Set(name, value))
    return Error{Errc::kUsage, "Bad register error in '" + std::string(name) + "'"};
  if (Result<void> written = target_.WriteContext(processor_, changed.context()); !written) return written;
  processor_registers_[processor_] = std::move(changed);
  return {};
}

void Session::SetScope(RegisterSet registers, unsigned frame_number) {
  scope_ = std::move(registers);
  frame_number_ = frame_number;
}

void Session::ResetScope() {
  scope_.reset();
  frame_number_ = 0;
}

void Session::SelectProcess(std::uint64_t process, std::uint64_t directory_base) {
  process_ = process;
  space_ = AddressSpace::PageTable(directory_base);
}

void Session::ResetProcess() {
  process_ = 0;
  space_ = AddressSpace::Virtual();
}

// ---- memory
// -------------------------------------------------------------------------------------------------------

Result<std::size_t> Session::Read(std::uint64_t address, std::span<std::byte> out) {
  if (!halted()) return NotHalted(target_);
  address = Plain(address);
  Result<std::size_t> read = target_.Read(space_, address, out);
  const std::size_t known = read ? *read : 0;
  if (known < out.size() && (read || read.error().code == Errc::kUnreadable)) {
    if (const std::size_t more = ReadCodeOfImage(address + known, out.subspan(known)); more > 0)
      return known + more;
  }
  if (!read && read.error().code == Errc::kUnreadable) return Unreadable(*this, address);
  return read;
}

/// Only code, which no program changes: at another place than in the file its addresses are relative to
/// itself on 64-bit machines; on 32-bit ones they are not, so it must lie where it was linked for.
std::size_t Session::ReadCodeOfImage(std::uint64_t address, std::span<std::byte> out) {
  constexpr std::uint32_t kExecutable = 0x20000000, kWritable = 0x80000000;
  const auto& description = target_.description();
  if (!description || description->modules.empty()) return 0;
  address = Plain(address);
  SymbolLoader& loader = symbols_->loader();
  if (loader.image_path().elements().empty() || !RefreshModules(false)) return 0;
  Module* module = modules().FindByAddress(address);
  if (!module || !loader.Headers(*module) || !module->image()) return 0;
  const PeHeaders& headers = module->image()->headers();
  if (pointer_size() == 4 && headers.image_base != module->base()) return 0;
  const auto rva = static_cast<std::uint32_t>(address - module->base());
  for (const PeSection& section : headers.sections) {
    if (rva < section.rva || rva - section.rva >= section.virtual_size) continue;
    if ((section.characteristics & (kExecutable | kWritable)) != kExecutable) return 0;
    const std::size_t left = section.virtual_size - (rva - section.rva);
    return module->image()->Read(rva, out.first(std::min(out.size(), left)));
  }
  return 0;
}

Result<void> Session::ReadExact(std::uint64_t address, std::span<std::byte> out) {
  Result<std::size_t> read = Read(address, out);
  if (!read) return read.error();
  if (*read < out.size()) return Unreadable(*this, address + *read);
  return {};
}

Result<std::uint64_t> Session::ReadUnsigned(std::uint64_t address, unsigned size) {
  std::byte bytes[8];
  std::span<std::byte> out(bytes, std::clamp(size, 1u, 8u));
  if (Result<void> read = ReadExact(address, out); !read) return read.error();
  return LoadLittle(out, 0, static_cast<unsigned>(out.size()));
}

Result<void> Session::Write(std::uint64_t address, std::span<const std::byte> data) {
  if (!halted()) return NotHalted(target_);
  address = Plain(address);
  Result<std::size_t> written = target_.Write(space_, address, data);
  if (!written) return written.error();
  if (*written < data.size()) {
    return Error{Errc::kUnreadable, "Unable to write memory at " + Address(address + *written),
                 address + *written};
  }
  return {};
}

// ---- names and modules
// ---------------------------------------------------------------------------------------------

Result<std::uint64_t> Session::Evaluate(std::string_view text) { return EvaluateMasmAll(text, Evaluation()); }

std::string Session::NameOf(std::uint64_t address) {
  address = Plain(address);
  // Without a module list there are no names; the address alone is still an answer.
  (void)RefreshModules(false);
  if (Module* module = modules().FindByAddress(address)) PrepareImages(std::span(&module, 1));
  return symbols_->NameOf(address);
}

Result<void> Session::RefreshModules(bool force) {
  if (!halted()) return modules().size() > 0 && !force ? Result<void>() : Result<void>(NotHalted(target_));
  std::uint64_t counter = target_.stop()->module_counter;
  if (!force && counter == known_module_counter_) return {};
  const auto& description = target_.description();
  if (!description) return NotHalted(target_);
  ModuleListAddresses addresses;
  addresses.loaded_list = description->loaded_module_list;
  if (addresses.loaded_list == 0) addresses.loaded_list = DebuggerData(0x48).value_or(0);
  addresses.kernel_base = description->kernel_base;
  addresses.unloaded_array_variable = DebuggerData(0x220).value_or(0);
  Result<TargetModules> read = description->modules.empty()
                                   ? ReadTargetModules(target_, addresses, pointer_size())
                                   : NamedModules(*description);
  if (!read) {
    if (read.error().code == Errc::kCancelled) return read.error();
    // Asked again at the next stop, not at every name of this one.
    known_module_counter_ = counter;
    Note("WARNING: the module list cannot be read: " + read.error().message + "\n");
    return read.error();
  }
  if (!read->warning.empty()) Note("WARNING: " + read->warning + "\n");
  modules().Replace(std::move(read->loaded));
  modules().SetUnloaded(std::move(read->unloaded));
  known_module_counter_ = counter;
  return {};
}

std::vector<ImageRange> Session::Unidentified(std::span<Module* const> images) {
  bool files_expected = !symbols_->loader().image_path().elements().empty();
  std::vector<ImageRange> ranges;
  for (Module* module : images) {
    if (module->state() != SymbolState::kDeferred || module->headers() || module->image()) continue;
    // With an image path the file is looked for first; one found there costs the target nothing.
    if (files_expected && symbols_->loader().Headers(*module) && module->image()) continue;
    ranges.push_back({module->base(), module->size()});
  }
  return ranges;
}

void Session::PrepareImages(std::span<Module* const> images) {
  if (!halted()) return;
  std::vector<ImageRange> ranges = Unidentified(images);
  if (!ranges.empty()) ReadImageIdentities(target_, ranges);
}

void Session::PrepareStructure(std::span<Module* const> images, std::uint64_t address) {
  if (!halted()) return;
  const std::vector<ImageRange> ranges = Unidentified(images);
  if (ranges.empty() && target_.Knows(address_space(), address, pointer_size())) return;
  ReadStructure(target_, address_space(), address, pointer_size(), ranges);
}

void Session::PrepareStructure(std::uint64_t address, std::uint64_t size,
                               std::span<const StringPlace> strings) {
  if (!halted() || target_.Knows(address_space(), address, size)) return;
  ReadKnownStructure(target_, address_space(), address, size, pointer_size(), strings);
}

}  // namespace longwire

#include "proto/rpc/convert.h"

namespace longwire::rpc {
namespace {

constexpr int kMaximumExceptionParameters = 15;
constexpr int kBugcheckParameters = 4;

void ToWire(const ExceptionRecord& from, pb::ExceptionRecord* to) {
  to->set_code(from.code);
  to->set_flags(from.flags);
  to->set_record(from.record);
  to->set_address(from.address);
  to->mutable_parameters()->Add(from.parameters.begin(), from.parameters.end());
  to->set_first_chance(from.first_chance);
}

template <class Small>
bool Narrow(std::uint32_t value, Small* to) {
  *to = static_cast<Small>(value);
  return *to == value;
}

Result<ExceptionRecord> FromWire(const pb::ExceptionRecord& from) {
  if (from.parameters_size() > kMaximumExceptionParameters) return Malformed("exception.parameters");
  return ExceptionRecord{
      from.code(),        from.flags(), from.record(), from.address(), ToNumbers(from.parameters()),
      from.first_chance()};
}

Result<Bugcheck> FromWire(const pb::Bugcheck& from) {
  if (from.parameters_size() != kBugcheckParameters) return Malformed("bugcheck.parameters");
  Bugcheck to{from.code()};
  for (int i = 0; i < kBugcheckParameters; ++i)
    to.parameters[static_cast<std::size_t>(i)] = from.parameters(i);
  return to;
}

}  // namespace

void ToWire(const AddressSpace& from, pb::AddressSpace* to) {
  to->set_kind(static_cast<pb::AddressSpace::Kind>(static_cast<int>(from.kind) + 1));
  to->set_directory_base(from.directory_base);
}

Result<AddressSpace> FromWire(const pb::AddressSpace& from) {
  // Absent means virtual, and an absent message reads as all defaults.
  if (from.kind() == pb::AddressSpace::KIND_UNSPECIFIED) return AddressSpace{};
  const auto kind = EnumFromWire(from.kind(), AddressSpace::Kind::kPageTable, "space.kind", 1);
  if (!kind) return kind.error();
  const bool paged = *kind == AddressSpace::Kind::kPageTable;
  if (!paged && from.directory_base() != 0) return Malformed("space.directory_base");
  return AddressSpace{*kind, from.directory_base()};
}

Result<TargetState> FromWire(pb::TargetState from) {
  return EnumFromWire(from, TargetState::kHalted, "state");
}

void ToWire(const std::vector<NamedModule>& from, google::protobuf::RepeatedPtrField<pb::NamedModule>* to) {
  for (const NamedModule& module : from) {
    pb::NamedModule* added = to->Add();
    added->set_name(module.name);
    added->set_base(module.base);
    added->set_size(module.size);
    added->set_checksum(module.checksum);
    added->set_timestamp(module.timestamp);
  }
}

std::vector<NamedModule> FromWire(const google::protobuf::RepeatedPtrField<pb::NamedModule>& from) {
  constexpr int kMaxNamedModules = 65536;
  std::vector<NamedModule> to;
  for (const pb::NamedModule& module : from) {
    if (to.size() == kMaxNamedModules) break;
    to.push_back({module.name(), module.base(), module.size(), module.checksum(), module.timestamp()});
  }
  return to;
}

void ToWire(const UserProcess& from, pb::UserProcess* to) {
  to->set_id(from.id);
  to->set_system_major(from.system_major);
  to->set_system_minor(from.system_minor);
  to->set_service_pack(from.service_pack);
  for (const UserThread& thread : from.threads) {
    pb::UserThread* added = to->add_threads();
    added->set_id(thread.id);
    added->set_suspend_count(thread.suspend_count);
    added->set_teb(thread.teb);
  }
}

UserProcess FromWire(const pb::UserProcess& from) {
  constexpr int kMaxUserThreads = 4096;
  UserProcess to{from.id(), from.system_major(), from.system_minor(), from.service_pack(), {}};
  for (const pb::UserThread& thread : from.threads()) {
    if (to.threads.size() == kMaxUserThreads) break;
    to.threads.push_back({thread.id(), thread.suspend_count(), thread.teb()});
  }
  return to;
}

void ToWire(const TargetDescription& from, pb::TargetDescription* to) {
  to->set_major_version(from.major_version);
  to->set_minor_version(from.minor_version);
  to->set_protocol_version(from.protocol_version);
  to->set_secondary_version(from.secondary_version);
  to->set_flags(from.flags);
  to->set_machine(from.machine);
  to->set_kernel_base(from.kernel_base);
  to->set_loaded_module_list(from.loaded_module_list);
  to->set_debugger_data_list(from.debugger_data_list);
  to->set_debugger_data_address(from.debugger_data_address);
  to->set_debugger_data(from.debugger_data.data(), from.debugger_data.size());
  to->set_processors(from.processors);
  ToWire(from.modules, to->mutable_modules());
  ToWire(from.unloaded_modules, to->mutable_unloaded_modules());
  if (from.process) ToWire(*from.process, to->mutable_process());
}

Result<TargetDescription> FromWire(const pb::TargetDescription& from) {
  TargetDescription to;
  const bool fits = Narrow(from.major_version(), &to.major_version) &&
                    Narrow(from.minor_version(), &to.minor_version) &&
                    Narrow(from.protocol_version(), &to.protocol_version) &&
                    Narrow(from.secondary_version(), &to.secondary_version) &&
                    Narrow(from.flags(), &to.flags) && Narrow(from.machine(), &to.machine);
  if (!fits) return Malformed("description");
  to.kernel_base = from.kernel_base();
  to.loaded_module_list = from.loaded_module_list();
  to.debugger_data_list = from.debugger_data_list();
  to.debugger_data_address = from.debugger_data_address();
  to.debugger_data = ToBytes(from.debugger_data());
  to.processors = from.processors();
  to.modules = FromWire(from.modules());
  to.unloaded_modules = FromWire(from.unloaded_modules());
  if (from.has_process()) to.process = FromWire(from.process());
  return to;
}

void ToWire(const ModuleChange& from, pb::ModuleChange* to) {
  to->set_unload(from.unload);
  to->set_path(from.path);
  to->set_base(from.base);
  to->set_process_id(from.process_id);
  to->set_checksum(from.checksum);
  to->set_size(from.size);
  to->set_all(from.all);
}

ModuleChange FromWire(const pb::ModuleChange& from) {
  return {from.unload(),   from.path(), from.base(), from.process_id(),
          from.checksum(), from.size(), from.all()};
}

void ToWire(const StopEvent& from, pb::StopEvent* to) {
  to->set_reason(static_cast<pb::StopEvent::Reason>(from.reason));
  to->set_stop_counter(from.stop_counter);
  to->set_driver_epoch(from.driver_epoch);
  to->set_processor(from.processor);
  to->set_processors(from.processors);
  to->set_thread(from.thread);
  to->set_program_counter(from.program_counter);
  ToWire(from.exception, to->mutable_exception());
  if (from.module) ToWire(*from.module, to->mutable_module());
  to->set_command(from.command);
  to->mutable_breakpoints()->Add(from.breakpoints.begin(), from.breakpoints.end());
  to->set_break_in(from.break_in);
  to->set_restarted(from.restarted);
  if (from.bugcheck) {
    to->mutable_bugcheck()->set_code(from.bugcheck->code);
    for (const std::uint64_t parameter : from.bugcheck->parameters)
      to->mutable_bugcheck()->add_parameters(parameter);
  }
  to->set_dr6(from.dr6);
  to->set_dr7(from.dr7);
  to->set_module_counter(from.module_counter);
  to->set_context(from.context.data(), from.context.size());
  for (const MemoryChunk& chunk : from.memory) {
    pb::MemoryChunk* wire = to->add_memory();
    wire->set_address(chunk.address);
    wire->set_bytes(chunk.bytes.data(), chunk.bytes.size());
  }
}

Result<StopEvent> FromWire(const pb::StopEvent& from) {
  const auto reason = EnumFromWire(from.reason(), StopEvent::Reason::kCommandString, "stop.reason");
  if (!reason) return reason.error();
  StopEvent to;
  to.reason = *reason;
  to.stop_counter = from.stop_counter();
  to.driver_epoch = from.driver_epoch();
  to.processor = from.processor();
  to.processors = from.processors();
  to.thread = from.thread();
  to.program_counter = from.program_counter();
  auto exception = FromWire(from.exception());
  if (!exception) return exception.error();
  to.exception = std::move(*exception);
  if (from.has_module()) to.module = FromWire(from.module());
  to.command = from.command();
  to.breakpoints = ToNumbers(from.breakpoints());
  to.break_in = from.break_in();
  to.restarted = from.restarted();
  if (from.has_bugcheck()) {
    const auto bugcheck = FromWire(from.bugcheck());
    if (!bugcheck) return bugcheck.error();
    to.bugcheck = *bugcheck;
  }
  to.dr6 = from.dr6();
  to.dr7 = from.dr7();
  to.module_counter = from.module_counter();
  to.context = ToBytes(from.context());
  to.memory.reserve(static_cast<std::size_t>(from.memory_size()));
  for (const pb::MemoryChunk& chunk : from.memory())
    to.memory.push_back({chunk.address(), ToBytes(chunk.bytes())});
  return to;
}

}  // namespace longwire::rpc

#include "server/dump/process_space.h"

#include <utility>

namespace longwire {

ProcessSpace::ProcessSpace(dump::Minidump dump)
    : dump_(std::move(dump)),
      kind_(dump_.full_memory() ? "user minidump with full memory" : "user minidump") {
  for (std::uint32_t i = 0; dump_.exception() && i < count(); ++i) {
    if (dump_.threads()[i].id == dump_.exception()->thread_id) crashed_ = i;
  }
}

rpc::TargetDescription ProcessSpace::Describe() const {
  constexpr std::uint16_t kFreeBuild = 0xF;
  const dump::Minidump::System& system = dump_.system();
  rpc::TargetDescription description;
  description.major_version = kFreeBuild;
  description.minor_version = static_cast<std::uint16_t>(system.build);
  description.machine = static_cast<std::uint16_t>(dump_.machine());
  description.processors = system.processors;
  description.modules = Named(dump_.modules());
  description.unloaded_modules = Named(dump_.unloaded());
  rpc::UserProcess process;
  process.id = dump_.process_id();
  process.system_major = system.major;
  process.system_minor = system.minor;
  process.service_pack = system.service_pack;
  for (const dump::Minidump::Thread& thread : dump_.threads())
    process.threads.push_back({thread.id, thread.suspend_count, thread.teb});
  description.process = std::move(process);
  return description;
}

rpc::StopEvent ProcessSpace::Stop(std::uint32_t thread) const {
  rpc::StopEvent event;
  event.thread = dump_.threads()[thread].teb;
  if (const auto& exception = dump_.exception())
    event.exception = {exception->code,    exception->flags,      exception->record,
                       exception->address, exception->parameters, false};
  return event;
}

kd::Bytes ProcessSpace::Context(std::uint32_t thread) const {
  return thread < count() ? dump_.threads()[thread].context : kd::Bytes();
}

}  // namespace longwire

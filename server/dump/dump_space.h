#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/dump/triage.h"
#include "proto/kd/translation.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// What a dump holds, as a target that is halted for ever shows it. Registers belong to processors in a
/// kernel dump, and to threads, numbered as the dump lists them, in a user minidump. Reads nothing but what
/// is asked for.
class DumpSpace {
 public:
  virtual ~DumpSpace() = default;

  virtual kd::Machine machine() const = 0;
  /// For a person: "triage dump", "full dump", "user minidump"...
  virtual const std::string& kind() const = 0;
  virtual const std::vector<std::string>& warnings() const = 0;
  virtual rpc::TargetDescription Describe() const = 0;

  /// Where it crashed: processor or thread.
  virtual std::uint32_t crashed() const = 0;
  virtual std::uint32_t count() const = 0;  ///< of processors or threads
  /// The stop of the crash: exception and bug check, thread of `number`; without registers and memory.
  virtual rpc::StopEvent Stop(std::uint32_t number) const = 0;
  /// CONTEXT of a processor or thread; empty if not saved.
  virtual kd::Bytes Context(std::uint32_t number) const = 0;
  /// Control space as kd-protocol.md 3.5; empty for what the dump does not have.
  virtual kd::Bytes ControlSpace(std::uint32_t number, std::uint64_t selector) const = 0;

  /// The readable prefix of a range; in the address space of the crash for virtual addresses.
  virtual std::size_t ReadVirtual(std::uint64_t address, std::span<std::byte> out) const = 0;
  virtual std::size_t ReadPhysical(std::uint64_t address, std::span<std::byte> out) const = 0;
  /// nullopt: there are no page tables to translate through.
  virtual std::optional<kd::PagingMode> paging() const = 0;
};

std::vector<rpc::NamedModule> Named(const std::vector<dump::DumpModule>& modules);

}  // namespace longwire

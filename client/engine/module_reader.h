#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/symbols/module.h"
#include "client/target/target.h"
#include "proto/error.h"
#include "proto/plan/plan_builder.h"

namespace longwire {

/// The loaded-module list and the unloaded-driver list of a target.
struct TargetModules {
  std::vector<ModuleRecord> loaded, unloaded;
  std::string warning;  ///< why `loaded` may be incomplete, else empty
};

/// Where the lists are; 0: not known.
struct ModuleListAddresses {
  std::uint64_t loaded_list = 0, kernel_base = 0;
  std::uint64_t unloaded_array_variable = 0;  ///< MmUnloadedDrivers
};

/// Reads both lists with one plan (kd-protocol.md 5.4): at most 4096 entries; a cycle or an unreadable link
/// ends the list with a warning.
Result<TargetModules> ReadTargetModules(Target& target, const ModuleListAddresses& addresses,
                                        unsigned pointer_size);

/// The lists of a target that named its modules itself (a triage dump). The kernel is the module at its base.
TargetModules NamedModules(const rpc::TargetDescription& description);

/// Little-endian value of `size` (1..8) bytes; 0 if they are not there.
std::uint64_t LoadLittle(std::span<const std::byte> bytes, std::size_t offset, unsigned size);

}  // namespace longwire

#pragma once

#include <string>
#include <vector>

#include "client/engine/machine.h"

namespace longwire {

/// The lines of the `r` command before the current instruction (engine.md 3.4): integer registers, flag words
/// and segments. A register that the record does not hold prints as zero, as after `.trap`.
std::vector<std::string> FormatRegisterBlock(const RegisterSet& registers);

/// "nv up ei pl zr na pe nc" of an x86 or x64 flags register.
std::string FormatFlagWords(std::uint64_t flags);

}  // namespace longwire

#pragma once

#include <cstddef>
#include <cstdint>

#include "client/symbols/pdb_container.h"
#include "client/symbols/symbol_file.h"
#include "proto/error.h"

namespace longwire {

/// Source line of an RVA from one compiland's C13 line information. kNotFound.
Result<SourceLine> FindPdbLine(const PdbContainer& container, std::size_t module, std::uint32_t rva);

/// Reads all of a compiland's line information; returns the number of lines. For the checker program.
std::size_t CountPdbLines(const PdbContainer& container, std::size_t module);

}  // namespace longwire

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/symbols/pdb_container.h"
#include "client/symbols/pdb_types.h"
#include "client/symbols/symbol_file.h"

namespace longwire {

/// Locals and parameters in scope at `rva`, from the procedure record at `procedure` in a compiland's
/// symbols: its blocks that hold the RVA, no inlined functions. Innermost scope first.
std::vector<LocalVariable> ReadPdbLocals(const PdbContainer& container, PdbTypes& types, std::size_t module,
                                         std::uint32_t procedure, std::uint32_t rva);

/// Debugger name of a CodeView register number; empty if unknown.
std::string CodeViewRegisterName(std::uint16_t machine, std::uint16_t number);

}  // namespace longwire

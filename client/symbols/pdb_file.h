#pragma once

#include <memory>
#include <string>

#include "client/symbols/symbol_file.h"
#include "proto/error.h"

namespace longwire {

/// Opens a PDB in this process, without the check by a second process that OpenPdb() begins with.
Result<std::unique_ptr<SymbolFile>> OpenPdbInProcess(const std::string& path);

/// Walks everything a reader can be asked: types, symbols, lines, locals. An error if the file cannot be
/// opened. What this survives in the checker program may be loaded here.
Result<void> ReadWholePdb(const std::string& path);

}  // namespace longwire

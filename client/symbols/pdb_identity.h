#pragma once

#include <string>

#include "client/symbols/symbol_file.h"
#include "proto/error.h"

namespace longwire {

/// GUID and age (the debug-information stream's, as images record it) of a PDB file, by reading a few blocks
/// of it. The file is untrusted: all sizes are checked, nothing is mapped. kMalformed, kNotFound, kIo.
Result<PdbIdentity> ReadPdbFileIdentity(const std::string& path);

}  // namespace longwire

#pragma once

#include <memory>
#include <vector>

#include "client/symbols/pe_image.h"
#include "client/symbols/symbol_file.h"

namespace longwire {

/// An image's export table as a symbol file: names and addresses, no types, lines or locals.
std::unique_ptr<SymbolFile> MakeExportSymbols(std::vector<PeExport> exports, PdbIdentity identity);

}  // namespace longwire

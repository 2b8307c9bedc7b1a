#pragma once

#include <memory>
#include <string>

#include "proto/error.h"
#include "server/dump/dump_space.h"

namespace longwire {

/// Opens the file of a kernel dump or a user minidump and reads its header and lists. Errors name the file.
Result<std::unique_ptr<DumpSpace>> OpenDump(const std::string& path);

}  // namespace longwire

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/symbols/symbol_path.h"

namespace longwire {

/// Last part of a path of either kind of slash, if it may be used as a file name here: not empty, `.` or
/// `..`, no control characters (engine.md 7.1). nullopt otherwise.
std::optional<std::string> SafeFileName(std::string_view path);

/// `directory/name` whatever the case of the last part on disk; nullopt if there is none.
std::optional<std::string> FindIgnoringCase(const std::string& directory, const std::string& name);

/// Store element as a directory of this machine: "" is the default store, `\\server\share` goes through
/// _DBG_UNC_MAP
/// ("\\srv\share=/mnt/x;..."). nullopt for web stores and unmapped shares.
std::optional<std::string> StoreDirectory(const std::string& store);

/// The file of one store directory (engine.md 7.2), not verified: NAME/KEY/NAME, two-tier with index2.txt,
/// file.ptr.
std::optional<std::string> LookUpInStore(const std::string& root, const std::string& name,
                                         const std::string& key, const SearchTrace& trace);

/// Copies a file into a store under its key: temporary name, then rename. nullopt if the store cannot be
/// written.
std::optional<std::string> CopyIntoStore(const std::string& root, const std::string& name,
                                         const std::string& key, const std::string& from);

}  // namespace longwire

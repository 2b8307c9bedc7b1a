#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"

namespace longwire {

/// One `key[=value]` of a connection string. Positions count characters from 1, for messages.
struct ConnectionParameter {
  std::string key;                   ///< lower case
  std::optional<std::string> value;  ///< nullopt: a bare key
  bool nested = false;               ///< written @{...}: `value` is the body, nothing in it trimmed
  std::size_t position = 0;
};

/// `name:key=value,key,key=@{...}` cut into its parts (remote-debugging.md 2.2, 2.3). Knows no key and no
/// protocol.
struct ConnectionString {
  std::string name;  ///< lower case
  std::vector<ConnectionParameter> parameters;

  const ConnectionParameter* Find(std::string_view key) const;
};

/// Longest text the parsers look at; a longer one is refused.
inline constexpr std::size_t kMaxConnectionString = 8192;

/// Errors are kUsage and name key and position, never a value: a value may be a password.
Result<ConnectionString> ParseConnectionString(std::string_view text);

/// Writes `value` so that it is read back the same: plain where possible, else @{...}.
std::string QuoteValue(std::string_view value);
/// `'text'` for a POSIX shell.
std::string ShellQuote(std::string_view text);

std::string LowerCase(std::string_view text);
std::string_view TrimBlanks(std::string_view text);
/// An unsigned decimal number of digits only; nullopt if it is anything else or above `limit`.
std::optional<std::uint64_t> ParseDecimal(std::string_view text, std::uint64_t limit);
/// `\\HOST`, `\HOST` and `//HOST` without what leads (2.2 rule 8).
std::string_view StripHostSlashes(std::string_view host);

/// A host name or address without such slashes and without the brackets of an IPv6 address; nullopt if `text`
/// is neither: what is printed, logged and handed to ssh as a host holds only characters of names and
/// addresses, and no leading '-'.
std::optional<std::string> ReadHostName(std::string_view text);

}  // namespace longwire

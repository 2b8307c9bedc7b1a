#pragma once

#include <string_view>

namespace longwire {

/// Whole-string match without case of a debugger pattern (engine.md 2.9): `*`, `?`, `[a-c]`, `#` (zero or
/// more of the preceding), `+` (one or more of the preceding), `\` escapes. Takes time proportional to both
/// lengths.
bool MatchesWildcard(std::string_view pattern, std::string_view text);

}  // namespace longwire

#pragma once

#include <functional>
#include <optional>
#include <string>

namespace longwire {

/// Looks a variable up; the default reads the process environment. A missing variable gives nullopt.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
Environment ProcessEnvironment();

}  // namespace longwire

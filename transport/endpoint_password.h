#pragma once

#include <string>
#include <string_view>

#include "proto/error.h"
#include "transport/endpoint_environment.h"
#include "transport/secret.h"

namespace longwire {

struct ResolvedPassword {
  Secret secret;  ///< empty: `*` was given, ask for it
  std::string warning;
};

/// The value of `password=` (remote-debugging.md 2.10): a literal, `env:VAR`, `file:PATH` (first line) or
/// `*`. Errors never hold the password.
Result<ResolvedPassword> ResolvePassword(std::string_view value, const Environment& environment);

}  // namespace longwire

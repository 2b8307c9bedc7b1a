#pragma once

#include "client/commands/command.h"

namespace longwire {

/// `??` for the forms whose type is plain: a variable, `*(mod!Type*)ADDRESS` and `(mod!Type*)ADDRESS`,
/// `&variable`, `@register` and `@$t0`, a number, `sizeof(mod!Type)`. Anything else is refused with
/// kUnsupported. C++ numbers (engine.md 2.2).
Result<CommandFlow> EvaluateTyped(Session& session, Arguments& arguments, Report& report);

}  // namespace longwire

#include "server/target/plan_runner.h"

#include <array>

namespace longwire {

Task<Result<plan::Output>> RunReadPlan(const plan::Plan& plan, plan::Limits limits, TargetMemory& memory,
                                       const WorkLimit& limit) {
  using Kind = plan::Interpreter::Action::Kind;
  plan::Interpreter interpreter(plan, limits);
  std::array<std::byte, 8> small;
  kd::Bytes bytes;
  for (;;) {
    const plan::Interpreter::Action action = interpreter.Next();
    if (action.kind == Kind::kDone) break;
    if (limit.Over(memory.now())) {
      interpreter.Stop(limit.cancelled ? plan::Ending::kCancelled : plan::Ending::kTimeLimit);
      break;
    }
    if (action.kind == Kind::kSearch) {
      auto found = co_await memory.Search(action.space, action.address, action.length, action.pattern, limit);
      if (!found) co_return found.error();
      if (!*found && limit.Over(memory.now())) {
        interpreter.Stop(limit.cancelled ? plan::Ending::kCancelled : plan::Ending::kTimeLimit);
        break;
      }
      interpreter.SupplySearch(found->has_value(), found->value_or(0));
      continue;
    }
    if (action.length <= small.size() &&
        memory.ReadKnown(action.space, action.address, std::span(small).first(action.length))) {
      interpreter.SupplyMemory(std::span(small).first(action.length));
      continue;
    }
    bytes.clear();
    Result<void> read = co_await memory.Read(action.space, action.address, action.length, false, bytes);
    if (!read) co_return read.error();
    interpreter.SupplyMemory(bytes);
  }
  co_return interpreter.TakeOutput();
}

}  // namespace longwire

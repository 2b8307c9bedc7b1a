// Read plans of a hostile peer: whatever Validate accepts must run within its limits on any memory.
#include <cstdlib>
#include <cstring>

#include "proto/plan/plan.h"

using namespace longwire::plan;

namespace {

constexpr std::size_t kEncoded = 14;

Plan Decode(const std::uint8_t* data, std::size_t size) {
  Plan plan;
  if (size == 0) return plan;
  const std::size_t patterns = data[0] % 4;
  std::size_t at = 1;
  for (std::size_t i = 0; i < patterns && at < size; ++i) {
    const std::size_t length = std::min<std::size_t>(data[at] % 8, size - at);
    plan.patterns.emplace_back(length, std::byte{data[at]});
    ++at;
  }
  for (; at + kEncoded <= size; at += kEncoded) {
    Instruction in;
    in.op = static_cast<Op>(data[at] % (kLastOp + 2));
    in.a = data[at + 1] % 17;
    in.b = data[at + 2] % 17;
    in.c = data[at + 3] % 17;
    in.size = data[at + 4];
    in.target = data[at + 5];
    std::memcpy(&in.immediate, data + at + 6, sizeof in.immediate);
    plan.program.push_back(in);
  }
  return plan;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Plan plan = Decode(data, size);
  if (!Validate(plan)) return 0;
  const Limits limits{.operations = 2000, .bytes = 1u << 16, .searched_bytes = 1u << 16, .records = 64};
  Interpreter interpreter(plan, limits);
  std::uint64_t asked = 0, searched = 0;
  static const std::vector<std::byte> memory(1u << 16, std::byte{0x41});
  for (std::uint64_t actions = 0;; ++actions) {
    if (actions > limits.operations) std::abort();
    const auto action = interpreter.Next();
    if (action.kind == Interpreter::Action::Kind::kDone) break;
    if (action.kind == Interpreter::Action::Kind::kRead) {
      asked += action.length;
      if (asked > limits.bytes) std::abort();
      // Some memory is short, so that failing loads and cut records occur.
      interpreter.SupplyMemory(
          std::span(memory).first(action.address % 3 == 0 ? action.length / 2 : action.length));
    } else {
      searched += action.length;
      if (searched > limits.searched_bytes || action.pattern.empty()) std::abort();
      interpreter.SupplySearch(action.address % 2 == 0, action.address + 1);
    }
  }
  const Output output = interpreter.TakeOutput();
  if (output.records.size() > limits.records || output.data.size() > limits.bytes) std::abort();
  std::uint64_t total = 0;
  for (const Record& record : output.records) total += record.data_size;
  if (total != output.data.size()) std::abort();
  return 0;
}

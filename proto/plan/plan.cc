#include "proto/plan/plan.h"

#include <algorithm>
#include <string>

namespace longwire::plan {
namespace {

bool UsesTarget(Op op) {
  switch (op) {
    case Op::kLoad:
    case Op::kJump:
    case Op::kJumpEqual:
    case Op::kJumpNotEqual:
    case Op::kJumpBelow:
    case Op::kSearch: return true;
    default: return false;
  }
}

Error Bad(std::size_t index, const char* what) {
  return Error{Errc::kMalformed, "read plan: instruction " + std::to_string(index) + ": " + what};
}

}  // namespace

Result<void> Validate(const Plan& plan) {
  if (plan.program.size() > kMaxInstructions) {
    return Error{Errc::kLimitExceeded,
                 "read plan has more than " + std::to_string(kMaxInstructions) + " instructions"};
  }
  if (plan.patterns.size() > kMaxPatterns)
    return Error{Errc::kLimitExceeded, "read plan has too many patterns"};
  for (const auto& pattern : plan.patterns) {
    if (pattern.empty() || pattern.size() > kMaxPatternBytes) {
      return Error{Errc::kLimitExceeded,
                   "read plan: a pattern must have 1 to " + std::to_string(kMaxPatternBytes) + " bytes"};
    }
  }
  for (std::size_t i = 0; i < plan.program.size(); ++i) {
    const Instruction& in = plan.program[i];
    if (static_cast<std::uint8_t>(in.op) > kLastOp) return Bad(i, "unknown operation");
    if (in.a >= kRegisters || in.b >= kRegisters || in.c >= kRegisters) return Bad(i, "no such register");
    // One past the end is the same as kEnd, which lets a builder jump to "after the last instruction".
    if (UsesTarget(in.op) && in.target > plan.program.size()) return Bad(i, "jump out of the program");
    if (in.op == Op::kLoad && in.size != 1 && in.size != 2 && in.size != 4 && in.size != 8)
      return Bad(i, "load size is 1, 2, 4 or 8");
    if ((in.op == Op::kShiftLeft || in.op == Op::kShiftRight) && in.immediate > 63)
      return Bad(i, "shift above 63");
    if (in.op == Op::kSearch && in.immediate >= plan.patterns.size()) return Bad(i, "no such pattern");
  }
  return {};
}

Interpreter::Interpreter(const Plan& plan, Limits limits) : plan_(plan), limits_(limits) {}

bool Interpreter::CountRead(std::uint64_t length) {
  if (length > limits_.bytes - bytes_) {
    Stop(Ending::kByteLimit);
    return false;
  }
  bytes_ += length;
  return true;
}

Interpreter::Action Interpreter::Next() {
  auto& r = registers_;
  while (!done_) {
    if (next_ >= plan_.program.size()) {
      done_ = true;
      break;
    }
    if (++operations_ > limits_.operations) {
      Stop(Ending::kOperationLimit);
      break;
    }
    const Instruction& in = plan_.program[next_++];
    switch (in.op) {
      case Op::kEnd: done_ = true; break;
      case Op::kConst: r[in.a] = in.immediate; break;
      case Op::kMove: r[in.a] = r[in.b]; break;
      case Op::kAdd: r[in.a] = r[in.b] + r[in.c]; break;
      case Op::kAddImmediate: r[in.a] = r[in.b] + in.immediate; break;
      case Op::kSubtract: r[in.a] = r[in.b] - r[in.c]; break;
      case Op::kMultiply: r[in.a] = r[in.b] * in.immediate; break;
      case Op::kAnd: r[in.a] = r[in.b] & in.immediate; break;
      case Op::kShiftLeft: r[in.a] = r[in.b] << in.immediate; break;
      case Op::kShiftRight: r[in.a] = r[in.b] >> in.immediate; break;
      case Op::kMinimum: r[in.a] = std::min(r[in.b], r[in.c]); break;
      case Op::kJump: next_ = in.target; break;
      case Op::kJumpEqual:
        if (r[in.a] == r[in.b]) next_ = in.target;
        break;
      case Op::kJumpNotEqual:
        if (r[in.a] != r[in.b]) next_ = in.target;
        break;
      case Op::kJumpBelow:
        if (r[in.a] < r[in.b]) next_ = in.target;
        break;
      case Op::kUseVirtual: space_ = AddressSpace::Virtual(); break;
      case Op::kUsePhysical: space_ = AddressSpace::Physical(); break;
      case Op::kUsePageTable: space_ = AddressSpace::PageTable(r[in.a]); break;
      case Op::kLoad:
        if (!CountRead(in.size)) break;
        return pending_ = {Action::Kind::kRead, space_, r[in.b] + in.immediate, in.size, {}};
      case Op::kEmit: {
        if (output_.records.size() >= limits_.records) {
          Stop(Ending::kRecordLimit);
          break;
        }
        const std::uint64_t length = std::min(r[in.c], kMaxEmitBytes);
        if (!CountRead(length)) break;
        return pending_ = {Action::Kind::kRead, space_, r[in.b] + in.immediate, length, {}};
      }
      case Op::kEmitRegister:
        if (output_.records.size() >= limits_.records) {
          Stop(Ending::kRecordLimit);
          break;
        }
        output_.records.push_back({in.size, space_, 0, r[in.b], 0});
        break;
      case Op::kSearch: {
        const std::uint64_t length = r[in.c];
        if (length > limits_.searched_bytes - searched_) {
          Stop(Ending::kByteLimit);
          break;
        }
        searched_ += length;
        return pending_ = {Action::Kind::kSearch, space_, r[in.b], length, plan_.patterns[in.immediate]};
      }
    }
  }
  return {};
}

void Interpreter::SupplyMemory(std::span<const std::byte> prefix) {
  if (done_) return;
  const Instruction& in = plan_.program[next_ - 1];
  prefix = prefix.first(std::min<std::size_t>(prefix.size(), pending_.length));
  if (in.op == Op::kLoad) {
    if (prefix.size() < in.size) {
      next_ = in.target;
      return;
    }
    std::uint64_t value = 0;
    for (std::size_t i = in.size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(prefix[i]);
    registers_[in.a] = value;
    return;
  }
  output_.records.push_back({in.size, pending_.space, pending_.address, pending_.length, prefix.size()});
  output_.data.insert(output_.data.end(), prefix.begin(), prefix.end());
  registers_[in.a] = prefix.size();
}

void Interpreter::SupplySearch(bool found, std::uint64_t address) {
  if (done_) return;
  const Instruction& in = plan_.program[next_ - 1];
  if (found) {
    registers_[in.a] = address;
  } else {
    next_ = in.target;
  }
}

void Interpreter::Stop(Ending why) {
  done_ = true;
  output_.ending = why;
}

Output Interpreter::TakeOutput() { return std::move(output_); }

}  // namespace longwire::plan

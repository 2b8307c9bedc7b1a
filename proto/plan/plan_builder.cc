#include "proto/plan/plan_builder.h"

#include <cassert>
#include <utility>

namespace longwire::plan {
namespace {

constexpr Reg kScratch{15};
constexpr std::uint32_t kUnbound = ~0u;

}  // namespace

Reg PlanBuilder::Allocate() {
  assert(allocated_ < kScratch.number && "plan uses more than 15 registers");
  return Reg{allocated_++};
}

void PlanBuilder::Release(Reg reg) {
  assert(reg.number + 1 == allocated_ && "registers are released in reverse order");
  allocated_ = reg.number;
}

Reg PlanBuilder::Constant(std::uint64_t value) {
  Reg reg = Allocate();
  Const(reg, value);
  return reg;
}

PlanBuilder::Label PlanBuilder::NewLabel() {
  labels_.push_back(kUnbound);
  return Label{static_cast<std::uint32_t>(labels_.size() - 1)};
}

void PlanBuilder::Bind(Label label) { labels_[label.id] = static_cast<std::uint32_t>(plan_.program.size()); }

Instruction& PlanBuilder::Append(Op op) {
  plan_.program.push_back({});
  plan_.program.back().op = op;
  return plan_.program.back();
}

void PlanBuilder::Branch(Op op, Reg a, Reg b, Label to) {
  uses_.emplace_back(plan_.program.size(), to.id);
  Instruction& in = Append(op);
  in.a = a.number;
  in.b = b.number;
}

void PlanBuilder::Const(Reg a, std::uint64_t value) {
  Instruction& in = Append(Op::kConst);
  in.a = a.number;
  in.immediate = value;
}

void PlanBuilder::Move(Reg a, Reg b) {
  Instruction& in = Append(Op::kMove);
  in.a = a.number;
  in.b = b.number;
}

void PlanBuilder::Add(Reg a, Reg b, Reg c) {
  Instruction& in = Append(Op::kAdd);
  in.a = a.number;
  in.b = b.number;
  in.c = c.number;
}

void PlanBuilder::AddImmediate(Reg a, Reg b, std::uint64_t value) {
  Instruction& in = Append(Op::kAddImmediate);
  in.a = a.number;
  in.b = b.number;
  in.immediate = value;
}

void PlanBuilder::Subtract(Reg a, Reg b, Reg c) {
  Instruction& in = Append(Op::kSubtract);
  in.a = a.number;
  in.b = b.number;
  in.c = c.number;
}

void PlanBuilder::Multiply(Reg a, Reg b, std::uint64_t value) {
  Instruction& in = Append(Op::kMultiply);
  in.a = a.number;
  in.b = b.number;
  in.immediate = value;
}

void PlanBuilder::And(Reg a, Reg b, std::uint64_t mask) {
  Instruction& in = Append(Op::kAnd);
  in.a = a.number;
  in.b = b.number;
  in.immediate = mask;
}

void PlanBuilder::ShiftLeft(Reg a, Reg b, unsigned bits) {
  Instruction& in = Append(Op::kShiftLeft);
  in.a = a.number;
  in.b = b.number;
  in.immediate = bits;
}

void PlanBuilder::ShiftRight(Reg a, Reg b, unsigned bits) {
  Instruction& in = Append(Op::kShiftRight);
  in.a = a.number;
  in.b = b.number;
  in.immediate = bits;
}

void PlanBuilder::Minimum(Reg a, Reg b, Reg c) {
  Instruction& in = Append(Op::kMinimum);
  in.a = a.number;
  in.b = b.number;
  in.c = c.number;
}

void PlanBuilder::Load(Reg a, unsigned size, Reg base, std::uint64_t offset, Label unreadable) {
  Branch(Op::kLoad, a, base, unreadable);
  plan_.program.back().size = size;
  plan_.program.back().immediate = offset;
}

void PlanBuilder::Emit(std::uint32_t tag, Reg base, std::uint64_t offset, Reg length) {
  Instruction& in = Append(Op::kEmit);
  in.a = kScratch.number;
  in.b = base.number;
  in.c = length.number;
  in.size = tag;
  in.immediate = offset;
}

void PlanBuilder::EmitFixed(std::uint32_t tag, Reg base, std::uint64_t offset, std::uint64_t length) {
  Const(kScratch, length);
  Emit(tag, base, offset, kScratch);
}

void PlanBuilder::EmitRegister(std::uint32_t tag, Reg reg) {
  Instruction& in = Append(Op::kEmitRegister);
  in.b = reg.number;
  in.size = tag;
}

void PlanBuilder::Jump(Label to) { Branch(Op::kJump, Reg{}, Reg{}, to); }
void PlanBuilder::JumpEqual(Reg a, Reg b, Label to) { Branch(Op::kJumpEqual, a, b, to); }
void PlanBuilder::JumpNotEqual(Reg a, Reg b, Label to) { Branch(Op::kJumpNotEqual, a, b, to); }
void PlanBuilder::JumpBelow(Reg a, Reg b, Label to) { Branch(Op::kJumpBelow, a, b, to); }

void PlanBuilder::JumpZero(Reg a, Label to) {
  Const(kScratch, 0);
  JumpEqual(a, kScratch, to);
}

void PlanBuilder::UseVirtual() { Append(Op::kUseVirtual); }
void PlanBuilder::UsePhysical() { Append(Op::kUsePhysical); }
void PlanBuilder::UsePageTable(Reg directory_base) { Append(Op::kUsePageTable).a = directory_base.number; }

void PlanBuilder::Search(Reg found, Reg from, Reg length, std::vector<std::byte> pattern, Label none) {
  Branch(Op::kSearch, found, from, none);
  plan_.program.back().c = length.number;
  plan_.program.back().immediate = plan_.patterns.size();
  plan_.patterns.push_back(std::move(pattern));
}

void PlanBuilder::End() { Append(Op::kEnd); }

void PlanBuilder::SearchSorted(Reg found, Reg base, Reg count, std::uint64_t element_size, Reg key,
                               Label none) {
  // Invariant: element[low - 1].key <= key < element[high].key.
  Reg low = Constant(0);
  Reg high = Allocate();
  Reg middle = Allocate();
  Label loop = NewLabel(), below = NewLabel(), decided = NewLabel();
  Move(high, count);
  Bind(loop);
  JumpEqual(low, high, decided);
  Add(middle, low, high);
  ShiftRight(middle, middle, 1);
  Multiply(found, middle, element_size);
  Add(found, found, base);
  Load(kScratch, 4, found, 0, none);
  JumpBelow(key, kScratch, below);
  AddImmediate(low, middle, 1);
  Jump(loop);
  Bind(below);
  Move(high, middle);
  Jump(loop);
  Bind(decided);
  JumpZero(low, none);
  AddImmediate(low, low, ~std::uint64_t{0});
  Multiply(found, low, element_size);
  Add(found, found, base);
  Release(middle);
  Release(high);
  Release(low);
}

Plan PlanBuilder::Build() {
  for (auto [instruction, label] : uses_) {
    assert(labels_[label] != kUnbound && "label used but never bound");
    plan_.program[instruction].target = labels_[label];
  }
  uses_.clear();
  labels_.clear();
  allocated_ = 0;
  return std::exchange(plan_, {});
}

}  // namespace longwire::plan

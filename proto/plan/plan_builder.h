#pragma once

#include <initializer_list>

#include "proto/plan/plan.h"

namespace longwire::plan {

/// Register of a plan under construction.
struct Reg {
  std::uint8_t number = 0;
  friend bool operator==(Reg, Reg) = default;
};

/// Writes plans: registers by name, labels bound later, and the shapes every debugger needs (list, array,
/// binary search). Register 15 belongs to the builder (scratch); Allocate() hands out 0..14 and asserts when
/// they are used up.
class PlanBuilder {
 public:
  struct Label {
    std::uint32_t id = 0;
  };

  Reg Allocate();
  void Release(Reg reg);  ///< gives the most recently allocated register back
  Reg Constant(std::uint64_t value);

  Label NewLabel();
  void Bind(Label label);  ///< the label names the next instruction

  void Const(Reg a, std::uint64_t value);
  void Move(Reg a, Reg b);
  void Add(Reg a, Reg b, Reg c);
  void AddImmediate(Reg a, Reg b, std::uint64_t value);
  void Subtract(Reg a, Reg b, Reg c);
  void Multiply(Reg a, Reg b, std::uint64_t value);
  void And(Reg a, Reg b, std::uint64_t mask);
  void ShiftLeft(Reg a, Reg b, unsigned bits);
  void ShiftRight(Reg a, Reg b, unsigned bits);
  void Minimum(Reg a, Reg b, Reg c);
  void Load(Reg a, unsigned size, Reg base, std::uint64_t offset, Label unreadable);
  void Emit(std::uint32_t tag, Reg base, std::uint64_t offset, Reg length);
  void EmitFixed(std::uint32_t tag, Reg base, std::uint64_t offset, std::uint64_t length);
  void EmitRegister(std::uint32_t tag, Reg reg);
  void Jump(Label to);
  void JumpEqual(Reg a, Reg b, Label to);
  void JumpNotEqual(Reg a, Reg b, Label to);
  void JumpBelow(Reg a, Reg b, Label to);
  void UseVirtual();
  void UsePhysical();
  void UsePageTable(Reg directory_base);
  void Search(Reg found, Reg from, Reg length, std::vector<std::byte> pattern, Label none);
  void End();

  /// Walks a circular doubly linked list: `head` holds the address of the LIST_ENTRY that is its head;
  /// `body(entry)` is called once to write the code for one element, with the address of the element's
  /// LIST_ENTRY in `entry`, and may `Jump(next)`. Ends at the head, at an unreadable link, at a null link or
  /// after `limit` elements.
  template <class Body>
  void WalkList(Reg head, std::uint64_t limit, unsigned pointer_size, Body body) {
    Reg entry = Allocate();
    Reg left = Constant(limit);
    Label loop = NewLabel(), next = NewLabel(), out = NewLabel();
    Load(entry, pointer_size, head, 0, out);
    Bind(loop);
    JumpEqual(entry, head, out);
    JumpZero(entry, out);
    JumpZero(left, out);
    AddImmediate(left, left, ~std::uint64_t{0});
    body(entry, next);
    Bind(next);
    Load(entry, pointer_size, entry, 0, out);
    Jump(loop);
    Bind(out);
    Release(left);
    Release(entry);
  }

  void JumpZero(Reg a, Label to);

  /// Finds, in a sorted array of `count` fixed-size elements at `base`, the last element whose u32 key at
  /// offset 0 is
  /// <= key, and leaves its address in `found`; jumps to `none` if there is none or memory is unreadable.
  void SearchSorted(Reg found, Reg base, Reg count, std::uint64_t element_size, Reg key, Label none);

  Plan Build();  ///< resolves labels; the builder is empty afterwards

 private:
  Instruction& Append(Op op);
  void Branch(Op op, Reg a, Reg b, Label to);

  Plan plan_;
  std::uint8_t allocated_ = 0;
  std::vector<std::uint32_t> labels_;                        ///< instruction index by label id
  std::vector<std::pair<std::size_t, std::uint32_t>> uses_;  ///< instruction, label id
};

}  // namespace longwire::plan

#include "client/engine/structure_plan.h"

#include <algorithm>

namespace longwire {
namespace {

using plan::PlanBuilder;
using plan::Reg;

constexpr std::uint64_t kMinusOne = ~std::uint64_t{0};
constexpr std::uint64_t kMaxStrings = 64, kMaxStringBytes = 2048, kLowestPointer = 0x10000;
constexpr std::size_t kMaxImages = 16;  // a program has 1024 instructions

enum Tag : std::uint32_t { kStructure = 1, kString = 2 };

void UseSpace(PlanBuilder& b, AddressSpace space) {
  if (space.kind == AddressSpace::Kind::kVirtual) return;
  Reg base = b.Constant(space.directory_base);
  b.UsePageTable(base);
  b.Release(base);
}

/// Length and maximum length, 16 bits each, then the pointer. With 64-bit pointers four bytes lie between,
/// which are zero nearly always: without that test every second pair of pointers would look like a string.
void AppendStrings(PlanBuilder& b, std::uint64_t address, unsigned pointer_size) {
  PlanBuilder::Label loop = b.NewLabel(), next = b.NewLabel(), done = b.NewLabel();
  Reg cursor = b.Constant(address), left = b.Constant(kStructureBytes / pointer_size - 1);
  Reg strings = b.Constant(kMaxStrings), length = b.Allocate(), maximum = b.Allocate(), value = b.Allocate();
  b.Bind(loop);
  b.JumpZero(left, done);
  b.JumpZero(strings, done);
  b.AddImmediate(left, left, kMinusOne);
  b.Load(value, pointer_size, cursor, 0, done);
  b.ShiftRight(maximum, value, 16);
  b.And(length, value, 0xFFFF);
  b.JumpZero(length, next);
  b.JumpBelow(maximum, length, next);
  // What is left of four zero bytes is the maximum length alone.
  b.And(value, maximum, 0xFFFF);
  b.JumpNotEqual(value, maximum, next);
  b.Load(value, pointer_size, cursor, pointer_size, done);
  b.Const(maximum, kLowestPointer);
  b.JumpBelow(value, maximum, next);
  b.AddImmediate(strings, strings, kMinusOne);
  b.Const(maximum, kMaxStringBytes);
  b.Minimum(length, length, maximum);
  b.Emit(kString, value, 0, length);
  b.Bind(next);
  b.AddImmediate(cursor, cursor, pointer_size);
  b.Jump(loop);
  b.Bind(done);
  for (Reg reg : {value, maximum, length, strings, left, cursor}) b.Release(reg);
}

/// The text of one place, if there is a pointer to one.
void AppendString(PlanBuilder& b, Reg base, unsigned pointer_size, const StringPlace& place) {
  PlanBuilder::Label none = b.NewLabel();
  Reg length = b.Constant(kTextCharacters * place.character_size), value = b.Allocate(), limit = b.Allocate();
  if (place.counted) {
    b.Load(length, 2, base, place.offset, none);
    b.JumpZero(length, none);
  }
  b.Load(value, pointer_size, base, place.offset + (place.counted ? pointer_size : 0), none);
  b.Const(limit, kLowestPointer);
  b.JumpBelow(value, limit, none);
  b.Emit(kString, value, 0, length);
  b.Bind(none);
  for (Reg reg : {limit, value, length}) b.Release(reg);
}

}  // namespace

void ReadKnownStructure(Target& target, AddressSpace space, std::uint64_t address, std::uint64_t size,
                        unsigned pointer_size, std::span<const StringPlace> strings) {
  constexpr std::uint64_t kPage = 4096;
  PlanBuilder b;
  UseSpace(b, space);
  Reg base = b.Constant(address);
  // A page that cannot be read does not hide those behind it.
  for (std::uint64_t done = 0; done < std::min(size, kMaxPlannedBytes);) {
    const std::uint64_t part =
        std::min(kPage - (address + done) % kPage, std::min(size, kMaxPlannedBytes) - done);
    b.EmitFixed(kStructure, base, done, part);
    done += part;
  }
  for (const StringPlace& place : strings.first(std::min(strings.size(), kMaxStringPlaces)))
    AppendString(b, base, pointer_size, place);
  b.Release(base);
  b.End();
  (void)target.Run(b.Build());
}

void ReadStructure(Target& target, AddressSpace space, std::uint64_t address, unsigned pointer_size,
                   std::span<const ImageRange> unidentified) {
  PlanBuilder b;
  for (const ImageRange& image : unidentified.first(std::min(unidentified.size(), kMaxImages)))
    AppendImageIdentity(b, image);
  UseSpace(b, space);
  Reg base = b.Constant(address);
  // The loads behind this find their bytes in the server's cache.
  b.EmitFixed(kStructure, base, 0, kStructureBytes);
  b.Release(base);
  AppendStrings(b, address, pointer_size);
  b.End();
  (void)target.Run(b.Build());
}

}  // namespace longwire

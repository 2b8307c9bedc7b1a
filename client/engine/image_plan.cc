#include "client/engine/image_plan.h"

#include <algorithm>

#include "client/engine/module_reader.h"

namespace longwire {
namespace {

using plan::PlanBuilder;
using plan::Reg;

constexpr std::uint64_t kMinusOne = ~std::uint64_t{0};
constexpr std::uint64_t kHeaderBytes = 0x400;
constexpr std::uint64_t kMaxCodeViewBytes = 512;
constexpr std::uint64_t kMaxHitsPerImage = 128;
constexpr std::size_t kImagesPerIdentityPlan = 20,
                      kImagesPerFunctionPlan = 6;  // a program has 1024 instructions

enum Tag : std::uint32_t {
  kHeader = 1,
  kDirectory = 2,
  kCodeView = 3,
  kImage = 4,
  kAsked = 5,
  kFunction = 6,
  kUnwind = 7,
  kCode = 8
};

/// Emits UNWIND_INFO of the RUNTIME_FUNCTION at `function`, following indirect and chained entries
/// (engine.md 8.1). Goes on at `out` when done or unreadable. Changes `function`.
void AppendUnwindData(PlanBuilder& b, Reg base, Reg function, PlanBuilder::Label out) {
  PlanBuilder::Label again = b.NewLabel(), info = b.NewLabel();
  Reg left = b.Constant(8), value = b.Allocate(), length = b.Allocate();
  b.Bind(again);
  b.JumpZero(left, out);
  b.AddImmediate(left, left, kMinusOne);
  b.Load(value, 4, function, 8, out);
  b.And(length, value, 1);
  b.JumpZero(length, info);
  b.AddImmediate(value, value, kMinusOne);
  b.Add(function, base, value);
  b.EmitFixed(kUnwind, function, 0, 12);
  b.Jump(again);
  b.Bind(info);
  b.Add(function, base, value);
  b.Load(length, 1, function, 2, out);
  b.AddImmediate(length, length, 1);
  b.And(length, length, 0xFE);
  b.ShiftLeft(length, length, 1);
  b.AddImmediate(length, length, 4 + 12);
  b.Load(value, 1, function, 0, out);
  b.Emit(kUnwind, function, 0, length);
  b.And(value, value, 0x20);
  b.JumpZero(value, out);
  // What was emitted ends with the chained entry.
  b.Add(function, function, length);
  b.AddImmediate(function, function, static_cast<std::uint64_t>(-12));
  b.Jump(again);
  b.Release(length);
  b.Release(value);
  b.Release(left);
}

void AppendFunctionSearch(PlanBuilder& b, const ImageRange& image, std::uint64_t program_counter,
                          std::uint64_t stack, std::uint64_t words) {
  PlanBuilder::Label loop = b.NewLabel(), test = b.NewLabel(), hit = b.NewLabel(), code = b.NewLabel(),
                     done = b.NewLabel();
  Reg base = b.Constant(image.base), size = b.Constant(image.size), cursor = b.Constant(stack),
      left = b.Constant(words);
  Reg hits = b.Constant(kMaxHitsPerImage), table = b.Allocate(), count = b.Allocate(), key = b.Allocate();
  Reg found = b.Allocate();
  b.Load(key, 4, base, 0x3C, done);
  b.Add(key, base, key);
  b.Load(table, 4, key, 0x18 + 0x70 + 3 * 8, done);
  b.Load(count, 4, key, 0x18 + 0x70 + 3 * 8 + 4, done);
  b.JumpZero(table, done);
  b.Add(table, base, table);
  b.Multiply(count, count, 0xAAAAAAAB);  // / 12, exact for 32 bits
  b.ShiftRight(count, count, 35);
  b.EmitRegister(kImage, base);
  // A return address is looked up one byte earlier; the program counter takes the same way.
  b.Const(key, program_counter + 1);
  b.Jump(test);
  b.Bind(loop);
  b.JumpZero(left, done);
  b.JumpZero(hits, done);
  b.AddImmediate(left, left, kMinusOne);
  b.Load(key, 8, cursor, 0, done);
  b.AddImmediate(cursor, cursor, 8);
  b.Bind(test);
  b.Subtract(key, key, base);
  b.AddImmediate(key, key, kMinusOne);
  b.JumpBelow(key, size, hit);
  b.Jump(loop);
  b.Bind(hit);
  b.AddImmediate(hits, hits, kMinusOne);
  b.EmitRegister(kAsked, key);
  b.SearchSorted(found, table, count, 12, key, code);
  b.EmitFixed(kFunction, found, 0, 12);
  AppendUnwindData(b, base, found, code);
  b.Bind(code);
  b.Add(found, base, key);
  b.EmitFixed(kCode, found, 0, FunctionFinder::kCodeBytes + 1);
  b.Jump(loop);
  b.Bind(done);
  for (Reg reg : {found, key, count, table, hits, left, cursor, size, base}) b.Release(reg);
}

}  // namespace

void AppendImageIdentity(PlanBuilder& b, const ImageRange& image) {
  PlanBuilder::Label done = b.NewLabel(), wide = b.NewLabel(), loop = b.NewLabel(), next = b.NewLabel();
  Reg base = b.Constant(image.base);
  Reg header = b.Allocate(), value = b.Allocate(), constant = b.Allocate(), size = b.Allocate(),
      left = b.Allocate();
  b.EmitFixed(kHeader, base, 0, std::min(image.size, kHeaderBytes));
  b.Load(value, 4, base, 0x3C, done);
  b.Add(header, base, value);
  b.Load(value, 2, header, 0x18, done);
  b.Const(constant, 0x20B);  // PE32+
  b.JumpEqual(value, constant, wide);
  b.AddImmediate(header, header, static_cast<std::uint64_t>(-0x10));  // its directories lie 16 bytes earlier
  b.Bind(wide);
  b.Load(value, 4, header, 0x18 + 0x70 + 6 * 8, done);
  b.Load(size, 4, header, 0x18 + 0x70 + 6 * 8 + 4, done);
  b.JumpZero(value, done);
  b.Const(constant, 0x1C * 16);
  b.Minimum(size, size, constant);
  b.Add(header, base, value);
  b.Emit(kDirectory, header, 0, size);
  b.Const(left, 16);
  b.Bind(loop);
  b.JumpZero(left, done);
  b.Const(constant, 0x1C);
  b.JumpBelow(size, constant, done);
  b.AddImmediate(left, left, kMinusOne);
  b.Load(value, 4, header, 0x0C, done);
  b.Const(constant, 2);  // IMAGE_DEBUG_TYPE_CODEVIEW
  b.JumpNotEqual(value, constant, next);
  b.Load(constant, 4, header, 0x10, done);
  b.Const(value, kMaxCodeViewBytes);
  b.Minimum(constant, constant, value);
  b.Load(value, 4, header, 0x14, done);
  b.JumpZero(value, next);
  b.Add(value, base, value);
  b.Emit(kCodeView, value, 0, constant);
  b.Bind(next);
  b.AddImmediate(header, header, 0x1C);
  b.AddImmediate(size, size, static_cast<std::uint64_t>(-0x1C));
  b.Jump(loop);
  b.Bind(done);
  b.Release(left);
  b.Release(size);
  b.Release(constant);
  b.Release(value);
  b.Release(header);
  b.Release(base);
}

void ReadImageIdentities(Target& target, std::span<const ImageRange> images) {
  while (!images.empty()) {
    PlanBuilder b;
    std::size_t batch = std::min(images.size(), kImagesPerIdentityPlan);
    for (const ImageRange& image : images.first(batch)) AppendImageIdentity(b, image);
    b.End();
    // What cannot be read now is asked for, and reported, by whoever needs it.
    if (!target.Run(b.Build())) return;
    images = images.subspan(batch);
  }
}

Result<void> FunctionFinder::Prepare(Target& target, std::span<const ImageRange> images,
                                     std::span<const ImageRange> unidentified, std::uint64_t program_counter,
                                     std::uint64_t stack, std::uint64_t words) {
  while (!images.empty()) {
    PlanBuilder b;
    std::size_t batch = std::min(images.size(), kImagesPerFunctionPlan);
    const std::size_t identities = std::min(unidentified.size(), kImagesPerFunctionPlan);
    for (const ImageRange& image : unidentified.first(identities)) AppendImageIdentity(b, image);
    unidentified = unidentified.subspan(identities);
    for (const ImageRange& image : images.first(batch))
      AppendFunctionSearch(b, image, program_counter, stack, words);
    b.End();
    Result<plan::Output> output = target.Run(b.Build());
    if (!output) return output.error();
    Take(*output, images.first(batch));
    images = images.subspan(batch);
  }
  return {};
}

void FunctionFinder::Take(const plan::Output& output, std::span<const ImageRange> images) {
  std::span<const std::byte> rest = output.data;
  std::uint64_t base = 0;
  std::optional<std::uint32_t> asked;
  for (const plan::Record& record : output.records) {
    if (record.data_size > rest.size()) return;
    std::span<const std::byte> data = rest.first(record.data_size);
    rest = rest.subspan(record.data_size);
    if (record.tag == kImage) {
      base = record.value;
    } else if (record.tag == kAsked) {
      asked = static_cast<std::uint32_t>(record.value);
    } else if (record.tag == kFunction && asked && data.size() == 12) {
      bool known = std::any_of(images.begin(), images.end(),
                               [&](const ImageRange& image) { return image.base == base; });
      if (!known) return;
      Entry& entry = asked_[{base, *asked}];
      for (unsigned i = 0; i < 3; ++i) entry[i] = static_cast<std::uint32_t>(LoadLittle(data, i * 4, 4));
      asked.reset();
    }
  }
}

std::optional<FunctionFinder::Entry> FunctionFinder::Find(std::uint64_t base, std::uint32_t rva) const {
  // The nearest RVA looked for at or above: its function may hold this one too; the one below likewise.
  auto above = asked_.lower_bound({base, rva});
  if (above != asked_.end() && above->first == std::pair(base, rva)) return above->second;
  for (auto near : {above, above == asked_.begin() ? asked_.end() : std::prev(above)}) {
    if (near == asked_.end() || near->first.first != base) continue;
    if (near->second[0] <= rva && rva < near->second[1]) return near->second;
  }
  return std::nullopt;
}

}  // namespace longwire

#include "proto/kd/translation.h"

namespace longwire::kd {
namespace {

constexpr std::uint64_t kX64Frame = 0x000F'FFFF'FFFF'F000;
constexpr std::uint64_t kArm64Frame = 0x0000'FFFF'FFFF'F000;
constexpr std::uint64_t kPresentBit = 1;
constexpr std::uint64_t kArm64TableBit = 2;
constexpr std::uint64_t kLargeBit = 1u << 7;
constexpr std::uint64_t kPrototypeBit = 1u << 10;
constexpr std::uint64_t kTransitionBit = 1u << 11;

struct Shape {
  int levels;
  unsigned entry_size;
  unsigned index_bits;
  unsigned top_index_bits;
  std::uint64_t base_mask;
  std::uint64_t frame_mask;
};

constexpr Shape ShapeOf(PagingMode mode) {
  switch (mode) {
    case PagingMode::kX64FiveLevel: return {5, 8, 9, 9, kX64Frame, kX64Frame};
    case PagingMode::kX86Pae: return {3, 8, 9, 2, 0xFFFF'FFE0, kX64Frame};
    case PagingMode::kX86Plain: return {2, 4, 10, 10, 0xFFFF'F000, 0xFFFF'F000};
    case PagingMode::kArm64: return {4, 8, 9, 9, kArm64Frame, kArm64Frame};
    case PagingMode::kX64FourLevel: break;
  }
  return {4, 8, 9, 9, kX64Frame, kX64Frame};
}

unsigned ShiftOf(const Shape& shape, int level) {
  return 12 + shape.index_bits * static_cast<unsigned>(level - 1);
}

bool IsCanonical(PagingMode mode, std::uint64_t address) {
  const auto signed_address = static_cast<std::int64_t>(address);
  switch (mode) {
    // Addresses of 32-bit targets travel sign-extended, and are accepted zero-extended (quirk Q22).
    case PagingMode::kX86Pae:
    case PagingMode::kX86Plain:
      return address >> 32 == 0 || signed_address == static_cast<std::int32_t>(address);
    case PagingMode::kX64FiveLevel: return signed_address << 7 >> 7 == signed_address;
    // The TTBR was chosen by the top bits; below them lie 48 bits.
    case PagingMode::kArm64: return address >> 48 == 0 || address >> 48 == 0xFFFF;
    case PagingMode::kX64FourLevel: break;
  }
  return signed_address << 16 >> 16 == signed_address;
}

}  // namespace

Translation::Translation(PagingMode mode, std::uint64_t base, std::uint64_t virtual_address)
    : mode_(mode), virtual_address_(virtual_address) {
  if (!IsCanonical(mode, virtual_address)) {
    state_ = {Outcome::kNotCanonical, virtual_address, 0, 0, 0};
    return;
  }
  const Shape shape = ShapeOf(mode);
  if (mode == PagingMode::kX86Pae || mode == PagingMode::kX86Plain) virtual_address_ &= 0xFFFF'FFFF;
  level_ = shape.levels;
  AskLevel(base & shape.base_mask);
}

void Translation::AskLevel(std::uint64_t table) {
  const Shape shape = ShapeOf(mode_);
  const unsigned bits = level_ == shape.levels ? shape.top_index_bits : shape.index_bits;
  const std::uint64_t index = virtual_address_ >> ShiftOf(shape, level_) & ((std::uint64_t{1} << bits) - 1);
  state_ = {Outcome::kRead, table + index * shape.entry_size, shape.entry_size, 0, level_};
}

void Translation::Supply(ByteView bytes) {
  if (state_.outcome != Outcome::kRead) return;
  if (bytes.size() < state_.length) {
    state_.outcome = Outcome::kUnreadable;
    return;
  }
  const std::uint64_t entry = state_.length == 4 ? Load32(bytes, 0) : Load64(bytes, 0);
  if (mode_ == PagingMode::kArm64) {
    SupplyArm64(entry);
  } else {
    SupplyX86(entry);
  }
}

void Translation::Finish(Outcome outcome, std::uint64_t frame) {
  const std::uint64_t size = std::uint64_t{1} << ShiftOf(ShapeOf(mode_), level_);
  state_ = {outcome, (frame & ~(size - 1)) | (virtual_address_ & (size - 1)), 0, size, level_};
}

void Translation::FinishAbsent(std::uint64_t entry) {
  const std::uint64_t size = std::uint64_t{1} << ShiftOf(ShapeOf(mode_), level_);
  const Outcome outcome = entry == 0                     ? Outcome::kNotMapped
                          : (entry & kPrototypeBit) != 0 ? Outcome::kPrototype
                                                         : Outcome::kPagedOut;
  state_ = {outcome, 0, 0, size, level_};
}

void Translation::SupplyX86(std::uint64_t entry) {
  const Shape shape = ShapeOf(mode_);
  const bool transition = (entry & (kPresentBit | kPrototypeBit | kTransitionBit)) == kTransitionBit;
  if ((entry & kPresentBit) == 0 && !transition) {
    FinishAbsent(entry);
    return;
  }
  const std::uint64_t frame = entry & shape.frame_mask;
  if (level_ == 1) {
    Finish(transition ? Outcome::kTransition : Outcome::kPresent, frame);
    return;
  }
  // Large pages: 1 GiB and 2 MiB with 8-byte entries, 4 MiB without PAE. PAE has none at its top level.
  const bool may_be_large = mode_ == PagingMode::kX86Pae ? level_ == 2 : level_ <= 3;
  if (may_be_large && !transition && (entry & kLargeBit) != 0) {
    if (mode_ == PagingMode::kX86Plain) {
      // PSE-36: bits 13-20 of the entry are bits 32-39 of the physical address.
      Finish(Outcome::kPresent, (entry & 0xFFC0'0000) | (entry >> 13 & 0xFF) << 32);
    } else {
      Finish(Outcome::kPresent, frame);
    }
    return;
  }
  --level_;
  AskLevel(frame);
}

void Translation::SupplyArm64(std::uint64_t entry) {
  const std::uint64_t frame = entry & kArm64Frame;
  if ((entry & kPresentBit) == 0) {
    FinishAbsent(entry);
    return;
  }
  const bool table_or_page = (entry & kArm64TableBit) != 0;
  if (level_ == 1) {
    // At the last level bit 1 clear is reserved and faults.
    if (table_or_page) {
      Finish(Outcome::kPresent, frame);
    } else {
      FinishAbsent(0);
    }
    return;
  }
  if (!table_or_page) {
    // Blocks exist at 1 GiB and 2 MiB only.
    if (level_ <= 3) {
      Finish(Outcome::kPresent, frame);
    } else {
      FinishAbsent(0);
    }
    return;
  }
  --level_;
  AskLevel(frame);
}

}  // namespace longwire::kd

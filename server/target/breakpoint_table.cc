#include "server/target/breakpoint_table.h"

#include <algorithm>
#include <string>

namespace longwire {
namespace {

// Dr7: enable bits 2n (local) and 2n+1 (global), condition and length nibble at 16 + 4n; bit 10 always reads
// as 1.
constexpr std::uint64_t EnableBits(std::size_t slot) { return std::uint64_t{2} << (2 * slot); }
constexpr std::uint64_t SlotBits(std::size_t slot) {
  return (std::uint64_t{3} << (2 * slot)) | (std::uint64_t{15} << (16 + 4 * slot));
}

std::uint64_t Condition(const DataBreakpoint& point) {
  std::uint64_t condition = 0;
  switch (point.kind) {
    case rpc::BreakpointKind::kCode:
    case rpc::BreakpointKind::kExecute: condition = 0; break;
    case rpc::BreakpointKind::kWrite: condition = 1; break;
    case rpc::BreakpointKind::kIo: condition = 2; break;
    case rpc::BreakpointKind::kReadWrite: condition = 3; break;
  }
  std::uint64_t length = 0;
  if (condition != 0) length = point.size == 2 ? 1 : point.size == 4 ? 3 : point.size == 8 ? 2 : 0;
  return condition | length << 2;
}

}  // namespace

CodeBreakpoint& BreakpointTable::Code(std::uint64_t address) {
  CodeBreakpoint& point = code_[address];
  point.address = address;
  return point;
}

CodeBreakpoint* BreakpointTable::FindCode(std::uint64_t address) {
  const auto found = code_.find(address);
  return found == code_.end() ? nullptr : &found->second;
}

std::vector<std::uint64_t> BreakpointTable::CodeAddresses() const {
  std::vector<std::uint64_t> addresses;
  for (const auto& [address, point] : code_) addresses.push_back(address);
  return addresses;
}

CodeBreakpoint* BreakpointTable::CodeOfId(std::uint64_t id) {
  for (auto& [address, point] : code_) {
    if (std::find(point.ids.begin(), point.ids.end(), id) != point.ids.end()) return &point;
  }
  return nullptr;
}

Result<std::uint64_t> BreakpointTable::AddData(rpc::BreakpointKind kind, std::uint64_t address,
                                               std::uint32_t size) {
  if (size != 1 && size != 2 && size != 4 && size != 8) {
    return Error{Errc::kUsage, "a data breakpoint covers 1, 2, 4 or 8 bytes"};
  }
  if (kind != rpc::BreakpointKind::kExecute && address % size != 0) {
    return Error{Errc::kUsage,
                 "the address of a data breakpoint must be a multiple of its size, " + std::to_string(size)};
  }
  for (std::size_t i = 0; i < data_.size(); ++i) {
    if (data_[i]) continue;
    data_[i] = DataBreakpoint{NextId(), address, kind, kind == rpc::BreakpointKind::kExecute ? 1 : size};
    used_dr7_bits_ |= SlotBits(i);
    return data_[i]->id;
  }
  return Error{Errc::kLimitExceeded, "all four debug registers are in use; clear a data breakpoint first"};
}

bool BreakpointTable::RemoveData(std::uint64_t id) {
  for (auto& slot : data_) {
    if (slot && slot->id == id) {
      slot.reset();
      return true;
    }
  }
  return false;
}

bool BreakpointTable::HasData() const {
  return std::any_of(data_.begin(), data_.end(), [](const auto& slot) { return slot.has_value(); });
}

std::uint64_t BreakpointTable::Dr7(std::uint64_t current) const {
  std::uint64_t value = current & ~used_dr7_bits_;
  for (std::size_t i = 0; i < data_.size(); ++i) {
    if (!data_[i]) continue;
    value &= ~SlotBits(i);
    value |= EnableBits(i) | Condition(*data_[i]) << (16 + 4 * i);
  }
  if (HasData()) value |= 0x600;  // GE, and bit 10, which is always set
  return value;
}

std::vector<std::uint64_t> BreakpointTable::DataHits(std::uint64_t dr6) const {
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < data_.size(); ++i) {
    if (data_[i] && (dr6 >> i & 1) != 0) ids.push_back(data_[i]->id);
  }
  return ids;
}

void BreakpointTable::OnReported(std::uint64_t address, std::uint64_t count) {
  for (auto& [at, point] : code_) {
    if (at - address < count) point.handle = 0;
  }
}

bool BreakpointTable::AnyPlanted() const {
  return std::any_of(code_.begin(), code_.end(), [](const auto& entry) { return entry.second.handle != 0; });
}

void BreakpointTable::Hide(std::uint64_t address, std::span<std::byte> bytes) const {
  for (const auto& [at, point] : code_) {
    if (point.handle == 0) continue;
    for (std::size_t i = 0; i < point.original.size(); ++i) {
      const std::uint64_t offset = at + i - address;
      if (offset < bytes.size()) bytes[offset] = point.original[i];
    }
  }
}

void BreakpointTable::CoverWrite(std::uint64_t address, std::span<std::byte> bytes) {
  for (auto& [at, point] : code_) {
    if (point.handle == 0) continue;
    for (std::size_t i = 0; i < std::min(instruction_.size(), point.original.size()); ++i) {
      const std::uint64_t offset = at + i - address;
      if (offset >= bytes.size()) continue;
      point.original[i] = bytes[offset];
      bytes[offset] = instruction_[i];
    }
  }
}

std::vector<PlacedBreakpoint> BreakpointTable::Placed() const {
  std::vector<PlacedBreakpoint> placed;
  for (const auto& [address, point] : code_) {
    const PlacedBreakpoint one{0, rpc::BreakpointKind::kCode, address, 1, point.handle, point.original};
    for (const std::uint64_t id : point.ids) {
      placed.push_back(one);
      placed.back().id = id;
    }
    if (point.temporary && point.ids.empty()) placed.push_back(one);
  }
  for (const auto& slot : data_) {
    if (slot) placed.push_back({slot->id, slot->kind, slot->address, slot->size, 0, {}});
  }
  return placed;
}

void BreakpointTable::Inherit(const TargetHeritage& heritage) {
  last_id_ = std::max(last_id_, heritage.last_breakpoint_id);
  std::size_t slot = 0;
  for (const PlacedBreakpoint& one : heritage.breakpoints) {
    last_id_ = std::max(last_id_, one.id);
    if (one.kind == rpc::BreakpointKind::kCode) {
      CodeBreakpoint& point = Code(one.address);
      if (one.id == 0) {
        point.temporary = true;
      } else {
        point.ids.push_back(one.id);
      }
    } else if (slot < data_.size()) {
      data_[slot++] = DataBreakpoint{one.id, one.address, one.kind, one.size};
    }
  }
  if (!heritage.debug_registers) return;
  for (std::size_t i = 0; i < data_.size(); ++i) used_dr7_bits_ |= SlotBits(i);
}

void BreakpointTable::Clear() {
  code_.clear();
  data_ = {};
}

}  // namespace longwire

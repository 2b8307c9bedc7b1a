#include "server/kd/breakpoint_planter.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "server/kd/attach_procedure.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxIdsPerAddress = 256;

std::string Hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(value));
  return text;
}

bool IsLinkError(const Error& error) { return error.code != Errc::kTargetRefused; }

}  // namespace

Task<Result<void>> BreakpointPlanter::Plant(std::uint64_t address) {
  // The bytes below are read while the breakpoint is out: they are what the user is to see from now on.
  kd::Bytes original;
  Result<void> read =
      co_await memory_.Read(AddressSpace::Virtual(), address, table_.instruction_size(), false, original);
  if (!read) co_return read;
  unsettled_ = true;
  Result<kd::Bytes> reply =
      co_await line_.Exchange(kd::EncodeWriteBreakpoint(kd::ExtendAddress(facts_.machine, address)));
  if (!reply) co_return reply.error();
  unsettled_ = false;
  const auto decoded = kd::DecodeReply(*reply);
  if (!decoded) co_return decoded.error();
  const std::uint32_t handle = kd::DecodeBreakpointHandle(*decoded);
  if (!decoded->Succeeded() || handle == 0) {
    co_return Error{Errc::kTargetRefused, "the target refused a breakpoint at " + Hex(address) +
                                              ": its 32 breakpoints are in use, or the address holds none"};
  }
  CodeBreakpoint* point = table_.FindCode(address);
  if (point == nullptr) co_return Error{Errc::kInternal, "a breakpoint vanished while it was planted"};
  point->handle = handle;
  point->original = original.size() == table_.instruction_size() ? std::move(original) : kd::Bytes{};
  co_return Result<void>{};
}

Task<Result<void>> BreakpointPlanter::Lift(std::uint64_t address) {
  CodeBreakpoint* point = table_.FindCode(address);
  if (point == nullptr || point->handle == 0) co_return Result<void>{};
  const std::uint32_t handle = point->handle;
  unsettled_ = true;
  Result<void> lifted =
      co_await registers_.Ask(kd::EncodeRestoreBreakpoint(handle), "to remove a breakpoint");
  if (!lifted && IsLinkError(lifted.error())) co_return lifted;
  unsettled_ = false;
  // A refusal means that the target does not know the handle any more: it is out as well.
  if ((point = table_.FindCode(address)) != nullptr) point->handle = 0;
  co_return Result<void>{};
}

Task<Result<void>> BreakpointPlanter::Settle() {
  if (!unsettled_) co_return Result<void>{};
  Result<void> cleared = co_await ClearBreakpointSlots(line_);
  if (!cleared) co_return cleared;
  for (const std::uint64_t address : table_.CodeAddresses()) table_.FindCode(address)->handle = 0;
  memory_.Forget();
  unsettled_ = false;
  co_return Result<void>{};
}

Task<Result<void>> BreakpointPlanter::TakeOut(std::vector<std::uint32_t>& handles) {
  while (!handles.empty()) {
    const std::uint32_t handle = handles.back();
    handles.pop_back();  // asked for once: what boots may not answer
    memory_.Forget();
    Result<void> restored =
        co_await registers_.Ask(kd::EncodeRestoreBreakpoint(handle), "to remove a breakpoint");
    if (!restored && IsLinkError(restored.error())) co_return restored;
  }
  co_return Result<void>{};
}

Task<Result<std::uint64_t>> BreakpointPlanter::Set(rpc::SetBreakpoint wish, std::uint32_t processors) {
  wish.address = kd::PlainAddress(facts_.machine, wish.address);
  if (wish.kind != rpc::BreakpointKind::kCode) {
    if (kd::FindSpecialRegister(facts_.machine, "kdr7") == nullptr) {
      co_return Error{Errc::kUnsupported, "data breakpoints are not supported on this machine type"};
    }
    Result<std::uint64_t> id = table_.AddData(wish.kind, wish.address, wish.size);
    if (!id) co_return id;
    Result<void> written = co_await WriteDebugRegisters(processors);
    if (!written) {
      table_.RemoveData(*id);
      co_return written.error();
    }
    co_return id;
  }
  const CodeBreakpoint* const there = table_.FindCode(wish.address);
  const bool known = there != nullptr;
  if (known && there->ids.size() >= kMaxIdsPerAddress) {
    co_return Error{Errc::kLimitExceeded, "there are " + std::to_string(kMaxIdsPerAddress) +
                                              " breakpoints at this address; clear some of them first"};
  }
  table_.Code(wish.address);
  if (!known || table_.FindCode(wish.address)->handle == 0) {
    Result<void> planted = co_await Plant(wish.address);
    if (!planted) {
      if (!known) table_.EraseCode(wish.address);
      co_return planted.error();
    }
  }
  const std::uint64_t id = table_.NextId();
  table_.Code(wish.address).ids.push_back(id);
  co_return id;
}

Task<Result<void>> BreakpointPlanter::Clear(std::uint64_t id, std::uint32_t processors) {
  if (table_.RemoveData(id)) co_return co_await WriteDebugRegisters(processors);
  CodeBreakpoint* point = table_.CodeOfId(id);
  if (point == nullptr) co_return Error{Errc::kNotFound, "there is no breakpoint " + std::to_string(id)};
  std::erase(point->ids, id);
  if (point->wanted()) co_return Result<void>{};
  const std::uint64_t address = point->address;
  Result<void> lifted = co_await Lift(address);
  if (lifted) table_.EraseCode(address);
  co_return lifted;
}

Task<Result<void>> BreakpointPlanter::AddTemporary(std::uint64_t address) {
  address = kd::PlainAddress(facts_.machine, address);
  CodeBreakpoint& point = table_.Code(address);
  const bool had = point.wanted();
  point.temporary = true;
  if (point.handle != 0) co_return Result<void>{};
  Result<void> planted = co_await Plant(address);
  if (!planted && !had) table_.EraseCode(address);
  co_return planted;
}

Task<Result<void>> BreakpointPlanter::RemoveTemporary() {
  for (const std::uint64_t address : table_.CodeAddresses()) {
    CodeBreakpoint* point = table_.FindCode(address);
    if (point == nullptr || !point->temporary) continue;
    point->temporary = false;
    if (point->wanted()) continue;
    Result<void> lifted = co_await Lift(address);
    if (!lifted) co_return lifted;
    table_.EraseCode(address);
  }
  co_return Result<void>{};
}

Task<Result<void>> BreakpointPlanter::PlantMissing(std::vector<std::uint64_t> except) {
  for (const std::uint64_t address : table_.CodeAddresses()) {
    const CodeBreakpoint* point = table_.FindCode(address);
    if (point != nullptr && !point->wanted()) {
      // Its removal was cut short.
      Result<void> lifted = co_await Lift(address);
      if (!lifted) co_return lifted;
      table_.EraseCode(address);
      continue;
    }
    if (point == nullptr || point->handle != 0 || std::ranges::find(except, address) != except.end())
      continue;
    Result<void> planted = co_await Plant(address);
    if (!planted && IsLinkError(planted.error())) co_return planted;
  }
  co_return Result<void>{};
}

Task<Result<void>> BreakpointPlanter::RemoveAll(std::uint32_t processors) {
  for (const std::uint64_t address : table_.CodeAddresses()) {
    Result<void> lifted = co_await Lift(address);
    if (!lifted) co_return lifted;
  }
  const bool data = table_.HasData();
  for (const auto& slot : std::array(table_.data())) {
    if (slot) table_.RemoveData(slot->id);
  }
  if (data) {
    Result<void> written = co_await WriteDebugRegisters(processors);
    if (!written && IsLinkError(written.error())) co_return written;
  }
  for (const std::uint64_t address : table_.CodeAddresses()) table_.EraseCode(address);
  co_return Result<void>{};
}

/// Dr0-3 are per processor, so every one gets them (5.6).
Task<Result<void>> BreakpointPlanter::WriteDebugRegisters(std::uint32_t processors) {
  const kd::SpecialLayout* layout = kd::FindSpecialLayout(facts_.machine);
  const kd::RegisterField* dr0 = kd::FindSpecialRegister(facts_.machine, "kdr0");
  const kd::RegisterField* dr7 = kd::FindSpecialRegister(facts_.machine, "kdr7");
  if (layout == nullptr || dr0 == nullptr || dr7 == nullptr) {
    co_return Error{Errc::kUnsupported, "debug registers of this machine type are not known"};
  }
  for (std::uint32_t processor = 0; processor < std::max(processors, 1u); ++processor) {
    const auto number = static_cast<std::uint16_t>(processor);
    Result<kd::Bytes> special =
        co_await registers_.ReadControlSpace(number, layout->control_selector, layout->size);
    if (!special) co_return special.error();
    if (special->size() < static_cast<std::size_t>(dr7->offset) + dr7->size) {
      co_return Error{Errc::kMalformed, "the target sent special registers that are too short"};
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const auto& slot = table_.data()[i];
      const std::uint64_t address = slot ? slot->address : 0;
      for (std::size_t byte = 0; byte < dr0->size; ++byte) {
        (*special)[dr0->offset + i * dr0->size + byte] = static_cast<std::byte>(address >> (8 * byte));
      }
    }
    const std::uint64_t control =
        table_.Dr7(dr7->size == 8 ? kd::Load64(*special, dr7->offset) : kd::Load32(*special, dr7->offset));
    for (std::size_t byte = 0; byte < dr7->size; ++byte) {
      (*special)[dr7->offset + byte] = static_cast<std::byte>(control >> (8 * byte));
    }
    Result<void> written = co_await registers_.WriteControlSpace(number, layout->control_selector, *special);
    if (!written) co_return written;
  }
  co_return Result<void>{};
}

}  // namespace longwire

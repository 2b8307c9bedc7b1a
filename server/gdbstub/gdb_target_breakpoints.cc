#include <algorithm>
#include <array>

#include "proto/gdb/hex.h"
#include "server/gdbstub/gdb_target.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxBreakpoints = 1024;

char TypeOf(rpc::BreakpointKind kind) {
  switch (kind) {
    case rpc::BreakpointKind::kExecute: return '1';
    case rpc::BreakpointKind::kWrite: return '2';
    case rpc::BreakpointKind::kReadWrite: return '4';
    default: return '\0';
  }
}

}  // namespace

Task<Result<void>> GdbTarget::Insert(bool insert, char type, std::uint64_t address, std::uint32_t size) {
  Result<std::string> reply = co_await line_.Ask(std::string(insert ? "Z" : "z") + type + "," +
                                                 gdb::EncodeNumber(address) + "," + gdb::EncodeNumber(size));
  if (!reply) co_return reply.error();
  if (*reply == "OK") co_return Result<void>{};
  if (reply->empty()) co_return Error{Errc::kUnsupported, "this gdb stub has no such breakpoints"};
  co_return Error{Errc::kTargetRefused, "the gdb stub refused a breakpoint at " + gdb::EncodeNumber(address)};
}

Task<Result<void>> GdbTarget::InsertData(bool insert, const DataBreakpoint& point) {
  const char type = TypeOf(point.kind);
  co_return co_await Insert(insert, type, point.address, type == '1' ? 1 : point.size);
}

/// The handle is the type that worked, plus one: software breakpoints, else those of the processor.
Task<Result<void>> GdbTarget::Plant(std::uint64_t address) {
  const CodeBreakpoint* point = table_.FindCode(address);
  if (point == nullptr || point->handle != 0) co_return Result<void>{};
  if (table_.code().size() > kMaxBreakpoints) co_return Error{Errc::kLimitExceeded, "too many breakpoints"};
  std::uint32_t handle = 1;
  Result<void> planted = co_await Insert(true, '0', address, 1);
  if (!planted && planted.error().code == Errc::kUnsupported) {
    handle = 2;
    planted = co_await Insert(true, '1', address, 1);
  }
  if (planted) table_.Code(address).handle = handle;
  co_return planted;
}

Task<Result<void>> GdbTarget::Lift(std::uint64_t address) {
  const CodeBreakpoint* point = table_.FindCode(address);
  if (point == nullptr || point->handle == 0) co_return Result<void>{};
  Result<void> lifted = co_await Insert(false, point->handle == 1 ? '0' : '1', address, 1);
  if (!lifted && lifted.error().code == Errc::kLinkFailed) co_return lifted;
  table_.Code(address).handle = 0;  // a refusal means that it is gone
  co_return Result<void>{};
}

Task<Result<void>> GdbTarget::PlantMissing(std::optional<std::uint64_t> except) {
  for (const std::uint64_t address : table_.CodeAddresses()) {
    if (address == except) continue;
    Result<void> planted = co_await Plant(address);
    if (!planted && planted.error().code == Errc::kLinkFailed) co_return planted;
  }
  co_return Result<void>{};
}

/// Those of an earlier process: the stub forgot them when it was asked why it stopped. Code breakpoints are
/// planted with the first resume.
Task<Result<void>> GdbTarget::PlantInheritedData() {
  for (const auto& slot : std::array(table_.data())) {
    if (!slot) continue;
    Result<void> planted = co_await InsertData(true, *slot);
    if (!planted && planted.error().code == Errc::kLinkFailed) co_return planted;
    if (!planted) table_.RemoveData(slot->id);
  }
  co_return Result<void>{};
}

Task<Result<void>> GdbTarget::RemoveTemporary() {
  for (const std::uint64_t address : table_.CodeAddresses()) {
    CodeBreakpoint* point = table_.FindCode(address);
    point->temporary = false;
    if (point->wanted()) continue;
    Result<void> lifted = co_await Lift(address);
    if (!lifted) co_return lifted;
    table_.EraseCode(address);
  }
  co_return Result<void>{};
}

Task<Result<void>> GdbTarget::RemoveAll() {
  for (const std::uint64_t address : table_.CodeAddresses()) {
    Result<void> lifted = co_await Lift(address);
    if (!lifted) co_return lifted;
    table_.EraseCode(address);
  }
  for (const auto& slot : std::array(table_.data())) {
    if (!slot) continue;
    Result<void> cleared = co_await ClearBreakpoint(slot->id);
    if (!cleared && cleared.error().code == Errc::kLinkFailed) co_return cleared;
  }
  co_return Result<void>{};
}

Task<Result<std::uint64_t>> GdbTarget::SetBreakpoint(const rpc::SetBreakpoint& wish) {
  if (wish.kind == rpc::BreakpointKind::kCode) {
    const bool known = table_.FindCode(wish.address) != nullptr;
    table_.Code(wish.address);
    Result<void> planted = co_await Plant(wish.address);
    if (!planted) {
      if (!known) table_.EraseCode(wish.address);
      co_return planted.error();
    }
    const std::uint64_t id = table_.NextId();
    table_.Code(wish.address).ids.push_back(id);
    co_return id;
  }
  const char type = TypeOf(wish.kind);
  if (type == '\0' || !wishes_.data_breaks)
    co_return Error{Errc::kUnsupported, "this link offers no such data breakpoints"};
  Result<std::uint64_t> id = table_.AddData(wish.kind, wish.address, wish.size);
  if (!id) co_return id;
  Result<void> planted = co_await InsertData(true, {*id, wish.address, wish.kind, wish.size});
  if (!planted) {
    table_.RemoveData(*id);
    co_return planted.error();
  }
  co_return id;
}

Task<Result<void>> GdbTarget::ClearBreakpoint(std::uint64_t id) {
  for (const auto& slot : std::array(table_.data())) {
    if (!slot || slot->id != id) continue;
    table_.RemoveData(id);
    co_return co_await InsertData(false, *slot);
  }
  CodeBreakpoint* point = table_.CodeOfId(id);
  if (point == nullptr) co_return Error{Errc::kNotFound, "there is no breakpoint " + std::to_string(id)};
  std::erase(point->ids, id);
  if (point->wanted()) co_return Result<void>{};
  const std::uint64_t address = point->address;
  Result<void> lifted = co_await Lift(address);
  if (lifted) table_.EraseCode(address);
  co_return lifted;
}

}  // namespace longwire

#include "server/kd/attach_procedure.h"

#include <algorithm>

namespace longwire {
namespace {

/// Longest wait for the line to become quiet; after it the first request goes out anyway.
constexpr std::chrono::milliseconds kLongestStorm{1500};

Task<void> AwaitQuiet(KdLine& line) {
  const kd::TimePoint end = line.now() + kLongestStorm;
  for (;;) {
    const kd::TimePoint quiet = line.last_received().value_or(line.now()) + line.timers().quiet;
    if (line.now() >= std::min(quiet, end)) co_return;
    Result<kd::Bytes> slept = co_await line.SleepUntil(std::min(quiet, end));
    static_cast<void>(slept);  // always the deadline
  }
}

Task<Result<void>> ReadDebuggerData(TargetMemory& memory, TargetFacts& facts) {
  rpc::TargetDescription& description = facts.description;
  if (description.debugger_data_list == 0) co_return Result<void>{};
  const unsigned pointer = kd::PointerSize(facts.machine);
  kd::Bytes head;
  Result<void> read =
      co_await memory.Read(AddressSpace::Virtual(), description.debugger_data_list, pointer, false, head);
  if (!read) co_return read;
  if (head.size() < pointer) co_return Result<void>{};
  const std::uint64_t address = pointer == 8 ? kd::Load64(head, 0) : kd::Load32(head, 0);
  kd::Bytes block;
  read = co_await memory.Read(AddressSpace::Virtual(), address, kd::kDebuggerDataHeader, false, block);
  if (!read) co_return read;
  const Result<std::uint32_t> size = kd::DebuggerData::ReadSize(block);
  if (!size) {
    // Encoded, or not what it claims to be: the client may decode it with symbols, so it learns the address.
    description.debugger_data_address = address;
    co_return Result<void>{};
  }
  block.clear();
  read = co_await memory.Read(AddressSpace::Virtual(), address, *size, false, block);
  if (!read) co_return read;
  Result<kd::DebuggerData> data = kd::DebuggerData::Parse(block);
  description.debugger_data_address = address;
  if (!data) co_return Result<void>{};
  description.debugger_data.assign(data->bytes().begin(), data->bytes().end());
  facts.data = std::move(*data);
  co_return Result<void>{};
}

}  // namespace

Task<Result<void>> ClearBreakpointSlots(KdLine& line) {
  for (std::uint32_t handle = 1; handle <= kd::kBreakpointSlots; ++handle) {
    Result<kd::Bytes> cleared = co_await line.Exchange(kd::EncodeRestoreBreakpoint(handle));
    if (!cleared) co_return cleared.error();
  }
  co_return Result<void>{};
}

Task<Result<void>> IdentifyTarget(KdLine& line, TargetMemory& memory, TargetFacts& facts,
                                  const kd::StateChange& change) {
  co_await AwaitQuiet(line);
  Result<kd::Bytes> reply =
      co_await line.Exchange(kd::EncodeGetVersion(change.processor), line.timers().first_reply);
  if (!reply) co_return reply.error();
  const auto decoded = kd::DecodeReply(*reply);
  if (!decoded) co_return decoded.error();
  const kd::Version version = kd::DecodeVersion(*decoded);

  facts = TargetFacts{};
  facts.machine = version.machine;
  rpc::TargetDescription& description = facts.description;
  description.major_version = version.major;
  description.minor_version = version.build;
  description.protocol_version = version.protocol;
  description.secondary_version = version.secondary;
  description.flags = version.flags;
  description.machine = static_cast<std::uint16_t>(version.machine);
  description.kernel_base = kd::PlainAddress(facts.machine, version.kernel_base);
  description.loaded_module_list = kd::PlainAddress(facts.machine, version.loaded_module_list);
  description.debugger_data_list = kd::PlainAddress(facts.machine, version.debugger_data_list);
  description.processors = std::clamp<std::uint32_t>(change.processor_count, 1, 4096);

  Result<void> cleared = co_await ClearBreakpointSlots(line);
  if (!cleared) co_return cleared;
  memory.OnStop(change.processor, kd::PlainAddress(facts.machine, change.program_counter));
  Result<void> data = co_await ReadDebuggerData(memory, facts);
  if (!data) co_return data;
  facts.identified = true;
  co_return Result<void>{};
}

}  // namespace longwire

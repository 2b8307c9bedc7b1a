#include "server/target/memory_requests.h"

#include <algorithm>
#include <utility>

#include "proto/kd/manipulate.h"
#include "proto/rpc/frame.h"
#include "server/target/plan_runner.h"

namespace longwire {
namespace {

/// Part of a range read between two looks at the cancel flag; the size of one KD read keeps a long range
/// seamless.
constexpr std::uint64_t kSlice = kd::kMaxManipulateData;
constexpr std::size_t kMaxRanges = 65'536;

Task<rpc::Answer> ReadRanges(const rpc::ReadMemory& request, TargetMemory& memory, const WorkLimit& limit,
                             kd::Bytes& bulk) {
  if (request.ranges.size() > kMaxRanges)
    co_return Error{Errc::kLimitExceeded, "too many ranges in one read"};
  std::uint64_t total = 0;
  for (const rpc::ReadRange& range : request.ranges) {
    if (range.size > rpc::kMaxBulkBytes - total) {
      co_return Error{Errc::kLimitExceeded, "one read may ask for 32 MiB; split it"};
    }
    total += range.size;
  }
  rpc::MemoryRead answer;
  for (const rpc::ReadRange& range : request.ranges) {
    const std::size_t start = bulk.size();
    while (bulk.size() - start < range.size) {
      if (limit.cancelled) co_return Error{Errc::kCancelled, "cancelled"};
      const std::uint64_t done = bulk.size() - start;
      const std::uint64_t slice = std::min(kSlice, range.size - done);
      if (range.address + done < range.address) break;  // the end of the address space
      Result<void> read =
          co_await memory.Read(request.space, range.address + done, slice, request.uncached, bulk);
      if (!read) co_return read.error();
      if (bulk.size() - start < done + slice) break;
    }
    answer.sizes.push_back(bulk.size() - start);
  }
  co_return rpc::Answer(std::move(answer));
}

}  // namespace

Task<rpc::Answer> AnswerMemoryRequest(const rpc::Request& request, const kd::Bytes& bulk,
                                      TargetMemory& memory, kd::Duration plan_time, WorkLimit& limit,
                                      kd::Bytes& out) {
  if (const auto* read = std::get_if<rpc::ReadMemory>(&request)) {
    co_return co_await ReadRanges(*read, memory, limit, out);
  }
  if (const auto* write = std::get_if<rpc::WriteMemory>(&request)) {
    Result<std::uint64_t> written = co_await memory.Write(write->space, write->address, bulk, limit);
    if (!written) co_return written.error();
    if (*written == 0 && limit.cancelled) co_return Error{Errc::kCancelled, "cancelled"};
    if (*written == 0 && !bulk.empty()) {
      co_return Error{Errc::kUnreadable, "the target refused to write there", write->address};
    }
    co_return rpc::Answer(rpc::MemoryWritten{*written});
  }
  const auto* run = std::get_if<rpc::RunPlan>(&request);
  if (run == nullptr) co_return Error{Errc::kUnsupported, "this request is not about memory"};
  if (const Result<void> valid = plan::Validate(run->plan); !valid) co_return valid.error();
  limit.deadline = memory.now() + plan_time;
  Result<plan::Output> output = co_await RunReadPlan(run->plan, {}, memory, limit);
  if (!output) co_return output.error();
  out = std::move(output->data);
  co_return rpc::Answer(rpc::PlanResult{std::move(output->records), output->ending});
}

}  // namespace longwire

#include "client/target/remote_target.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

namespace longwire {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMaxReadBytes = 1u << 20;  ///< one request; the rest follows in further ones
constexpr std::size_t kMaxReadsInFlight = 4;
constexpr std::size_t kMaxRangesPerRead = 256;
constexpr std::size_t kMaxPrefetches = 16;
constexpr seconds kPlanLimit{120};
constexpr seconds kCloseLimit{
    10};  ///< the server takes breakpoints out first; a dead target must not keep us

/// A 115200 baud line moves about 10 KB/s; half of that is slow enough.
milliseconds ReadLimit(std::uint64_t bytes) { return RpcClient::kCallLimit + milliseconds(bytes / 5); }

std::uint64_t TotalSize(const std::vector<rpc::ReadRange>& ranges) {
  std::uint64_t total = 0;
  for (const rpc::ReadRange& range : ranges) total += range.size;
  return total;
}

Error Unreadable(std::uint64_t address) {
  char text[64];
  std::snprintf(text, sizeof text, "memory at 0x%" PRIx64 " cannot be read", address);
  return Error{Errc::kUnreadable, text, address};
}

/// Cuts ranges into requests of at most kMaxReadBytes and kMaxRangesPerRead.
std::vector<std::vector<rpc::ReadRange>> SplitReads(const std::vector<rpc::ReadRange>& ranges) {
  std::vector<std::vector<rpc::ReadRange>> requests;
  std::uint64_t room = 0;
  for (rpc::ReadRange range : ranges) {
    while (range.size > 0) {
      if (room == 0 || requests.back().size() >= kMaxRangesPerRead) {
        requests.emplace_back();
        room = kMaxReadBytes;
      }
      std::uint64_t size = std::min(range.size, room);
      requests.back().push_back({range.address, size});
      range.address += size;
      range.size -= size;
      room -= size;
    }
  }
  return requests;
}

}  // namespace

RemoteTarget::RemoteTarget(std::unique_ptr<RpcClient> client, std::string name, ReconnectTiming comeback)
    : client_(std::move(client)), name_(std::move(name)), comeback_timing_(comeback) {}

RemoteTarget::~RemoteTarget() { client_->Close(); }

Error RemoteTarget::BadAnswer() {
  return Error{Errc::kMalformed, "the server's answer does not fit the request"};
}

Result<void> RemoteTarget::Do(rpc::Request request, std::vector<std::byte> bulk) {
  Result<rpc::Done> done = Ask<rpc::Done>(std::move(request), std::move(bulk), nullptr);
  if (!done) return done.error();
  return {};
}

// ---- what events change
// -----------------------------------------------------------------------------------------

bool RemoteTarget::CacheUsable() const { return stop_ && events_applied_ == client_->state_events(); }

bool RemoteTarget::Remembers(AddressSpace space) const {
  // A dump that names its modules itself holds pieces of pages: what lies around an unreadable byte may be
  // there.
  if (description_ && !description_->modules.empty()) return false;
  return StopMemory::Keeps(space) && memory_.limit() != 0 && CacheUsable();
}

MemoryCacheStatus RemoteTarget::memory_cache() const {
  MemoryCacheStatus status = cache_counters_;
  status.limit_bytes = memory_.limit() * StopMemory::kPageBytes;
  status.pages = memory_.pages();
  status.used_bytes = status.pages * StopMemory::kPageBytes;
  return status;
}

void RemoteTarget::LimitMemoryCache(std::uint64_t bytes) {
  memory_.set_limit(bytes / StopMemory::kPageBytes + (bytes % StopMemory::kPageBytes != 0 ? 1 : 0));
}

void RemoteTarget::ForgetMemory() {
  DropMemory();
  forgotten_ = true;
}

void RemoteTarget::DropMemory() {
  memory_.Clear();
  for (const PendingRead& read : prefetches_) client_->Abandon(read.call);
  prefetches_.clear();
}

void RemoteTarget::EnterStop(const rpc::StopEvent& stop) {
  DropMemory();
  forgotten_ = false;
  contexts_.clear();
  state_ = rpc::TargetState::kHalted;
  stop_ = stop;
  if (stop.driver_epoch != 0) driver_epoch_ = stop.driver_epoch;
  if (!stop.context.empty()) contexts_[stop.processor] = stop.context;
  for (const rpc::MemoryChunk& chunk : stop.memory)
    memory_.Insert(AddressSpace::Virtual(), chunk.address, chunk.bytes);
}

void RemoteTarget::LeaveStop(rpc::TargetState state) {
  DropMemory();
  contexts_.clear();
  stop_.reset();
  state_ = state;
}

// ---- memory
// -------------------------------------------------------------------------------------------------------

RemoteTarget::PendingRead RemoteTarget::SendRead(AddressSpace space, std::vector<rpc::ReadRange> ranges) {
  PendingRead read;
  read.space = space;
  read.call = client_->Send(rpc::ReadMemory{space, ranges, forgotten_});
  read.ranges = std::move(ranges);
  return read;
}

Result<void> RemoteTarget::TakeRead(const PendingRead& read) {
  Result<Reply> reply = client_->Wait(read.call, ReadLimit(TotalSize(read.ranges)));
  if (!reply) return reply.error();
  auto* answer = std::get_if<rpc::MemoryRead>(&reply->answer);
  if (!answer || answer->sizes.size() != read.ranges.size()) return BadAnswer();
  std::span<const std::byte> rest = reply->bulk;
  for (std::size_t i = 0; i < read.ranges.size(); ++i) {
    std::uint64_t size = answer->sizes[i];
    if (size > read.ranges[i].size || size > rest.size()) return BadAnswer();
    memory_.Insert(read.space, read.ranges[i].address, rest.first(size));
    if (size < read.ranges[i].size) memory_.MarkUnreadable(read.space, read.ranges[i].address + size);
    rest = rest.subspan(size);
  }
  return {};
}

Result<void> RemoteTarget::Fetch(AddressSpace space, const std::vector<rpc::ReadRange>& ranges) {
  std::vector<std::vector<rpc::ReadRange>> requests = SplitReads(ranges);
  std::vector<PendingRead> sent;
  Result<void> result{};
  for (std::size_t next = 0, taken = 0; taken < requests.size(); ++taken) {
    while (next < requests.size() && next < taken + kMaxReadsInFlight)
      sent.push_back(SendRead(space, requests[next++]));
    result = TakeRead(sent[taken]);
    if (result) continue;
    for (std::size_t left = taken + 1; left < sent.size(); ++left) client_->Abandon(sent[left].call);
    break;
  }
  return result;
}

/// Takes the answers that are there, and waits for those that hold what is wanted.
void RemoteTarget::HarvestPrefetches(AddressSpace space, const std::vector<rpc::ReadRange>& wanted) {
  auto overlaps = [&](const PendingRead& read) {
    if (read.space != space) return false;
    return std::any_of(read.ranges.begin(), read.ranges.end(), [&](const rpc::ReadRange& have) {
      return std::any_of(wanted.begin(), wanted.end(), [&](const rpc::ReadRange& want) {
        return have.address < want.address + want.size && want.address < have.address + have.size;
      });
    });
  };
  for (auto read = prefetches_.begin(); read != prefetches_.end();) {
    if (!overlaps(*read)) {
      ++read;
      continue;
    }
    PendingRead taken = std::move(*read);
    read = prefetches_.erase(read);
    // An error shows up again when the caller asks for what is still missing.
    (void)TakeRead(taken);
  }
}

void RemoteTarget::Prefetch(AddressSpace space, std::span<const rpc::ReadRange> ranges) {
  if (!Remembers(space)) return;
  std::vector<rpc::ReadRange> missing;
  for (const rpc::ReadRange& range : ranges) {
    for (const rpc::ReadRange& chunk : memory_.Missing(space, range.address, range.size))
      missing.push_back(chunk);
  }
  for (std::vector<rpc::ReadRange>& request : SplitReads(missing)) {
    if (prefetches_.size() >= kMaxPrefetches) return;
    prefetches_.push_back(SendRead(space, std::move(request)));
  }
}

Result<std::size_t> RemoteTarget::Read(AddressSpace space, std::uint64_t address, std::span<std::byte> out) {
  if (out.empty()) return std::size_t{0};
  std::vector<rpc::ReadRange> missing;
  const bool remembers = Remembers(space);
  if (remembers) missing = memory_.Missing(space, address, out.size());
  const bool known_all = remembers && missing.empty();
  ++(known_all ? cache_counters_.reads_known : cache_counters_.reads_asked);
  (known_all ? cache_counters_.bytes_known : cache_counters_.bytes_asked) += out.size();
  if (!remembers) return ReadUncached(space, address, out);
  if (!missing.empty() && !prefetches_.empty()) {
    HarvestPrefetches(space, missing);
    missing = memory_.Missing(space, address, out.size());
  }
  if (!missing.empty()) {
    Result<void> fetched = Fetch(space, missing);
    if (!fetched) return fetched.error();
    // More than the cache holds: what came first was dropped again.
    if (out.size() > memory_.limit() * StopMemory::kPageBytes / 4) return ReadUncached(space, address, out);
  }
  std::size_t known = memory_.ReadKnown(space, address, out);
  if (known > 0) return known;
  if (memory_.KnownUnreadable(space, address)) return Unreadable(address);
  return ReadUncached(space, address, out);
}

bool RemoteTarget::Knows(AddressSpace space, std::uint64_t address, std::uint64_t size) const {
  return Remembers(space) && memory_.Missing(space, address, size).empty();
}

Result<std::size_t> RemoteTarget::ReadUncached(AddressSpace space, std::uint64_t address,
                                               std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    std::uint64_t size = std::min<std::uint64_t>(out.size() - done, kMaxReadBytes);
    std::vector<std::byte> bytes;
    Result<rpc::MemoryRead> read = Ask<rpc::MemoryRead>(
        rpc::ReadMemory{space, {{address + done, size}}, true}, {}, &bytes, ReadLimit(size));
    if (!read) {
      if (read.error().code == Errc::kUnreadable && done > 0) return done;
      return read.error();
    }
    if (read->sizes.size() != 1 || read->sizes[0] > size || read->sizes[0] > bytes.size()) return BadAnswer();
    std::copy_n(bytes.begin(), read->sizes[0], out.begin() + static_cast<std::ptrdiff_t>(done));
    done += read->sizes[0];
    if (read->sizes[0] < size) break;
  }
  if (done == 0) return Unreadable(address);
  return done;
}

Result<std::size_t> RemoteTarget::Write(AddressSpace space, std::uint64_t address,
                                        std::span<const std::byte> data) {
  // Any mapping may show the bytes written: everything known is void, also when the request fails half-way.
  DropMemory();
  std::size_t done = 0;
  while (done < data.size()) {
    std::size_t size = std::min<std::size_t>(data.size() - done, kMaxReadBytes);
    std::span<const std::byte> part = data.subspan(done, size);
    Result<rpc::MemoryWritten> written = Ask<rpc::MemoryWritten>(
        rpc::WriteMemory{space, address + done}, {part.begin(), part.end()}, nullptr, ReadLimit(size));
    if (!written) {
      if (done > 0 && written.error().code == Errc::kUnreadable) return done;
      return written.error();
    }
    done += std::min<std::uint64_t>(written->size, size);
    if (written->size < size) break;
  }
  return done;
}

Result<plan::Output> RemoteTarget::Run(const plan::Plan& plan) {
  plan::Output output;
  bool keep = CacheUsable();
  Result<rpc::PlanResult> result = Ask<rpc::PlanResult>(rpc::RunPlan{plan}, {}, &output.data, kPlanLimit);
  if (!result) return result.error();
  output.records = std::move(result->records);
  output.ending = result->ending;
  std::span<const std::byte> rest = output.data;
  for (const plan::Record& record : output.records) {
    if (record.data_size > rest.size()) return BadAnswer();
    if (keep && record.data_size > 0)
      memory_.Insert(record.space, record.address, rest.first(record.data_size));
    bool cut_by_limit = output.ending != plan::Ending::kFinished || record.value > plan::kMaxEmitBytes;
    if (keep && record.address != 0 && record.data_size < record.value && !cut_by_limit) {
      memory_.MarkUnreadable(record.space, record.address + record.data_size);
    }
    rest = rest.subspan(record.data_size);
  }
  return output;
}

// ---- registers
// ----------------------------------------------------------------------------------------------------

Result<std::vector<std::byte>> RemoteTarget::ReadContext(std::uint32_t processor) {
  if (CacheUsable()) {
    if (auto known = contexts_.find(processor); known != contexts_.end()) return known->second;
  }
  std::vector<std::byte> context;
  Result<rpc::Bytes> answer = Ask<rpc::Bytes>(rpc::GetContext{processor}, {}, &context);
  if (!answer) return answer.error();
  if (CacheUsable()) contexts_[processor] = context;
  return context;
}

Result<void> RemoteTarget::WriteContext(std::uint32_t processor, std::span<const std::byte> context) {
  contexts_.erase(processor);
  return Do(rpc::SetContext{processor}, {context.begin(), context.end()});
}

Result<std::vector<std::byte>> RemoteTarget::ReadControlSpace(std::uint32_t processor, std::uint64_t selector,
                                                              std::uint32_t size) {
  std::vector<std::byte> bytes;
  Result<rpc::Bytes> answer = Ask<rpc::Bytes>(rpc::ReadControlSpace{processor, selector, size}, {}, &bytes);
  if (!answer) return answer.error();
  return bytes;
}

Result<std::uint64_t> RemoteTarget::ReadMsr(std::uint32_t processor, std::uint32_t number) {
  Result<rpc::Value> value = Ask<rpc::Value>(rpc::ReadMsr{processor, number}, {}, nullptr);
  if (!value) return value.error();
  return value->value;
}

Result<void> RemoteTarget::WriteMsr(std::uint32_t processor, std::uint32_t number, std::uint64_t value) {
  DropMemory();
  return Do(rpc::WriteMsr{processor, number, value});
}

// ---- running
// --------------------------------------------------------------------------------------------------------

Result<std::uint64_t> RemoteTarget::SetBreakpoint(const rpc::SetBreakpoint& breakpoint) {
  Result<rpc::Value> id = Ask<rpc::Value>(breakpoint, {}, nullptr);
  if (!id) return id.error();
  return id->value;
}

Result<void> RemoteTarget::ClearBreakpoint(std::uint64_t id) { return Do(rpc::ClearBreakpoint{id}); }

Result<void> RemoteTarget::Resume(const ResumeOptions& options) {
  if (!stop_) return Error{Errc::kTargetRunning, "the target is not halted"};
  // An older server would step the other one.
  if (options.step && options.step_processor && !client_->Has(rpc::kStepProcessorCapability)) {
    const std::string stopped = std::to_string(stop_->processor);
    return Error{Errc::kUnsupported,
                 "this version of the KD connection server steps only the processor that stopped, here " +
                     stopped + "; ~" + stopped + "s selects it"};
  }
  DropMemory();
  Result<void> resumed = Do(rpc::Resume{stop_->stop_counter, driver_epoch_, options.step, options.handled,
                                        options.temporary_breakpoints, options.step_processor});
  if (!resumed) return resumed;
  LeaveStop(rpc::TargetState::kRunning);
  return {};
}

void RemoteTarget::BreakIn() {
  // Any thread: the server refuses it if this client does not drive.
  client_->Urge(rpc::BreakIn{});
}

Result<void> RemoteTarget::SwitchProcessor(std::uint32_t processor) {
  DropMemory();
  return Do(rpc::SwitchProcessor{processor});
}

Result<void> RemoteTarget::AnswerPrompt(std::string text) { return Do(rpc::AnswerPrompt{std::move(text)}); }
Result<void> RemoteTarget::AnswerFile(const rpc::AnswerFile& answer, std::span<const std::byte> data) {
  return Do(answer, {data.begin(), data.end()});
}
Result<void> RemoteTarget::Configure(const rpc::Configure& options) {
  if (options.trace_packets && !client_->Has(rpc::kPacketTraceCapability))
    return Error{Errc::kUnsupported, "this version of the KD connection server does not trace packets"};
  if (options.baud && !client_->Has(rpc::kLineSpeedCapability)) {
    return Error{
        Errc::kUnsupported,
        "this version of the KD connection server does not change line speeds; open the link again with "
        "another baud="};
  }
  return Do(options);
}
Result<void> RemoteTarget::Reboot() { return Do(rpc::Reboot{}); }
Result<void> RemoteTarget::Crash() { return Do(rpc::Crash{}); }
Result<void> RemoteTarget::Resynchronize() { return Do(rpc::Resynchronize{}); }
Result<rpc::LinkStatus> RemoteTarget::LinkStatus() {
  return Ask<rpc::LinkStatus>(rpc::GetLinkStatus{}, {}, nullptr);
}
Result<void> RemoteTarget::EndServer(bool force) { return Do(rpc::EndServer{force}); }

Result<void> RemoteTarget::Close(bool resume) {
  if (closed_) return {};
  closed_ = true;
  Result<void> done{};
  if (client_->away()) {
    done = Error{Errc::kUnreachable,
                 "the connection is lost; the server keeps the session for a while and then lets go of it"};
  } else if (!client_->failure()) {
    Result<rpc::Done> answer = Ask<rpc::Done>(rpc::CloseLink{resume}, {}, nullptr, kCloseLimit);
    if (!answer) done = answer.error();
  }
  client_->Close();
  LeaveStop(rpc::TargetState::kOffline);
  return done;
}

}  // namespace longwire

#include "transport/rpc_channel.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "proto/rpc/frame.h"
#include "proto/shared_moment.h"
#include "transport/send_queue.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

/// One read should get a whole small frame, and often several.
constexpr std::size_t kInputBytes = 64u << 10;
/// Until the hello was exchanged: there may be hundreds of peers that never say one.
constexpr std::size_t kFirstInputBytes = 1u << 10;
/// Urgent frames are few and small; a full queue must not keep a cancel or a goodbye from leaving.
constexpr std::size_t kUrgentSlackBytes = 1u << 20;

/// Everything a channel has, kept alive by the calls and handlers that are under way.
///
/// Coroutines: Receive() (the caller's; reads, owns `input`) and WriteLoop() (at most one, while `writing`;
/// owns `batch`). Handlers: Flush() (posted, while `flush_posted`) and the keepalive timer.
struct Core : std::enable_shared_from_this<Core> {
  Core(Executor on, std::unique_ptr<Stream> over, ChannelLimits within)
      : executor(std::move(on)),
        stream(std::move(over)),
        limits(within),
        timer(executor),
        input(kFirstInputBytes) {}

  Executor executor;
  std::unique_ptr<Stream> stream;
  const ChannelLimits limits;
  boost::asio::steady_timer timer;

  std::vector<std::byte> input;  ///< [ used | begin ... end | free ]
  std::size_t begin = 0, end = 0;
  bool reading = false, greeted = false;
  std::size_t hello_bytes = 0;  ///< received before the Welcome
  Clock::time_point last_received, last_sent;
  int keepalives = 0;                       ///< sent since the last other message, up to kCalmAfter
  bool peer_takes_calm = false;             ///< it says itself when its next keepalive comes
  std::chrono::milliseconds peer_extra{0};  ///< what it takes longer than the usual, being calm

  SendQueue queue;
  SendQueue::Batch batch;
  bool writing = false, flush_posted = false;
  bool answering = false;  ///< something was received since the last flush
  std::vector<std::shared_ptr<boost::asio::steady_timer>> drains;

  bool closed = false, silent = false;
  std::optional<Error> write_error;

  bool Calm() const { return peer_takes_calm && keepalives >= ChannelLimits::kCalmAfter; }
  std::chrono::milliseconds Interval() const { return Calm() ? limits.calm : limits.keepalive; }
  std::chrono::milliseconds Patience() const { return limits.silence + peer_extra; }
  std::size_t Outgoing() const { return queue.bytes() + batch.size(); }
};
using CorePointer = std::shared_ptr<Core>;

void CloseCore(Core& core) {
  if (core.closed) return;
  core.closed = true;
  core.queue.Clear();
  core.timer.cancel();
  for (const auto& drain : core.drains) drain->cancel();
  core.stream->Close();
}

void Tick(const CorePointer& core);

void Arm(const CorePointer& core, Clock::time_point at) {
  core->timer.expires_at(at);
  core->timer.async_wait([core](const boost::system::error_code& error) {
    if (!error) Tick(core);
  });
}

// ---- sending
// ---------------------------------------------------------------------------------------------------

void NotifyDrained(Core& core) {
  for (const auto& drain : core.drains) drain->cancel();
}

void StopWriting(Core& core, Error error) {
  // The stream stays open: what the peer said before it went (a Reject, a Goodbye) can still be read.
  core.write_error = std::move(error);
  core.queue.Clear();
  core.batch.Clear();
  NotifyDrained(core);
}

Awaitable<void> WriteLoop(CorePointer core, std::size_t written) {
  while (!core->closed) {
    const auto head = std::span<const std::byte>(core->batch.head).subspan(written);
    const auto done = co_await core->stream->WriteAll(head, core->batch.body);
    core->last_sent = Clock::now();
    if (!done) {
      if (!core->closed) StopWriting(*core, done.error());
      break;
    }
    core->batch.Clear();
    written = 0;
    if (core->queue.empty()) break;
    core->queue.Take(core->batch);
  }
  core->writing = false;
  NotifyDrained(*core);
}

/// Writes what is queued, in one go and without a coroutine while the stream takes it.
void Flush(const CorePointer& core) {
  core->flush_posted = core->answering = false;
  while (!core->closed && !core->writing && !core->queue.empty()) {
    core->queue.Take(core->batch);
    const std::size_t written = core->stream->TryWrite(core->batch.head);
    if (written < core->batch.head.size() || !core->batch.body.empty()) {
      core->writing = true;
      boost::asio::co_spawn(core->executor, WriteLoop(core, written), [core](std::exception_ptr failure) {
        if (failure) CloseCore(*core);
      });
      return;
    }
    core->batch.Clear();
    core->last_sent = Clock::now();
  }
  if (!core->writing) NotifyDrained(*core);
}

/// Whoever hears something else counts on the usual keepalive behind it.
void BeLively(const CorePointer& core) {
  const bool calm = core->Calm();
  core->keepalives = 0;
  if (calm) Arm(core, std::min(core->timer.expiry(), Clock::now() + core->limits.keepalive));
}

Result<void> Enqueue(const CorePointer& core, rpc::Envelope envelope, bool urgent) {
  if (core->closed) return Error{Errc::kCancelled, "The connection was closed on this side."};
  if (core->write_error) return *core->write_error;
  SendQueue::Frame frame{rpc::EncodeFrameHead(envelope), std::move(envelope.bulk)};
  const std::size_t size = frame.head.size() + frame.bulk.size();
  if (frame.head.size() > rpc::kMaxEnvelopeBytes + rpc::kFrameHeaderBytes ||
      frame.bulk.size() > rpc::kMaxBulkBytes) {
    return Error{Errc::kLimitExceeded, "A message of " + std::to_string(size) +
                                           " bytes is larger than a frame may be; ask for less at once."};
  }
  if (core->Outgoing() + size > core->limits.queued_bytes + (urgent ? kUrgentSlackBytes : 0)) {
    return Error{Errc::kLimitExceeded, "The peer reads too slowly: " + std::to_string(core->Outgoing()) +
                                           " bytes are waiting to be sent."};
  }
  if (std::holds_alternative<rpc::Welcome>(envelope.message)) core->greeted = true;
  if (!std::holds_alternative<rpc::Keepalive>(envelope.message)) BeLively(core);
  core->queue.Push(std::move(frame), urgent);
  if (core->writing || core->flush_posted) return {};
  // The first message after one of the peer is what the peer waits for; others of the same turn of the
  // executor leave together.
  if (core->answering) {
    Flush(core);
  } else {
    core->flush_posted = true;
    boost::asio::post(core->executor, [core] { Flush(core); });
  }
  return {};
}

Awaitable<Result<void>> Drain(CorePointer core, std::chrono::milliseconds limit) {
  const auto wait = std::make_shared<boost::asio::steady_timer>(core->executor, limit);
  const auto until = wait->expiry();
  core->drains.push_back(wait);
  while (!core->closed && !core->write_error && core->Outgoing() > 0 && Clock::now() < until) {
    co_await wait->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  std::erase(core->drains, wait);
  if (core->closed) co_return Error{Errc::kCancelled, "The connection was closed on this side."};
  if (core->write_error) co_return *core->write_error;
  if (core->Outgoing() > 0) {
    co_return Error{Errc::kTimedOut, std::to_string(core->Outgoing()) + " bytes could not be sent in time."};
  }
  co_return Result<void>();
}

// ---- time
// ------------------------------------------------------------------------------------------------------

Clock::time_point KeepaliveAfter(const Core& core, Clock::time_point sent) {
  return SharedMoment(sent + core.Interval(), core.limits.keepalive / 4);
}

/// One timer for both duties. It is not touched when messages pass; it looks at what happened when it
/// expires.
void Tick(const CorePointer& core) {
  if (core->closed) return;
  const auto now = Clock::now();
  auto next = KeepaliveAfter(*core, now);
  auto silent_at = now + core->Patience();
  if (core->reading) {
    if (now - core->last_received >= core->Patience()) {
      core->silent = true;
      core->stream->Close();
      return;
    }
    silent_at = core->last_received + core->Patience();
  }
  if (!core->writing && !core->write_error) {
    if (now >= KeepaliveAfter(*core, core->last_sent)) {
      core->keepalives = std::min(core->keepalives + 1, ChannelLimits::kCalmAfter);
      const rpc::Keepalive keepalive{static_cast<std::uint32_t>(core->Interval().count())};
      (void)Enqueue(core, {0, keepalive, {}}, true);
      core->last_sent = now;
    }
    next = KeepaliveAfter(*core, core->last_sent);
  }
  Arm(core, std::min(next, silent_at));
}

// ---- receiving
// -------------------------------------------------------------------------------------------------

Error StreamEnded(const Core& core, bool inside) {
  if (core.silent) {
    return {Errc::kTimedOut, "Nothing was heard from " + core.stream->peer().address + " for " +
                                 std::to_string(core.Patience().count()) +
                                 " ms; the peer or the network is gone."};
  }
  if (core.closed) return {Errc::kCancelled, "The connection was closed on this side."};
  if (inside) return {Errc::kIo, core.stream->peer().address + " went away in the middle of a message."};
  return {Errc::kClosed, core.stream->peer().address + " closed the connection."};
}

/// Before a read of the stream: what ends the channel instead of it. `inside`: part of a frame was read
/// already.
std::optional<Error> StartReading(Core& core, bool inside) {
  if (core.silent || core.closed) return StreamEnded(core, inside);
  // A caller that was away for long must not find the peer dead before it looked.
  core.last_received = Clock::now();
  core.reading = true;
  // Who answers and then waits has nothing to add to what it queued; its peer need not wait for the next
  // turn.
  if (core.flush_posted) Flush(core.shared_from_this());
  return std::nullopt;
}

/// After it: how many bytes came, at least one.
Result<std::size_t> EndReading(Core& core, Result<std::size_t> count, bool inside) {
  core.reading = false;
  core.last_received = Clock::now();
  if (core.silent || core.closed || (count && *count == 0)) return StreamEnded(core, inside);
  return count;
}

/// Room in the input for a frame's head of `wanted` bytes.
void MakeRoom(Core& core, std::size_t wanted) {
  if (core.greeted && core.input.size() < kInputBytes) core.input.resize(kInputBytes);
  if (core.begin + wanted <= core.input.size()) return;
  std::memmove(core.input.data(), core.input.data() + core.begin, core.end - core.begin);
  core.end -= core.begin;
  core.begin = 0;
  if (wanted > core.input.size()) core.input.resize(wanted);
}

void Consume(Core& core, std::size_t count) {
  core.begin += count;
  if (core.begin < core.end) return;
  core.begin = core.end = 0;
  // A large envelope is rare; its room is not kept for the life of a connection.
  if (core.input.size() > 4 * kInputBytes) {
    core.input.resize(kInputBytes);
    core.input.shrink_to_fit();
  }
}

std::span<const std::byte> Unread(const Core& core) {
  return std::span<const std::byte>(core.input).subspan(core.begin, core.end - core.begin);
}

/// The header of the next frame once it stands in the input.
Result<std::optional<rpc::FrameHeader>> NextHeader(const Core& core) {
  const auto unread = Unread(core);
  if (unread.size() < rpc::kFrameHeaderBytes) return std::optional<rpc::FrameHeader>();
  const auto header = rpc::DecodeFrameHeader(unread.first<rpc::kFrameHeaderBytes>(), core.greeted);
  if (!header) return header.error();
  const std::size_t head = rpc::kFrameHeaderBytes + header->envelope_bytes;
  if (!core.greeted && core.hello_bytes + head > rpc::kMaxHelloBytes) {
    return Error{Errc::kMalformed, "The peer sent too much before the handshake was over."};
  }
  return std::optional(*header);
}

/// The envelope of the frame whose head stands in the input, and of its bulk part what stands there too.
Result<rpc::Envelope> TakeEnvelope(Core& core, const rpc::FrameHeader& header, std::vector<std::byte>& bulk) {
  const std::size_t head = rpc::kFrameHeaderBytes + header.envelope_bytes;
  auto envelope = rpc::DecodeEnvelope(Unread(core).subspan(rpc::kFrameHeaderBytes, header.envelope_bytes));
  if (!core.greeted) core.hello_bytes += head;
  const auto behind = Unread(core).subspan(head);
  const auto part = behind.first(std::min<std::size_t>(header.bulk_bytes, behind.size()));
  bulk.reserve(header.bulk_bytes);
  bulk.assign(part.begin(), part.end());
  Consume(core, head + part.size());
  return envelope;
}

/// The rest of a bulk part; `have` bytes of it stand in `bulk`.
Awaitable<Result<void>> ReadBulk(Core& core, std::span<std::byte> bulk, std::size_t have) {
  while (have < bulk.size()) {
    if (auto error = StartReading(core, true)) co_return std::move(*error);
    const auto count = EndReading(core, co_await core.stream->ReadSome(bulk.subspan(have)), true);
    if (!count) co_return count.error();
    have += *count;
  }
  co_return Result<void>();
}

void OnKeepalive(Core& core, const rpc::Keepalive& keepalive) {
  const std::chrono::milliseconds next(keepalive.next_ms);
  core.peer_takes_calm = keepalive.next_ms != 0;
  core.peer_extra =
      std::max(std::chrono::milliseconds(0), std::min(next, core.limits.calm) - core.limits.keepalive);
}

/// Whether a message is the owner's; the others are the channel's own business.
bool IsForOwner(const CorePointer& core, const Result<rpc::Envelope>& envelope) {
  core->peer_extra = std::chrono::milliseconds(0);
  if (envelope) {
    if (std::holds_alternative<rpc::Welcome>(envelope->message)) core->greeted = true;
    const auto* keepalive = std::get_if<rpc::Keepalive>(&envelope->message);
    if (keepalive != nullptr) OnKeepalive(*core, *keepalive);
    return keepalive == nullptr;
  }
  if (envelope.error().code != Errc::kUnsupported || !core->greeted) return true;
  // A newer peer: its requests get an answer, anything else is passed over.
  Error error = envelope.error();
  const std::uint64_t id = std::exchange(error.address, 0);
  if (id != 0) (void)Enqueue(core, {id, rpc::Response{std::move(error)}, {}}, false);
  return false;
}

/// One coroutine for everything but large bulk parts: a small message costs no more than its read.
Awaitable<Result<rpc::Envelope>> Receive(CorePointer core) {
  for (;;) {
    const auto header = NextHeader(*core);
    if (!header) co_return header.error();
    const std::size_t wanted = rpc::kFrameHeaderBytes + (*header ? (*header)->envelope_bytes : 0);
    if (Unread(*core).size() < wanted) {
      MakeRoom(*core, wanted);
      const bool inside = core->end > core->begin;
      if (auto error = StartReading(*core, inside)) co_return std::move(*error);
      const auto count = EndReading(
          *core, co_await core->stream->ReadSome(std::span(core->input).subspan(core->end)), inside);
      if (!count) co_return count.error();
      core->end += *count;
      continue;
    }
    std::vector<std::byte> bulk;
    auto envelope = TakeEnvelope(*core, **header, bulk);
    const bool usable = envelope || envelope.error().code == Errc::kUnsupported;
    if (const std::size_t have = bulk.size(); usable && have < (*header)->bulk_bytes) {
      bulk.resize((*header)->bulk_bytes);
      if (const auto read = co_await ReadBulk(*core, bulk, have); !read) co_return read.error();
    }
    if (envelope) envelope->bulk = std::move(bulk);
    core->answering = true;
    if (IsForOwner(core, envelope)) co_return envelope;
  }
}

class Channel final : public RpcChannel {
 public:
  explicit Channel(CorePointer core) : core_(std::move(core)) {}
  ~Channel() override { CloseCore(*core_); }

  Awaitable<Result<rpc::Envelope>> Receive() override { return longwire::Receive(core_); }
  Result<void> Enqueue(rpc::Envelope envelope, Lane lane) override {
    return longwire::Enqueue(core_, std::move(envelope), lane == Lane::kUrgent);
  }
  Awaitable<Result<void>> Drain(std::chrono::milliseconds limit) override {
    return longwire::Drain(core_, limit);
  }
  std::size_t queued_bytes() const noexcept override { return core_->Outgoing(); }
  std::chrono::milliseconds peer_extra() const noexcept override { return core_->peer_extra; }
  void Close() noexcept override { CloseCore(*core_); }
  const PeerInfo& peer() const noexcept override { return core_->stream->peer(); }

 private:
  CorePointer core_;
};

}  // namespace

std::unique_ptr<RpcChannel> RpcChannel::Make(Executor executor, std::unique_ptr<Stream> stream,
                                             ChannelLimits limits) {
  limits.silence += stream->peer().slowness;
  auto core = std::make_shared<Core>(std::move(executor), std::move(stream), limits);
  core->last_received = core->last_sent = Clock::now();
  Tick(core);
  return std::make_unique<Channel>(std::move(core));
}

}  // namespace longwire

#include "transport/memory_stream.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <vector>

namespace longwire {
namespace {

/// One direction: a ring of bytes and a wake-up for either side.
///
///   buffer: [ ....|first ... first + used|.... ]   (wraps)
struct Direction {
  Direction(const Executor& executor, std::size_t capacity) : buffer(capacity), wake(executor) {
    wake.expires_at(std::chrono::steady_clock::time_point::max());
  }

  void Notify() { wake.cancel(); }

  std::vector<std::byte> buffer;
  std::size_t first = 0, used = 0;
  bool ended = false;  ///< the writer shut down or went away
  bool writer_closed = false, reader_closed = false;
  boost::asio::steady_timer wake;  ///< never expires; cancelled when something changed
};

Awaitable<void> WaitForChange(std::shared_ptr<Direction> direction) {
  co_await direction->wake.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

Error OwnClose() { return {Errc::kCancelled, "The stream was closed on this side."}; }

Awaitable<Result<std::size_t>> Read(std::shared_ptr<Direction> direction, std::span<std::byte> out) {
  while (!direction->reader_closed && direction->used == 0 && !direction->ended)
    co_await WaitForChange(direction);
  if (direction->reader_closed) co_return OwnClose();
  const std::size_t count = std::min(out.size(), direction->used);
  const std::size_t straight = std::min(count, direction->buffer.size() - direction->first);
  std::memcpy(out.data(), direction->buffer.data() + direction->first, straight);
  std::memcpy(out.data() + straight, direction->buffer.data(), count - straight);
  direction->first = (direction->first + count) % direction->buffer.size();
  direction->used -= count;
  if (count > 0) direction->Notify();
  co_return count;
}

Awaitable<Result<void>> Write(std::shared_ptr<Direction> direction, std::span<const std::byte> data) {
  while (!data.empty()) {
    if (direction->writer_closed) co_return OwnClose();
    if (direction->reader_closed)
      co_return Error{Errc::kIo, "The other end of the stream is gone.", 0, EPIPE};
    if (direction->ended) co_return Error{Errc::kInternal, "Write after the end of the stream."};
    const std::size_t room = direction->buffer.size() - direction->used;
    if (room == 0) {
      co_await WaitForChange(direction);
      continue;
    }
    const std::size_t at = (direction->first + direction->used) % direction->buffer.size();
    const std::size_t count = std::min({data.size(), room, direction->buffer.size() - at});
    std::memcpy(direction->buffer.data() + at, data.data(), count);
    direction->used += count;
    data = data.subspan(count);
    direction->Notify();
  }
  co_return Result<void>();
}

class MemoryStream final : public Stream {
 public:
  MemoryStream(std::shared_ptr<Direction> in, std::shared_ptr<Direction> out)
      : in_(std::move(in)), out_(std::move(out)) {
    peer_.address = "memory";
    peer_.loopback = true;
    peer_.user_id = ::geteuid();
  }
  ~MemoryStream() override { Close(); }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override { return Read(in_, out); }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return WriteBoth(out_, head, body);
  }
  Awaitable<Result<void>> ShutdownWrite() override { return End(out_); }
  void Close() noexcept override {
    in_->reader_closed = true;
    in_->Notify();
    out_->writer_closed = true;
    out_->ended = true;
    out_->Notify();
  }
  const PeerInfo& peer() const noexcept override { return peer_; }

 private:
  static Awaitable<Result<void>> WriteBoth(std::shared_ptr<Direction> direction,
                                           std::span<const std::byte> head, std::span<const std::byte> body) {
    const auto written = co_await Write(direction, head);
    if (!written) co_return written.error();
    co_return co_await Write(direction, body);
  }
  static Awaitable<Result<void>> End(std::shared_ptr<Direction> direction) {
    direction->ended = true;
    direction->Notify();
    co_return Result<void>();
  }

  std::shared_ptr<Direction> in_, out_;
  PeerInfo peer_;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> MakeMemoryStreams(Executor executor,
                                                                              std::size_t capacity) {
  auto there = std::make_shared<Direction>(executor, capacity);
  auto back = std::make_shared<Direction>(executor, capacity);
  return {std::make_unique<MemoryStream>(back, there), std::make_unique<MemoryStream>(there, back)};
}

}  // namespace longwire

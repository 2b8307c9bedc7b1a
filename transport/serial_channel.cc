#include "transport/serial_channel.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <map>
#include <random>

#include "proto/mux/line_mux.h"
#include "transport/recording_stream.h"
#include "transport/serial_stream.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kWait = boost::asio::as_tuple(boost::asio::use_awaitable);
constexpr std::size_t kReadBytes = 4096;

Error OwnClose() { return {Errc::kCancelled, "The stream was closed on this side."}; }

/// The line and what its users share: a coroutine that reads, one that writes, one that keeps the time.
struct Line {
  Line(Executor on, std::string path, std::uint32_t rate, std::unique_ptr<Stream> opened)
      : executor(std::move(on)),
        device(std::move(path)),
        baud(rate),
        stream(std::move(opened)),
        mux(mux::TimingFor(rate)),
        changed(executor),
        work(executor),
        tick(executor) {
    changed.expires_at(Clock::time_point::max());
    work.expires_at(Clock::time_point::max());
  }

  /// Something may be to send, or a user may go on.
  void Touch() {
    work.cancel();
    changed.cancel();
    tick.expires_at(mux.wake());
    if (had_users && users == 0 && mux.idle()) Stop({Errc::kClosed, "The line was closed."});
  }
  void AddUser() {
    ++users;
    had_users = true;
  }
  void Stop(Error why) {
    if (failure) return;
    failure = std::move(why);
    stream->Close();
    work.cancel();
    tick.cancel();
    changed.cancel();
  }

  Executor executor;
  std::string device;
  std::uint32_t baud;
  std::unique_ptr<Stream> stream;
  mux::LineMux mux;
  std::size_t users = 0;   ///< streams and acceptors
  bool had_users = false;  ///< the coroutines begin before the first one is there
  std::optional<Error> failure;
  boost::asio::steady_timer changed;  ///< never expires; cancelled when users may go on
  boost::asio::steady_timer work;     ///< never expires; cancelled when the writer may
  boost::asio::steady_timer tick;     ///< for mux.Tick()
};
using LinePointer = std::shared_ptr<Line>;

Awaitable<void> ReadLine(LinePointer line) {
  std::vector<std::byte> bytes(kReadBytes);
  while (!line->failure) {
    const auto count = co_await line->stream->ReadSome(bytes);
    if (!count || *count == 0) {
      co_return line->Stop(count ? Error{Errc::kLinkFailed, line->device + " hung up."} : count.error());
    }
    line->mux.Feed(std::span(bytes).first(*count), Clock::now());
    line->Touch();
  }
}

Awaitable<void> WriteLine(LinePointer line) {
  while (!line->failure) {
    const std::vector<std::byte> bytes = line->mux.NextBytes(Clock::now());
    if (bytes.empty()) {
      line->Touch();
      if (!line->failure) co_await line->work.async_wait(kWait);
      continue;
    }
    const auto written = co_await line->stream->WriteAll(bytes);
    if (!written) co_return line->Stop(written.error());
    line->changed.cancel();
  }
}

Awaitable<void> KeepTime(LinePointer line) {
  while (!line->failure) {
    const auto [cancelled] = co_await line->tick.async_wait(kWait);
    if (cancelled || line->failure) continue;
    line->mux.Tick(Clock::now());
    line->Touch();
  }
}

/// The lines of this thread: their users run on one executor, so nothing is shared between threads.
std::map<std::string, std::weak_ptr<Line>>& OpenLines() {
  static thread_local std::map<std::string, std::weak_ptr<Line>> lines;
  return lines;
}

Result<LinePointer> ShareLine(const Executor& executor, const SerialPlace& place,
                              std::shared_ptr<std::string> heard = nullptr) {
  std::error_code unknown;
  const std::filesystem::path real = std::filesystem::canonical(place.device, unknown);
  const std::string device = unknown ? place.device : real.string();
  std::erase_if(OpenLines(), [](const auto& entry) { return entry.second.expired(); });
  const auto found = OpenLines().find(device);
  if (found != OpenLines().end()) {
    const LinePointer line = found->second.lock();
    if (line && !line->failure && line->executor == executor) {
      if (line->baud == place.baud) return line;
      return Error{Errc::kLinkInUse, place.device + " is open with " + std::to_string(line->baud) +
                                         " baud; give the same baud=."};
    }
  }
  auto stream = OpenSerial(executor, place.device, place.baud);
  if (!stream) {
    Error error = stream.error();
    if (error.code == Errc::kLinkInUse)
      error.message += " One process has a line with all its channels; end that one, or use another line.";
    return error;
  }
  if (heard) *stream = MakeRecordingStream(std::move(*stream), std::move(heard), kReadBytes);
  const auto line = std::make_shared<Line>(executor, place.device, place.baud, std::move(*stream));
  OpenLines()[device] = line;
  boost::asio::co_spawn(executor, ReadLine(line), boost::asio::detached);
  boost::asio::co_spawn(executor, WriteLine(line), boost::asio::detached);
  boost::asio::co_spawn(executor, KeepTime(line), boost::asio::detached);
  return line;
}

/// What a stream and its calls under way share.
struct ChannelCore {
  ChannelCore(LinePointer on, mux::SessionKey at) : line(std::move(on)), key(at) { line->AddUser(); }
  ~ChannelCore() { Close(); }

  void Close() noexcept {
    if (closed) return;
    closed = true;
    if (mux::Session* session = line->mux.Find(key)) session->Abandon();
    // Tick() is what removes a session that was abandoned with nothing left to deliver.
    line->mux.Tick(Clock::now());
    --line->users;
    line->Touch();
  }

  LinePointer line;
  mux::SessionKey key;
  bool closed = false;
};
using ChannelPointer = std::shared_ptr<ChannelCore>;

/// Why a call of an open stream cannot go on, if it cannot.
std::optional<Error> Ended(const ChannelCore& core) {
  if (core.closed) return OwnClose();
  mux::Session* session = core.line->mux.Find(core.key);
  Error error{Errc::kIo, "The session is gone."};
  if (core.line->failure) {
    error = *core.line->failure;
    // Only an own Close() cancels.
    if (error.code == Errc::kCancelled) error.code = Errc::kIo;
    return error;
  }
  if (session == nullptr) return error;
  return session->failure();
}

Awaitable<Result<std::size_t>> Read(ChannelPointer core, std::span<std::byte> out) {
  for (;;) {
    if (core->closed) co_return OwnClose();
    mux::Session* session = core->line->mux.Find(core->key);
    const std::size_t count = session ? session->Read(out) : 0;
    if (count > 0) {
      core->line->work.cancel();  // the peer may be waiting for room
      co_return count;
    }
    if (session && session->ended()) co_return std::size_t{0};
    if (const auto error = Ended(*core)) co_return *error;
    co_await core->line->changed.async_wait(kWait);
  }
}

Awaitable<Result<void>> Write(ChannelPointer core, std::span<const std::byte> data) {
  while (!data.empty()) {
    if (const auto error = Ended(*core)) co_return *error;
    mux::Session* session = core->line->mux.Find(core->key);
    if (session->shut_down()) co_return Error{Errc::kInternal, "Write after the end of the stream."};
    const std::size_t count = session->Write(data);
    data = data.subspan(count);
    if (count > 0) {
      core->line->work.cancel();
    } else {
      co_await core->line->changed.async_wait(kWait);
    }
  }
  co_return Result<void>();
}

class ChannelStream final : public Stream {
 public:
  ChannelStream(LinePointer line, mux::SessionKey key)
      : core_(std::make_shared<ChannelCore>(std::move(line), key)) {
    peer_.address = core_->line->device + " channel " + std::to_string(key.channel);
    peer_.slowness = SerialSlowness(core_->line->baud);
    peer_.drain = SerialDrain(core_->line->baud);
  }
  ~ChannelStream() override { core_->Close(); }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override { return Read(core_, out); }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return WriteBoth(core_, head, body);
  }
  Awaitable<Result<void>> ShutdownWrite() override { return End(core_); }
  void Close() noexcept override { core_->Close(); }
  const PeerInfo& peer() const noexcept override { return peer_; }

 private:
  static Awaitable<Result<void>> WriteBoth(ChannelPointer core, std::span<const std::byte> head,
                                           std::span<const std::byte> body) {
    const auto written = co_await Write(core, head);
    if (!written) co_return written.error();
    co_return co_await Write(core, body);
  }
  static Awaitable<Result<void>> End(ChannelPointer core) {
    if (const auto error = Ended(*core)) co_return *error;
    core->line->mux.Find(core->key)->ShutdownWrite();
    core->line->work.cancel();
    co_return Result<void>();
  }

  ChannelPointer core_;
  PeerInfo peer_;
};

struct ListeningCore {
  LinePointer line;
  std::uint8_t channel;
  bool closed = false;
};

Awaitable<Result<std::unique_ptr<Stream>>> AcceptOne(std::shared_ptr<ListeningCore> core) {
  for (;;) {
    if (core->closed) co_return Error{Errc::kCancelled, "The listener was closed."};
    if (core->line->failure) co_return *core->line->failure;
    if (const auto key = core->line->mux.TakeIncoming(core->channel)) {
      co_return std::make_unique<ChannelStream>(core->line, *key);
    }
    co_await core->line->changed.async_wait(kWait);
  }
}

class ChannelAcceptor final : public Acceptor {
 public:
  ChannelAcceptor(LinePointer line, std::uint8_t channel)
      : core_(std::make_shared<ListeningCore>(ListeningCore{std::move(line), channel})) {
    core_->line->AddUser();
  }
  ~ChannelAcceptor() override { Close(); }

  Awaitable<Result<std::unique_ptr<Stream>>> Accept() override { return AcceptOne(core_); }
  void Close() noexcept override {
    if (core_->closed) return;
    core_->closed = true;
    core_->line->mux.StopListening(core_->channel);
    --core_->line->users;
    core_->line->Touch();
  }

 private:
  std::shared_ptr<ListeningCore> core_;
};

}  // namespace

std::chrono::milliseconds SerialDrain(std::uint32_t baud) {
  return mux::TimingFor(baud).keep_alive - mux::Timing{}.keep_alive;
}

/// A byte may be lost behind full buffers, and what is sent again stands behind full ones, too.
std::chrono::milliseconds SerialSlowness(std::uint32_t baud) { return 2 * SerialDrain(baud); }

Result<std::unique_ptr<Acceptor>> BindSerialChannel(Executor executor, const SerialPlace& place) {
  const auto line = ShareLine(executor, place);
  if (!line) return line.error();
  if (!(*line)->mux.Listen(place.channel)) {
    return Error{Errc::kBusy, "Channel " + std::to_string(place.channel) + " of " + place.device +
                                  " has a server already; choose another channel=."};
  }
  return std::make_unique<ChannelAcceptor>(*line, place.channel);
}

Awaitable<Result<std::unique_ptr<Stream>>> DialSerialChannel(Executor executor, SerialPlace place,
                                                             std::chrono::milliseconds limit,
                                                             std::shared_ptr<std::string> heard) {
  const auto shared = ShareLine(executor, place, std::move(heard));
  if (!shared) co_return shared.error();
  const LinePointer line = *shared;
  const auto key = line->mux.Open(place.channel, std::random_device()(), Clock::now());
  if (!key) co_return key.error();
  auto stream = std::make_unique<ChannelStream>(line, *key);
  line->Touch();
  boost::asio::steady_timer deadline(executor, limit);
  // The line is shared: what ends the wait may not close it.
  deadline.async_wait([line](const boost::system::error_code& error) {
    if (!error) line->changed.cancel();
  });
  for (;;) {
    if (line->failure) co_return *line->failure;
    const mux::Session* session = line->mux.Find(*key);
    if (session->failure()) co_return *session->failure();
    if (session->is_open()) co_return stream;
    if (deadline.expiry() <= Clock::now()) {
      co_return Error{Errc::kTimedOut, "Nobody answers on " + place.device + " channel " +
                                           std::to_string(place.channel) +
                                           "; is the server there, with the same baud=?"};
    }
    co_await line->changed.async_wait(kWait);
  }
}

}  // namespace longwire

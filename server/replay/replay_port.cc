#include "server/replay/replay_port.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "server/replay/replay_machine.h"

namespace longwire {
namespace {

kd::TimePoint Now() { return std::chrono::steady_clock::now(); }

/// What outlives the stream while a pending read is told that it is closed.
struct Playback {
  Playback(const Executor& executor, RecordedSession recorded, double speed)
      : session(std::move(recorded)), machine(session, speed), wake(executor) {}

  void Wake() {
    const kd::Bytes more = machine.TakeOutput();
    output.insert(output.end(), more.begin(), more.end());
    wake.cancel();
  }

  RecordedSession session;
  ReplayMachine machine;
  kd::Bytes output;
  bool closed = false;
  boost::asio::steady_timer wake;
};

class ReplayStream final : public Stream {
 public:
  ReplayStream(std::shared_ptr<Playback> playback, std::string path) : playback_(std::move(playback)) {
    peer_.address = std::move(path);
    playback_->machine.Start(Now());
    playback_->Wake();
  }
  ~ReplayStream() override { Close(); }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override { return Read(playback_, out); }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    if (playback_->closed) co_return Error{Errc::kCancelled, "the replay was closed"};
    playback_->machine.Receive(Now(), head);
    playback_->machine.Receive(Now(), body);
    playback_->Wake();
    co_return Result<void>();
  }
  Awaitable<Result<void>> ShutdownWrite() override { co_return Result<void>(); }
  void Close() noexcept override {
    playback_->closed = true;
    playback_->wake.cancel();
  }
  const PeerInfo& peer() const noexcept override { return peer_; }

 private:
  static Awaitable<Result<std::size_t>> Read(std::shared_ptr<Playback> playback, std::span<std::byte> out) {
    for (;;) {
      if (playback->closed) co_return Error{Errc::kCancelled, "the replay was closed"};
      if (!playback->output.empty()) {
        const std::size_t size = std::min(out.size(), playback->output.size());
        const auto end = playback->output.begin() + static_cast<std::ptrdiff_t>(size);
        std::copy(playback->output.begin(), end, out.begin());
        playback->output.erase(playback->output.begin(), end);
        co_return size;
      }
      if (playback->machine.Over()) co_return Error{Errc::kClosed, "the recording ends here"};
      playback->wake.expires_at(playback->machine.Deadline().value_or(kd::TimePoint::max()));
      co_await playback->wake.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      playback->machine.Tick(Now());
      playback->Wake();
    }
  }

  std::shared_ptr<Playback> playback_;
  PeerInfo peer_;
};

class ReplayPort final : public LinkPort {
 public:
  ReplayPort(Executor executor, std::string path, double speed)
      : executor_(std::move(executor)), path_(std::move(path)), speed_(speed) {}

  Awaitable<Result<std::unique_ptr<Stream>>> Open() override {
    Result<RecordedSession> session = ReadRecording(path_);
    if (!session) co_return session.error();
    co_return std::make_unique<ReplayStream>(
        std::make_shared<Playback>(executor_, std::move(*session), speed_), path_);
  }
  void Cancel() noexcept override {}
  bool listens() const noexcept override { return false; }
  bool reconnects() const noexcept override { return false; }
  std::uint32_t bytes_per_second() const noexcept override { return 0; }

 private:
  Executor executor_;
  std::string path_;
  double speed_;
};

}  // namespace

std::unique_ptr<LinkPort> MakeReplayPort(Executor executor, std::string path, double speed) {
  return std::make_unique<ReplayPort>(std::move(executor), std::move(path), speed);
}

}  // namespace longwire

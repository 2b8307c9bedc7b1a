#include "client/target/counting_stream.h"

#include <utility>

namespace longwire {
namespace {

class CountingStream final : public Stream {
 public:
  CountingStream(std::unique_ptr<Stream> inner, std::atomic<std::uint64_t>& received,
                 std::atomic<std::uint64_t>& sent)
      : inner_(std::move(inner)), received_(received), sent_(sent) {}

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    Result<std::size_t> got = co_await inner_->ReadSome(out);
    if (got) received_ += *got;
    co_return got;
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    Result<void> done = co_await inner_->WriteAll(head, body);
    if (done) sent_ += head.size() + body.size();
    co_return done;
  }
  std::size_t TryWrite(std::span<const std::byte> data) noexcept override {
    const std::size_t written = inner_->TryWrite(data);
    sent_ += written;
    return written;
  }
  Awaitable<Result<void>> ShutdownWrite() override { return inner_->ShutdownWrite(); }
  void Close() noexcept override { inner_->Close(); }
  const PeerInfo& peer() const noexcept override { return inner_->peer(); }

 private:
  std::unique_ptr<Stream> inner_;
  std::atomic<std::uint64_t>& received_;
  std::atomic<std::uint64_t>& sent_;
};

}  // namespace

std::unique_ptr<Stream> CountBytes(std::unique_ptr<Stream> inner, std::atomic<std::uint64_t>& received,
                                   std::atomic<std::uint64_t>& sent) {
  return std::make_unique<CountingStream>(std::move(inner), received, sent);
}

}  // namespace longwire

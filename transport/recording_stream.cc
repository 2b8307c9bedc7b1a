#include "transport/recording_stream.h"

#include <algorithm>
#include <array>
#include <utility>

namespace longwire {
namespace {

class RecordingStream final : public Stream {
 public:
  RecordingStream(std::unique_ptr<Stream> inner, std::shared_ptr<std::string> heard, std::size_t most)
      : inner_(std::move(inner)), heard_(std::move(heard)), most_(most) {}

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    const std::shared_ptr<std::string> heard = heard_;
    const std::size_t most = most_;
    Result<std::size_t> got = co_await inner_->ReadSome(out);
    if (got && heard->size() < most) {
      const auto* bytes = reinterpret_cast<const char*>(out.data());
      heard->append(bytes, std::min(*got, most - heard->size()));
    }
    co_return got;
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return inner_->WriteAll(head, body);
  }
  Awaitable<Result<void>> ShutdownWrite() override { return inner_->ShutdownWrite(); }
  void Close() noexcept override { inner_->Close(); }
  const PeerInfo& peer() const noexcept override { return inner_->peer(); }

 private:
  std::unique_ptr<Stream> inner_;
  std::shared_ptr<std::string> heard_;
  std::size_t most_;
};

}  // namespace

std::unique_ptr<Stream> MakeRecordingStream(std::unique_ptr<Stream> inner, std::shared_ptr<std::string> heard,
                                            std::size_t most) {
  return std::make_unique<RecordingStream>(std::move(inner), std::move(heard), most);
}

bool LooksLikeTls(std::string_view heard) {
  return heard.size() >= 2 && heard[0] >= 0x14 && heard[0] <= 0x17 && heard[1] == 0x03;
}

std::string GuessService(std::string_view heard) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kKnown{{
      {"HTTP/", "an HTTP server"},
      {"<!", "an HTTP server"},
      {"<h", "an HTTP server"},
      {"<?", "an HTTP server"},
      {"SSH-", "an SSH server"},
      {"220", "a mail or FTP server"},
      {"RFB ", "a VNC server"},
      {"+OK", "a mail server"},
  }};
  for (const auto& [begin, what] : kKnown) {
    if (heard.starts_with(begin)) return std::string(what);
  }
  return LooksLikeTls(heard) ? "a TLS server" : "";
}

}  // namespace longwire

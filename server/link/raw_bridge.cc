#include "server/link/raw_bridge.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

namespace longwire {
namespace {

constexpr std::size_t kBuffer = 16384;

/// What the two directions share.
struct Bridge {
  std::unique_ptr<LinkPort> port;
  std::shared_ptr<Stream> peer;
  std::shared_ptr<Stream> line;  ///< null: not open (yet)
  bool peer_left = false;
  std::optional<Error> line_failed;  ///< in writing to it
};

/// A socket whose owner died with bytes unread says so as a reset, or at the next write.
Error LineError(Error error) {
  if (error.os_error != ECONNRESET && error.os_error != EPIPE) return error;
  return {Errc::kLinkFailed, "the other side of the line is gone", 0, error.os_error};
}

Awaitable<void> CarryToLine(std::shared_ptr<Bridge> bridge) {
  std::vector<std::byte> buffer(kBuffer);
  for (;;) {
    const Result<std::size_t> size = co_await bridge->peer->ReadSome(buffer);
    if (!size || *size == 0) break;
    const std::shared_ptr<Stream> line = bridge->line;
    if (!line) continue;
    const Result<void> written = co_await line->WriteAll(std::span(buffer).first(*size));
    if (!written) {
      bridge->line_failed = LineError(written.error());
      break;
    }
  }
  bridge->peer_left = !bridge->line_failed;
  bridge->port->Cancel();
  if (bridge->line) bridge->line->Close();
}

}  // namespace

Awaitable<Result<void>> BridgeLink(Executor executor, std::unique_ptr<LinkPort> port,
                                   std::shared_ptr<Stream> peer) {
  const auto bridge = std::make_shared<Bridge>(Bridge{std::move(port), peer, nullptr, false, std::nullopt});
  boost::asio::co_spawn(executor, CarryToLine(bridge), boost::asio::detached);
  Result<void> outcome;
  Result<std::unique_ptr<Stream>> opened = co_await bridge->port->Open();
  if (!opened) {
    outcome = opened.error();
  } else if (!bridge->peer_left) {
    bridge->line = std::move(*opened);
    std::vector<std::byte> buffer(kBuffer);
    for (;;) {
      const Result<std::size_t> size = co_await bridge->line->ReadSome(buffer);
      if (!size || *size == 0) {
        outcome = size ? Error{Errc::kLinkFailed, "the other side of the line is gone"}
                       : bridge->line_failed.value_or(LineError(size.error()));
        break;
      }
      const Result<void> written = co_await peer->WriteAll(std::span(buffer).first(*size));
      if (!written) break;
    }
    bridge->line->Close();
  }
  peer->Close();
  if (bridge->peer_left) outcome = Result<void>();
  co_return outcome;
}

}  // namespace longwire

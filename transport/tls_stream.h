#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "transport/stream.h"
#include "transport/tls_context.h"

namespace longwire {

/// TLS over any other stream. An end without close_notify is kClosed, not an orderly 0: only who knows the
/// frames can tell whether something is missing.
class TlsStream final : public Stream {
 public:
  enum class Side { kServer, kClient };
  struct Start {
    Side side = Side::kClient;
    std::vector<std::byte> received;  ///< bytes of the peer that were read from `below` already
    std::optional<std::size_t>
        received_limit;                ///< the handshake and what follows may use up no more than this
    std::shared_ptr<Finding> finding;  ///< receives what TLS failed of, then or later; may be null
  };
  using ExportedKey = std::array<std::byte, 32>;

  /// Runs the handshake; the caller bounds its time by closing `below`.
  static Awaitable<Result<std::unique_ptr<TlsStream>>> Handshake(Executor executor,
                                                                 std::unique_ptr<Stream> below,
                                                                 TlsContext context, Start start);

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override;
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head, std::span<const std::byte> body) override;
  std::size_t TryWrite(std::span<const std::byte> data) noexcept override;
  Awaitable<Result<void>> ShutdownWrite() override;
  void Close() noexcept override;
  const PeerInfo& peer() const noexcept override;

  /// RFC 8446 7.5: a secret that only the two ends of this TLS session have.
  Result<ExportedKey> ExportKey(std::string_view label) const;
  /// The peer proved itself: Start::received_limit is over.
  void LiftLimit() noexcept;

  struct Core;
  explicit TlsStream(std::shared_ptr<Core> core);
  ~TlsStream() override;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace longwire

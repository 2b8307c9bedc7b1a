#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "proto/error.h"

namespace longwire {

template <class T>
using Awaitable = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;

/// Who is at the other end, as far as the stream itself knows.
struct PeerInfo {
  std::string address;                     ///< "192.168.7.2:50112", "local", "memory", "/dev/ttyS0"
  std::optional<unsigned> user_id;         ///< of a local socket's peer; our own of a memory stream
  std::optional<std::string> certificate;  ///< SHA-256 of the peer's certificate, hexadecimal
  bool loopback = false;
  /// Of a slow line. How long it may be silent with a peer that is there: RpcChannel waits so much longer.
  std::chrono::milliseconds slowness{0};
  /// How long what was written may take to arrive: who ends waits so much longer for its last frames.
  std::chrono::milliseconds drain{0};
};

/// One ordered byte stream; knows nothing of frames. Used from one executor only, which must be
/// single-threaded or a strand. At most one read and one write at a time; they may overlap.
class Stream {
 public:
  virtual ~Stream() = default;
  /// Reads at least one byte; 0 means that the peer ended the stream in order. `out` must not be empty.
  virtual Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) = 0;
  /// Writes `head`, then `body`, as if they were one buffer.
  virtual Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                           std::span<const std::byte> body) = 0;
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> data) { return WriteAll(data, {}); }
  /// Writes as much as goes without waiting and returns how much that was, 0 where a stream cannot tell.
  /// The caller goes on with WriteAll() for the rest, where errors show. Only while no write is pending.
  virtual std::size_t TryWrite(std::span<const std::byte> data) noexcept;
  /// Everything written before is delivered, then the peer reads 0. Streams that cannot half-close (serial)
  /// do nothing.
  virtual Awaitable<Result<void>> ShutdownWrite() = 0;
  /// Changes the speed of a serial line, of which bytes on the way may be lost. kUnsupported: it is none;
  /// kLinkFailed: the device does not run at this speed, and goes on at the one before.
  virtual Result<void> SetBaud(std::uint32_t baud);
  /// Idempotent; pending calls end with kCancelled.
  virtual void Close() noexcept = 0;
  virtual const PeerInfo& peer() const noexcept = 0;
};

}  // namespace longwire

#include "tests/contract/transport/stream_pairs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>

#include "proto/mux/session.h"
#include "transport/acceptor.h"
#include "transport/dial_socket.h"
#include "transport/listener.h"
#include "transport/memory_stream.h"
#include "transport/serial_channel.h"
#include "transport/serial_stream.h"

namespace longwire::test {
namespace {

constexpr std::chrono::milliseconds kLimit{4000};
constexpr std::uint32_t kBaud = 1'500'000;

class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "longwire-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data()) ? pattern : "";
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Awaitable<Result<StreamPair>> ConnectMemory(Executor executor) {
  co_return MakeMemoryStreams(executor, 64u << 10);
}

Awaitable<Result<StreamPair>> ConnectTcp(Executor executor, int ip_version) {
  auto bound = BindTcp(executor, {.loopback_only = true, .ip_version = ip_version});
  if (!bound) co_return bound.error();
  auto near =
      co_await DialTcp(executor, ip_version == 6 ? "::1" : "127.0.0.1", bound->port, ip_version, kLimit);
  if (!near) co_return near.error();
  auto far = co_await bound->acceptors.front()->Accept();
  if (!far) co_return far.error();
  co_return StreamPair(std::move(*near), std::move(*far));
}

Awaitable<Result<StreamPair>> ConnectLocal(Executor executor) {
  const std::string path = ScratchDirectory() + "/contract";
  auto acceptor = BindLocalSocket(executor, path);
  if (!acceptor) co_return acceptor.error();
  auto near = co_await DialLocalSocket(executor, path, kLimit);
  if (!near) co_return near.error();
  auto far = co_await (*acceptor)->Accept();
  if (!far) co_return far.error();
  co_return StreamPair(std::move(*near), std::move(*far));
}

using Master = boost::asio::posix::stream_descriptor;

/// A cable between two serial lines: the masters of two ptys, what comes out of one going into the other.
/// Unplugged when either line is closed.
Awaitable<void> Carry(std::shared_ptr<Master> from, std::shared_ptr<Master> to, unsigned lose_every) {
  constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);
  std::vector<std::byte> bytes(4096);
  unsigned carried = 0;
  for (;;) {
    const auto [error, count] = co_await from->async_read_some(boost::asio::buffer(bytes), kTuple);
    if (error) break;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (lose_every == 0 || ++carried % lose_every != 0) bytes[kept++] = bytes[i];
    }
    const auto [failed, written] =
        co_await boost::asio::async_write(*to, boost::asio::buffer(bytes.data(), kept), kTuple);
    if (failed) break;
  }
  boost::system::error_code ignored;
  to->close(ignored);
}

struct OpenPty {
  std::shared_ptr<Master> master;
  std::string path;
};

Result<OpenPty> MakePty(Executor executor) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (master < 0) return Error{Errc::kIo, "This machine has no ptys.", 0, errno};
  OpenPty pty{std::make_shared<Master>(executor, master), {}};
  std::array<char, 64> name{};
  if (::grantpt(master) != 0 || ::unlockpt(master) != 0 ||
      ::ptsname_r(master, name.data(), name.size()) != 0) {
    return Error{Errc::kIo, "The pty cannot be opened.", 0, errno};
  }
  pty.path = name.data();
  return pty;
}

Awaitable<Result<StreamPair>> ConnectSerial(Executor executor) {
  const auto cable = LayCable(executor);
  if (!cable) co_return cable.error();
  auto near = OpenSerial(executor, cable->near, kBaud);
  if (!near) co_return near.error();
  auto far = OpenSerial(executor, cable->far, kBaud);
  if (!far) co_return far.error();
  co_return StreamPair(std::move(*near), std::move(*far));
}

Awaitable<Result<StreamPair>> ConnectChannel(Executor executor, unsigned lose_every) {
  const auto cable = LayCable(executor, lose_every);
  if (!cable) co_return cable.error();
  auto acceptor = BindSerialChannel(executor, {cable->far, kBaud, 7});
  if (!acceptor) co_return acceptor.error();
  const SerialPlace place{cable->near, kBaud, 7};
  auto near = co_await DialSerialChannel(executor, place, kLimit, nullptr);
  if (!near) co_return near.error();
  auto far = co_await (*acceptor)->Accept();
  if (!far) co_return far.error();
  co_return StreamPair(std::move(*near), std::move(*far));
}

Awaitable<Result<StreamPair>> ConnectPassword(Executor executor) {
  Endpoint server;
  server.password = Secret("contract");
  auto listener = Listen(executor, server);
  if (!listener) co_return listener.error();
  Endpoint client;
  client.side = EndpointSide::kClient;
  client.server = "localhost";
  client.port = (*listener)->endpoint().port;
  client.password = server.password;
  auto near = co_await Dial(executor, client);
  if (!near) co_return near.error();
  auto far = co_await (*listener)->Accept();
  if (!far) co_return far.error();
  co_return StreamPair(std::move(*near), std::move(*far));
}

}  // namespace

Result<Cable> LayCable(Executor executor, unsigned lose_every) {
  const auto near = MakePty(executor), far = MakePty(executor);
  if (!near) return near.error();
  if (!far) return far.error();
  boost::asio::co_spawn(executor, Carry(near->master, far->master, lose_every), boost::asio::detached);
  boost::asio::co_spawn(executor, Carry(far->master, near->master, lose_every), boost::asio::detached);
  return Cable{near->path, far->path};
}

const std::string& ScratchDirectory() {
  static const Scratch scratch;
  return scratch.path();
}

std::vector<StreamKind> AllStreamKinds() {
  return {
      {"Memory", ConnectMemory},
      {"Tcp4", [](Executor executor) { return ConnectTcp(executor, 4); }},
      {"Tcp6", [](Executor executor) { return ConnectTcp(executor, 6); }},
      {"LocalSocket", ConnectLocal},
      {"TlsPassword", ConnectPassword},
      {"SerialChannel", [](Executor executor) { return ConnectChannel(executor, 0); }, true, true,
       2 * mux::Session::kWindow},
      {"LossySerialChannel", [](Executor executor) { return ConnectChannel(executor, 10'007); }, true, true,
       2 * mux::Session::kWindow},
      {"Serial", ConnectSerial, /*half_closes=*/false, /*delivers_on_close=*/false},
  };
}

}  // namespace longwire::test

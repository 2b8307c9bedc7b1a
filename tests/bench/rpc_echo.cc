// One request and its answer, channel to channel, against an echo of bare Asio coroutines that moves as many
// bytes. Two processes; the ways take turns, so that the load of the machine is the same for each.
// First each process on a processor of its own: a trip is then mostly the waking of halted processors. Then
// both on one, where none halts: what the code costs. Last where the scheduler puts them, which is now the
// one and now the other, not alike for each of the ways: a figure of chance, printed because users meet it.
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/target/rpc_client.h"
#include "proto/rpc/frame.h"
#include "tests/support/temporary_directory.h"
#include "transport/acceptor.h"
#include "transport/dial_socket.h"
#include "transport/rpc_channel.h"
#include "transport/tls_stream.h"

using namespace longwire;
namespace asio = boost::asio;

namespace {

using Clock = std::chrono::steady_clock;
using asio::use_awaitable;
using Tcp = asio::ip::tcp::socket;
using Local = asio::local::stream_protocol::socket;
template <class Below>
using Tls = asio::ssl::stream<Below>;

constexpr std::size_t kBulk = 64;
constexpr int kRounds = 31, kTrips = 1000;

rpc::Request AskMemory() {
  rpc::ReadMemory read;
  read.ranges.push_back({0xfffff80012345678u, kBulk});
  return read;
}

rpc::Envelope Answer(std::uint64_t id) {
  rpc::MemoryRead read;
  read.sizes.push_back(kBulk);
  return {id, rpc::Response{std::move(read)}, std::vector<std::byte>(kBulk, std::byte{0x5A})};
}

/// As many bytes as a request and its answer have, with the id of a session that has lasted a while.
std::size_t RequestBytes() { return rpc::EncodeFrameHead({1000, AskMemory(), {}}).size(); }
std::size_t AnswerBytes() { return rpc::EncodeFrameHead(Answer(1000)).size() + kBulk; }

void Ignore(std::exception_ptr) {}

// ---- the bare echo

template <class Stream>
Awaitable<void> ServeBare(Stream stream) {
  std::vector<std::byte> in(RequestBytes()), out(AnswerBytes());
  for (;;) {
    co_await asio::async_read(stream, asio::buffer(in), use_awaitable);
    co_await asio::async_write(stream, asio::buffer(out), use_awaitable);
  }
}

template <class Stream>
Awaitable<void> BareTrips(Stream& stream, int trips) {
  std::vector<std::byte> out(RequestBytes()), in(AnswerBytes());
  for (int i = 0; i < trips; ++i) {
    co_await asio::async_write(stream, asio::buffer(out), use_awaitable);
    co_await asio::async_read(stream, asio::buffer(in), use_awaitable);
  }
}

/// The very contexts of the channel.
asio::ssl::context Borrow(const TlsContext& context) {
  SSL_CTX_up_ref(context.get());
  return asio::ssl::context(context.get());
}

// ---- the channel

Awaitable<void> ServeChannel(Executor executor, std::unique_ptr<Stream> stream) {
  const auto channel = RpcChannel::Make(executor, std::move(stream));
  rpc::Welcome welcome;
  if (!co_await GreetClient(*channel, std::move(welcome))) co_return;
  for (;;) {
    const auto envelope = co_await channel->Receive();
    if (!envelope) co_return;
    if (std::holds_alternative<rpc::Request>(envelope->message)) (void)channel->Enqueue(Answer(envelope->id));
  }
}

Awaitable<void> ChannelTrips(RpcChannel& channel, int trips, std::uint64_t& id) {
  for (int i = 0; i < trips; ++i) {
    if (!channel.Enqueue({++id, AskMemory(), {}})) std::abort();
    const auto envelope = co_await channel.Receive();
    if (!envelope || envelope->id != id || envelope->bulk.size() != kBulk) std::abort();
  }
}

// ---- both ends of each transport

enum class Kind { kTcp, kTls, kLocal };
struct Place {
  Kind kind;
  const char* name;
  double wanted;
  std::uint16_t bare_port = 0, port = 0;
  std::string bare_path, path;
};

Awaitable<Result<std::unique_ptr<Stream>>> Secured(Executor executor, std::unique_ptr<Stream> stream,
                                                   TlsStream::Side side, TlsContext context) {
  TlsStream::Start start;
  start.side = side;
  auto tls = co_await TlsStream::Handshake(executor, std::move(stream), std::move(context), std::move(start));
  if (!tls) co_return tls.error();
  co_return std::move(*tls);
}

Awaitable<void> AcceptChannels(Executor executor, Acceptor& acceptor, Kind kind, TlsContext context) {
  for (;;) {
    auto stream = co_await acceptor.Accept();
    if (!stream) co_return;
    if (kind == Kind::kTls)
      stream = co_await Secured(executor, std::move(*stream), TlsStream::Side::kServer, context);
    if (stream) asio::co_spawn(executor, ServeChannel(executor, std::move(*stream)), Ignore);
  }
}

Awaitable<void> ServeBareTls(Tls<Tcp> tls) {
  co_await tls.async_handshake(asio::ssl::stream_base::server, use_awaitable);
  co_await ServeBare(std::move(tls));
}

Awaitable<void> AcceptBareTcp(Executor executor, asio::ip::tcp::acceptor& acceptor, Kind kind,
                              asio::ssl::context& context) {
  for (;;) {
    Tcp socket = co_await acceptor.async_accept(use_awaitable);
    socket.set_option(asio::ip::tcp::no_delay(true));
    if (kind == Kind::kTcp) {
      asio::co_spawn(executor, ServeBare(std::move(socket)), Ignore);
    } else {
      asio::co_spawn(executor, ServeBareTls(Tls<Tcp>(std::move(socket), context)), Ignore);
    }
  }
}

Awaitable<void> AcceptBareLocal(Executor executor, asio::local::stream_protocol::acceptor& acceptor) {
  for (;;) {
    Local socket = co_await acceptor.async_accept(use_awaitable);
    asio::co_spawn(executor, ServeBare(std::move(socket)), Ignore);
  }
}

/// The listeners of one place, bound before the fork so that both sides know the ports.
struct Doors {
  explicit Doors(asio::io_context& context) : bare_tcp(context), bare_local(context) {}
  asio::ip::tcp::acceptor bare_tcp;
  asio::local::stream_protocol::acceptor bare_local;
  std::unique_ptr<Acceptor> channel;
};

void Bind(asio::io_context& context, Place& place, Doors& doors, const TemporaryDirectory& directory) {
  if (place.kind == Kind::kLocal) {
    place.path = directory.File("channel");
    place.bare_path = directory.File("bare");
    const asio::local::stream_protocol::endpoint at(place.bare_path);
    doors.bare_local = asio::local::stream_protocol::acceptor(context, at);
    auto bound = BindLocalSocket(context.get_executor(), place.path);
    if (!bound) std::abort();
    doors.channel = std::move(*bound);
    return;
  }
  const asio::ip::tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
  doors.bare_tcp = asio::ip::tcp::acceptor(context, any);
  place.bare_port = doors.bare_tcp.local_endpoint().port();
  TcpBinding binding;
  binding.address = "127.0.0.1";
  auto bound = BindTcp(context.get_executor(), binding);
  if (!bound) std::abort();
  place.port = bound->port;
  doors.channel = std::move(bound->acceptors.front());
}

[[noreturn]] void Serve(std::vector<Place>& places, const TemporaryDirectory& directory, int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  asio::io_context context(1);
  const TlsContext tls = *MakeEphemeralServerContext();
  asio::ssl::context bare_tls = Borrow(tls);
  std::vector<std::unique_ptr<Doors>> doors;
  for (Place& place : places) {
    Doors& door = *doors.emplace_back(std::make_unique<Doors>(context));
    Bind(context, place, door, directory);
    asio::co_spawn(context, AcceptChannels(context.get_executor(), *door.channel, place.kind, tls), Ignore);
    if (place.kind == Kind::kLocal) {
      asio::co_spawn(context, AcceptBareLocal(context.get_executor(), door.bare_local), Ignore);
    } else {
      asio::co_spawn(context, AcceptBareTcp(context.get_executor(), door.bare_tcp, place.kind, bare_tls),
                     Ignore);
    }
    const std::uint16_t ports[2] = {place.bare_port, place.port};
    if (::write(ready, ports, sizeof ports) != sizeof ports) std::abort();
  }
  context.run();
  ::_exit(0);
}

void RunOn(asio::io_context& context, Awaitable<void> work) {
  asio::co_spawn(context, std::move(work), [&](std::exception_ptr failure) {
    if (failure) std::abort();
    context.stop();
  });
  context.restart();
  context.run();
}

/// A way to make `kTrips` trips; how long each took in each round, in microseconds.
struct Way {
  std::function<void(int)> trips;
  std::vector<double> took;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Client {
  explicit Client(const Place& at) : place(at) {}

  Awaitable<Result<std::unique_ptr<Stream>>> Reach(Executor executor) const {
    const std::chrono::seconds limit(10);
    if (place.kind == Kind::kLocal) co_return co_await DialLocalSocket(executor, place.path, limit);
    auto stream = co_await DialTcp(executor, "127.0.0.1", place.port, 4, limit);
    if (!stream || place.kind == Kind::kTcp) co_return stream;
    co_return co_await Secured(executor, std::move(*stream), TlsStream::Side::kClient,
                               *MakeUnverifiedClientContext());
  }

  Awaitable<void> Open() {
    auto stream = co_await Reach(context.get_executor());
    if (!stream) std::abort();
    channel = RpcChannel::Make(context.get_executor(), std::move(*stream));
    rpc::Hello hello;
    if (!co_await GreetServer(*channel, std::move(hello))) std::abort();
    if (place.kind == Kind::kLocal) {
      local.emplace(context);
      co_await local->async_connect({place.bare_path}, use_awaitable);
      co_return;
    }
    Tcp socket(context);
    co_await socket.async_connect({asio::ip::address_v4::loopback(), place.bare_port}, use_awaitable);
    socket.set_option(asio::ip::tcp::no_delay(true));
    if (place.kind == Kind::kTcp) {
      tcp.emplace(std::move(socket));
      co_return;
    }
    bare_context.emplace(Borrow(*MakeUnverifiedClientContext()));
    tls.emplace(std::move(socket), *bare_context);
    co_await tls->async_handshake(asio::ssl::stream_base::client, use_awaitable);
  }

  void Bare(int trips) {
    if (tcp) RunOn(context, BareTrips(*tcp, trips));
    if (tls) RunOn(context, BareTrips(*tls, trips));
    if (local) RunOn(context, BareTrips(*local, trips));
  }
  void Channel(int trips) { RunOn(context, ChannelTrips(*channel, trips, id)); }
  void Blocking(int trips) {
    for (int i = 0; i < trips; ++i) {
      const auto reply = blocking->Call(AskMemory());
      if (!reply) std::abort();
    }
  }

  const Place& place;
  asio::io_context context{1};
  std::optional<asio::ssl::context> bare_context;
  std::optional<Tcp> tcp;
  std::optional<Tls<Tcp>> tls;
  std::optional<Local> local;
  std::unique_ptr<RpcChannel> channel;
  Interrupt interrupt;
  std::unique_ptr<RpcClient> blocking;
  std::uint64_t id = 1000;
};

void OpenBlocking(Client& client) {
  const auto opener = [&client](Executor executor) -> Awaitable<Result<RpcClient::Opened>> {
    auto stream = co_await client.Reach(executor);
    if (!stream) co_return stream.error();
    RpcClient::Opened opened;
    opened.stream = std::move(*stream);
    co_return opened;
  };
  auto made = RpcClient::Open(opener, rpc::Hello{}, client.interrupt);
  if (!made) std::abort();
  client.blocking = std::move(*made);
}

void Measure(const Place& place) {
  Client client(place);
  RunOn(client.context, client.Open());
  OpenBlocking(client);
  Way ways[3] = {{[&](int trips) { client.Bare(trips); }, {}},
                 {[&](int trips) { client.Channel(trips); }, {}},
                 {[&](int trips) { client.Blocking(trips); }, {}}};
  std::vector<double> ratios, blocking;
  for (Way& way : ways) way.trips(kTrips);
  for (int round = 0; round < kRounds; ++round) {
    for (Way& way : ways) {
      const auto started = Clock::now();
      way.trips(kTrips);
      way.took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - started).count() / kTrips);
    }
    ratios.push_back(ways[1].took.back() / ways[0].took.back());
    blocking.push_back(ways[2].took.back() / ways[0].took.back());
  }
  std::printf("%-6s bare %6.2f us, channel %6.2f us: %.2f (wanted %.1f); blocking call %6.2f us: %.2f\n",
              place.name, Median(ways[0].took), Median(ways[1].took), Median(ratios), place.wanted,
              Median(ways[2].took), Median(blocking));
  client.blocking->Close();
}

/// The processors that this process may use.
std::vector<int> Processors() {
  cpu_set_t allowed;
  std::vector<int> processors;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  }
  return processors;
}

void PutOn(pid_t process, const std::vector<int>& processors) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int processor : processors) CPU_SET(processor, &set);
  if (::sched_setaffinity(process, sizeof set, &set) != 0) std::abort();
}

}  // namespace

int main() {
  ::signal(SIGPIPE, SIG_IGN);
  const TemporaryDirectory directory;
  std::vector<Place> places = {
      {Kind::kTcp, "tcp", 1.3}, {Kind::kTls, "TLS", 1.3}, {Kind::kLocal, "local", 1.6}};
  int ready[2];
  if (::pipe(ready) != 0) return 1;
  const pid_t server = ::fork();
  if (server == 0) Serve(places, directory, ready[1]);
  for (Place& place : places) {
    std::uint16_t ports[2];
    if (::read(ready[0], ports, sizeof ports) != sizeof ports) return 1;
    place.bare_port = ports[0];
    place.port = ports[1];
    place.path = directory.File("channel");
    place.bare_path = directory.File("bare");
  }
  std::printf("request %zu bytes, answer %zu bytes; median of %d rounds of %d trips\n", RequestBytes(),
              AnswerBytes(), kRounds, kTrips);
  const std::vector<int> processors = Processors();
  const auto measure = [&](const char* where, const std::vector<int>& client, const std::vector<int>& other) {
    PutOn(0, client);
    PutOn(server, other);
    std::printf("%s:\n", where);
    for (const Place& place : places) Measure(place);
  };
  if (processors.size() > 1) measure("each process on its own processor", {processors[0]}, {processors[1]});
  measure("both processes on one processor", {processors[0]}, {processors[0]});
  measure("where the scheduler puts them", processors, processors);
  ::kill(server, SIGKILL);
  return 0;
}

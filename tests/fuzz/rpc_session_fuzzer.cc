#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "transport/memory_stream.h"
#include "transport/rpc_channel.h"

namespace {

using namespace longwire;

/// A server as far as the transport goes: greets, then takes messages until the peer ends.
Awaitable<void> Serve(RpcChannel& channel) {
  rpc::Welcome welcome;
  welcome.capabilities = {"plans"};
  const auto hello = co_await GreetClient(channel, std::move(welcome));
  if (!hello) co_return;
  for (;;) {
    auto envelope = co_await channel.Receive();
    if (!envelope) co_return;
    if (!std::holds_alternative<rpc::Request>(envelope->message)) continue;
    rpc::Envelope answer{envelope->id, rpc::Response{rpc::Answer(rpc::Done{})}, {}};
    if (!channel.Enqueue(std::move(answer))) co_return;
  }
}

/// The client: fuzz bytes in pieces whose sizes come from the fuzz bytes, answers read and thrown away.
Awaitable<void> Send(Stream& stream, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t piece = std::min<std::size_t>(bytes.size(), 1 + std::to_integer<std::size_t>(bytes[0]));
    const auto sent = co_await stream.WriteAll(bytes.first(piece), {});
    if (!sent) co_return;
    bytes = bytes.subspan(piece);
  }
  (void)co_await stream.ShutdownWrite();
}

Awaitable<void> Discard(Stream& stream) {
  std::vector<std::byte> bytes(4096);
  for (;;) {
    const auto count = co_await stream.ReadSome(bytes);
    if (!count || *count == 0) co_return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  boost::asio::io_context context(1);
  auto [near, far] = MakeMemoryStreams(context.get_executor());
  auto channel = RpcChannel::Make(context.get_executor(), std::move(near));
  bool served = false;
  boost::asio::co_spawn(context, Serve(*channel), [&](std::exception_ptr failure) {
    served = true;
    if (failure) std::abort();
    channel->Close();
  });
  boost::asio::co_spawn(context, Send(*far, {reinterpret_cast<const std::byte*>(data), size}),
                        boost::asio::detached);
  boost::asio::co_spawn(context, Discard(*far), boost::asio::detached);
  // The input ends, so the server must end without waiting for any timer.
  while (!served && context.poll() > 0) {
  }
  if (!served) std::abort();
  far->Close();
  context.poll();
  return 0;
}

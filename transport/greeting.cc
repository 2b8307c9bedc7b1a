#include <algorithm>
#include <boost/asio/this_coro.hpp>

#include "transport/deadline.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

constexpr std::chrono::milliseconds kGreetingLimit{10'000};
/// A peer that was refused gets this long to take the reason.
constexpr std::chrono::milliseconds kRejectLimit{2'000};

Error NoGreeting() {
  return {Errc::kTimedOut,
          "The peer did not finish the handshake within 10 seconds; is it a longwire program?"};
}

std::string Range(std::uint32_t minimum, std::uint32_t maximum) {
  return std::to_string(minimum) + ".." + std::to_string(maximum);
}

std::string MismatchText(const std::string& client, const std::string& server) {
  return "The client and the server do not use the same remoting protocol version: the client speaks " +
         client + ", the server " + server + "; update the older of the two.";
}

Result<rpc::Welcome> JudgeAnswer(rpc::Envelope envelope, const rpc::Hello& hello) {
  if (auto* welcome = std::get_if<rpc::Welcome>(&envelope.message)) {
    if (welcome->protocol >= hello.protocol_minimum && welcome->protocol <= hello.protocol_maximum) {
      return std::move(*welcome);
    }
    return Error{Errc::kVersionMismatch, MismatchText(Range(hello.protocol_minimum, hello.protocol_maximum),
                                                      std::to_string(welcome->protocol))};
  }
  if (const auto* reject = std::get_if<rpc::Reject>(&envelope.message))
    return Error{reject->code, reject->text};
  if (const auto* goodbye = std::get_if<rpc::Goodbye>(&envelope.message))
    return Error{goodbye->code, goodbye->text};
  return Error{Errc::kMalformed, "The server answered the hello with something else than a welcome."};
}

Awaitable<void> SendReject(RpcChannel& channel, Error reason) {
  if (channel.Enqueue({0, rpc::Reject{reason.code, reason.message}, {}}))
    (void)co_await channel.Drain(kRejectLimit);
}

}  // namespace

Awaitable<Result<rpc::Welcome>> GreetServer(RpcChannel& channel, rpc::Hello hello) {
  const Executor executor = co_await boost::asio::this_coro::executor;
  const ScopedDeadline deadline(executor, kGreetingLimit, [&channel] { channel.Close(); });
  if (const auto queued = channel.Enqueue({0, hello, {}}); !queued) co_return queued.error();
  auto envelope = co_await channel.Receive();
  if (deadline.expired()) co_return NoGreeting();
  if (!envelope) co_return envelope.error();
  co_return JudgeAnswer(std::move(*envelope), hello);
}

Awaitable<Result<rpc::Hello>> GreetClient(RpcChannel& channel, rpc::Welcome welcome,
                                          WelcomeCompletion complete) {
  const Executor executor = co_await boost::asio::this_coro::executor;
  const ScopedDeadline deadline(executor, kGreetingLimit, [&channel] { channel.Close(); });
  auto envelope = co_await channel.Receive();
  if (deadline.expired()) co_return NoGreeting();
  if (!envelope) {
    if (envelope.error().code == Errc::kUnsupported) co_await SendReject(channel, envelope.error());
    co_return envelope.error();
  }
  auto* hello = std::get_if<rpc::Hello>(&envelope->message);
  if (!hello) co_return Error{Errc::kMalformed, "The client began with something else than a hello."};

  const std::uint32_t version = std::min(hello->protocol_maximum, rpc::kProtocolMaximum);
  if (version < std::max(hello->protocol_minimum, rpc::kProtocolMinimum)) {
    const Error mismatch{Errc::kVersionMismatch,
                         MismatchText(Range(hello->protocol_minimum, hello->protocol_maximum),
                                      Range(rpc::kProtocolMinimum, rpc::kProtocolMaximum))};
    co_await SendReject(channel, mismatch);
    co_return mismatch;
  }
  welcome.protocol = version;
  std::erase_if(welcome.capabilities, [hello](const std::string& ours) {
    return std::find(hello->capabilities.begin(), hello->capabilities.end(), ours) ==
           hello->capabilities.end();
  });
  hello->capabilities = welcome.capabilities;
  if (const auto completed = complete(*hello, welcome); !completed) {
    co_await SendReject(channel, completed.error());
    co_return completed.error();
  }
  if (const auto queued = channel.Enqueue({0, std::move(welcome), {}}); !queued) co_return queued.error();
  co_return std::move(*hello);
}

}  // namespace longwire

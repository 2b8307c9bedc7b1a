#include "tests/e2e/front_door/visit.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "transport/listener.h"
#include "transport/rpc_channel.h"

namespace longwire::test {
namespace {

Awaitable<Result<void>> Greet(Executor executor, Endpoint endpoint) {
  auto stream = co_await Dial(executor, std::move(endpoint));
  if (!stream) co_return stream.error();
  const auto channel = RpcChannel::Make(executor, std::move(*stream));
  rpc::Hello hello;
  hello.software = "longwire test";
  const auto welcome = co_await GreetServer(*channel, std::move(hello));
  if (!welcome) co_return welcome.error();
  co_return Result<void>();
}

}  // namespace

Result<std::chrono::milliseconds> Visit(int port, const std::string& password) {
  std::string text = "tcp:server=127.0.0.1,port=" + std::to_string(port);
  if (!password.empty()) text += ",password=" + password;
  auto endpoint = ParseClientEndpoint(text);
  if (!endpoint) return endpoint.error();
  boost::asio::io_context context(1);
  Result<void> outcome = Error{Errc::kInternal, "the visit did not end"};
  const auto started = std::chrono::steady_clock::now();
  boost::asio::co_spawn(
      context,
      [&]() -> Awaitable<void> {
        outcome = co_await Greet(context.get_executor(), std::move(*endpoint));
        context.stop();
      },
      boost::asio::detached);
  context.run();
  if (!outcome) return outcome.error();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
}

}  // namespace longwire::test

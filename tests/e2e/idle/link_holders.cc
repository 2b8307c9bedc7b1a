#include "tests/e2e/idle/link_holders.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <iostream>
#include <utility>

#include "transport/listener.h"

namespace longwire::test {

LinkHolders::LinkHolders(int port, const std::vector<std::string>& links) {
  boost::asio::co_spawn(context_, OpenAll(port, links), boost::asio::detached);
  thread_ = std::thread([this] { context_.run(); });
}

LinkHolders::~LinkHolders() {
  context_.stop();
  thread_.join();
}

void LinkHolders::Lose(const std::string& link, const Error& why) {
  std::cerr << link << ": " << why.message << "\n";
  ++lost_;
}

Awaitable<void> LinkHolders::OpenAll(int port, std::vector<std::string> links) {
  for (const std::string& link : links) {
    auto channel = co_await Open(port, link);
    if (!channel) {
      Lose(link, channel.error());
      continue;
    }
    ++opened_;
    boost::asio::co_spawn(context_, Listen(std::move(*channel), link), boost::asio::detached);
  }
}

Awaitable<Result<std::shared_ptr<RpcChannel>>> LinkHolders::Open(int port, std::string link) {
  auto endpoint = ParseClientEndpoint("tcp:server=127.0.0.1,port=" + std::to_string(port));
  if (!endpoint) co_return endpoint.error();
  auto stream = co_await Dial(context_.get_executor(), std::move(*endpoint));
  if (!stream) co_return stream.error();
  std::shared_ptr<RpcChannel> channel = RpcChannel::Make(context_.get_executor(), std::move(*stream));
  rpc::Hello hello;
  hello.software = "longwire test";
  hello.capabilities = {rpc::kResumeCapability, rpc::kRolesCapability};
  const auto welcome = co_await GreetServer(*channel, std::move(hello));
  if (!welcome) co_return welcome.error();
  rpc::OpenLink open;
  open.link = std::move(link);
  if (const auto sent = channel->Enqueue({1, rpc::Request(open), {}}); !sent) co_return sent.error();
  for (;;) {
    const auto envelope = co_await channel->Receive();
    if (!envelope) co_return envelope.error();
    const auto* response = std::get_if<rpc::Response>(&envelope->message);
    if (response == nullptr) continue;
    if (const auto* refused = std::get_if<Error>(&response->answer)) co_return *refused;
    co_return channel;
  }
}

Awaitable<void> LinkHolders::Listen(std::shared_ptr<RpcChannel> channel, std::string link) {
  for (;;) {
    const auto envelope = co_await channel->Receive();
    if (!envelope) co_return Lose(link, envelope.error());
  }
}

}  // namespace longwire::test

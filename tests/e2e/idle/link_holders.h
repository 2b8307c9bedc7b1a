#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "transport/rpc_channel.h"

namespace longwire::test {

/// Clients of one server, each the driver of a link of its own for as long as this object lives; they listen
/// and say nothing but what keeps a connection alive.
class LinkHolders {
 public:
  LinkHolders(int port, const std::vector<std::string>& links);
  LinkHolders(const LinkHolders&) = delete;
  LinkHolders& operator=(const LinkHolders&) = delete;
  ~LinkHolders();

  /// Links that were opened, and connections that ended, for whatever reason.
  std::size_t opened() const { return opened_; }
  std::size_t lost() const { return lost_; }

 private:
  /// One after the other: a server lets in only so many at once that it does not know.
  Awaitable<void> OpenAll(int port, std::vector<std::string> links);
  Awaitable<Result<std::shared_ptr<RpcChannel>>> Open(int port, std::string link);
  Awaitable<void> Listen(std::shared_ptr<RpcChannel> channel, std::string link);
  void Lose(const std::string& link, const Error& why);

  boost::asio::io_context context_{1};
  std::atomic<std::size_t> opened_{0}, lost_{0};
  std::thread thread_;
};

}  // namespace longwire::test

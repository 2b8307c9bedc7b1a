#include "server/kd/local_service.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

namespace longwire {
namespace {

Awaitable<void> Serve(std::shared_ptr<KdService> service, std::unique_ptr<Stream> peer) {
  co_await service->Serve(std::move(peer));
}

}  // namespace

std::shared_ptr<KdService> StartLocalService(Executor executor, std::unique_ptr<Stream> stream,
                                             KdServiceOptions options) {
  auto service = std::make_shared<KdService>(executor, std::move(options));
  boost::asio::co_spawn(executor, Serve(service, std::move(stream)), boost::asio::detached);
  return service;
}

}  // namespace longwire

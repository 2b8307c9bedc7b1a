#include "server/kd/kd_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

namespace longwire {
namespace {
constexpr std::chrono::milliseconds kShutdownLimit{4000};
constexpr std::chrono::milliseconds kAcceptPause{100};
}  // namespace

KdServer::KdServer(Executor executor, KdServiceOptions options)
    : executor_(executor), service_(executor, std::move(options)), control_(executor, service_) {
  service_.OnEndServer([this] { Stop(); });
}

KdServer::~KdServer() = default;

Result<void> KdServer::Listen(const Endpoint& endpoint, bool open) {
  ListenOptions options;
  options.open = open;
  options.warn = [this](const std::string& line) { service_.Warn(line); };
  options.notice = [this](const std::string& line) { service_.Log(line); };
  auto listener = longwire::Listen(executor_, endpoint, options);
  if (!listener) return listener.error();
  listener_ = std::move(*listener);
  // Without it only --status and --release are lost.
  const Result<void> controlled = control_.Bind(*listener_);
  if (!controlled) service_.Log("no control socket: " + controlled.error().message);
  return {};
}

Awaitable<void> KdServer::Run() {
  const auto finished = [this](std::exception_ptr escaped) {
    if (escaped) service_.Warn("An internal error ended one connection; the others go on.");
  };
  // Of a range, the port that was free: the next server may be told that one, or another range.
  Endpoint bound = listener_->endpoint();
  bound.port.last = bound.port.first;
  service_.Restore(FormatEndpoint(bound));
  boost::asio::co_spawn(executor_, control_.Run(), finished);
  for (;;) {
    Result<std::unique_ptr<Stream>> stream = co_await listener_->Accept();
    if (!stream) {
      if (stream.error().code == Errc::kCancelled) break;
      if (listener_->IsOver()) {
        ended_by_ = stream.error();
        break;
      }
      // Whatever one peer or one moment did, the next may be served.
      boost::asio::steady_timer pause(executor_, kAcceptPause);
      co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      continue;
    }
    boost::asio::co_spawn(executor_, service_.Serve(std::move(*stream)), finished);
  }
  control_.Close();
  co_await service_.Shutdown(kShutdownLimit);
}

void KdServer::Stop() { listener_->Close(); }

}  // namespace longwire

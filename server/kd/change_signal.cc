#include "server/kd/change_signal.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <utility>

namespace longwire {

struct ChangeSignal::Waits {
  Executor executor;
  std::list<std::shared_ptr<boost::asio::steady_timer>> timers;
};

ChangeSignal::ChangeSignal(Executor executor) : waits_(std::make_shared<Waits>()) {
  waits_->executor = std::move(executor);
}

Awaitable<void> ChangeSignal::Wait(TimePoint limit) {
  const std::shared_ptr<Waits> waits = waits_;
  const auto timer = std::make_shared<boost::asio::steady_timer>(waits->executor, limit);
  waits->timers.push_back(timer);
  co_await timer->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  waits->timers.remove(timer);
}

void ChangeSignal::Ring() const {
  for (const auto& timer : waits_->timers) timer->cancel();
}

}  // namespace longwire

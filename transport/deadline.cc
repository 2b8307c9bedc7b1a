#include "transport/deadline.h"

#include <boost/asio/steady_timer.hpp>

namespace longwire {

struct ScopedDeadline::State {
  State(const Executor& executor, std::function<void()> expiry)
      : timer(executor), on_expiry(std::move(expiry)) {}
  boost::asio::steady_timer timer;
  std::function<void()> on_expiry;
  bool expired = false, ended = false;
};

ScopedDeadline::ScopedDeadline(Executor executor, std::chrono::milliseconds limit,
                               std::function<void()> on_expiry)
    : state_(std::make_shared<State>(executor, std::move(on_expiry))) {
  state_->timer.expires_after(limit);
  Arm(state_);
}

void ScopedDeadline::Arm(std::shared_ptr<State> state) {
  state->timer.async_wait([state](const boost::system::error_code& error) {
    // Extend() cancels this wait after the new one was set up, and a completed wait may already be queued.
    if (error || state->ended || state->timer.expiry() > std::chrono::steady_clock::now()) return;
    state->expired = true;
    state->on_expiry();
  });
}

ScopedDeadline::~ScopedDeadline() {
  state_->ended = true;
  state_->timer.cancel();
}

bool ScopedDeadline::expired() const noexcept { return state_->expired; }

void ScopedDeadline::Extend(std::chrono::milliseconds more) {
  if (state_->expired) return;
  state_->timer.expires_at(state_->timer.expiry() + more);
  Arm(state_);
}

}  // namespace longwire

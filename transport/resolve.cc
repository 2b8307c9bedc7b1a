#include "transport/resolve.h"

#include <boost/asio/steady_timer.hpp>

#include "transport/descriptor_stream.h"

namespace longwire {
namespace {

using boost::asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaximumAddresses = 16;

/// getaddrinfo cannot be interrupted, so the wait ends without it and its late answer falls into this.
struct Resolution {
  explicit Resolution(const Executor& executor) : resolver(executor), wake(executor) {}
  tcp::resolver resolver;
  boost::asio::steady_timer wake;
  bool done = false;
  boost::system::error_code error;
  std::vector<tcp::endpoint> addresses;
};

bool IsWanted(const tcp::endpoint& address, std::optional<int> ip_version) {
  return !ip_version || (*ip_version == 6) == address.address().is_v6();
}

}  // namespace

Awaitable<Result<std::vector<tcp::endpoint>>> Resolve(Executor executor, std::string host, std::uint16_t port,
                                                      std::optional<int> ip_version,
                                                      Clock::time_point until) {
  const auto state = std::make_shared<Resolution>(executor);
  state->wake.expires_at(until);
  state->resolver.async_resolve(
      host, std::to_string(port), tcp::resolver::numeric_service,
      [state](const boost::system::error_code& error, tcp::resolver::results_type results) {
        state->done = true;
        state->error = error;
        for (const auto& entry : results) state->addresses.push_back(entry.endpoint());
        state->wake.cancel();
      });
  while (!state->done && Clock::now() < until) co_await state->wake.async_wait(kAsTuple);
  if (!state->done) {
    co_return Error{Errc::kTimedOut,
                    "The name " + host + " could not be resolved in time; check the name service."};
  }
  if (state->error) {
    co_return Error{Errc::kUnreachable, "Cannot resolve " + host + ": " + state->error.message() + ".", 0,
                    state->error.value()};
  }
  std::erase_if(state->addresses,
                [&](const tcp::endpoint& address) { return !IsWanted(address, ip_version); });
  if (state->addresses.empty()) {
    co_return Error{Errc::kUnreachable,
                    host + " has no IPv" + std::to_string(ip_version.value_or(4)) + " address."};
  }
  if (state->addresses.size() > kMaximumAddresses) state->addresses.resize(kMaximumAddresses);
  co_return std::move(state->addresses);
}

}  // namespace longwire

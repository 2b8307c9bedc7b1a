#include "transport/reverse_dialer.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>

#include "transport/acceptor.h"
#include "transport/descriptor_stream.h"
#include "transport/resolve.h"
#include "transport/socket_stream.h"

namespace longwire {
namespace {

using boost::asio::ip::address;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint32_t kDefaultLimit = 60;  // seconds
constexpr milliseconds kHandshakeLimit{10'000}, kAcceptPause{100};
constexpr std::size_t kWaitingPeers = 16;

/// Who may dial in.
struct Admission {
  bool everybody = false;
  bool loopback = false;  ///< this machine, by whatever of its loopback addresses
  std::vector<address> addresses;
};

address WithoutForm(address one) {
  if (one.is_v4()) return one;
  auto six = one.to_v6();
  if (six.is_v4_mapped()) return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, six);
  six.scope_id(0);
  return six;
}

bool Admits(const Admission& admission, const PeerInfo& peer) {
  if (admission.everybody || (admission.loopback && peer.loopback)) return true;
  std::string host = peer.address.substr(0, peer.address.rfind(':'));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto from = boost::asio::ip::make_address(host, error);
  return !error && std::count(admission.addresses.begin(), admission.addresses.end(), WithoutForm(from)) > 0;
}

/// The peers of all acceptors in one queue, for as long as this object lives.
class Arrivals {
 public:
  Arrivals(Executor executor, std::vector<std::unique_ptr<Acceptor>> acceptors)
      : core_(std::make_shared<Core>(executor, std::move(acceptors))) {
    for (std::size_t i = 0; i < core_->acceptors.size(); ++i) {
      boost::asio::co_spawn(executor, Take(core_, i), [](std::exception_ptr) {});
    }
  }
  ~Arrivals() {
    core_->closed = true;
    for (const auto& acceptor : core_->acceptors) acceptor->Close();
    core_->waiting.clear();
  }
  Arrivals(const Arrivals&) = delete;
  Arrivals& operator=(const Arrivals&) = delete;

  /// nullptr: `until` has passed.
  Awaitable<std::unique_ptr<Stream>> Next(Clock::time_point until) { return NextOf(core_, until); }

 private:
  struct Core {
    Core(const Executor& executor, std::vector<std::unique_ptr<Acceptor>> from)
        : acceptors(std::move(from)), changed(executor) {}
    std::vector<std::unique_ptr<Acceptor>> acceptors;
    std::deque<std::unique_ptr<Stream>> waiting;
    boost::asio::steady_timer changed;
    bool closed = false;
  };

  static Awaitable<void> Take(std::shared_ptr<Core> core, std::size_t index) {
    while (!core->closed) {
      auto stream = co_await core->acceptors[index]->Accept();
      if (core->closed) break;
      if (stream) {
        if (core->waiting.size() >= kWaitingPeers) core->waiting.pop_front();
        core->waiting.push_back(std::move(*stream));
        core->changed.cancel();
        continue;
      }
      boost::asio::steady_timer pause(core->changed.get_executor(), kAcceptPause);
      co_await pause.async_wait(kAsTuple);
    }
  }

  static Awaitable<std::unique_ptr<Stream>> NextOf(std::shared_ptr<Core> core, Clock::time_point until) {
    while (core->waiting.empty() && Clock::now() < until) {
      core->changed.expires_at(until);
      co_await core->changed.async_wait(kAsTuple);
    }
    if (core->waiting.empty()) co_return nullptr;
    auto stream = std::move(core->waiting.front());
    core->waiting.pop_front();
    co_return stream;
  }

  std::shared_ptr<Core> core_;
};

Awaitable<Result<Admission>> Admit(Executor executor, const Endpoint& endpoint, bool this_machine_only,
                                   Clock::time_point until) {
  Admission admission;
  if (*endpoint.clicon == "*") {
    admission.everybody = true;
    co_return admission;
  }
  const auto resolved = co_await Resolve(executor, *endpoint.clicon, 0, endpoint.ip_version, until);
  if (!resolved) co_return resolved.error();
  bool far = false;
  for (const auto& one : *resolved) {
    admission.addresses.push_back(WithoutForm(one.address()));
    (IsLoopback(one.address()) ? admission.loopback : far) = true;
  }
  if (far && this_machine_only) {
    co_return Error{Errc::kUsage,
                    "Waiting for " + *endpoint.clicon +
                        " without a password lets that machine pose as any target; give password= or -open."};
  }
  co_return admission;
}

class Wait final : public ReverseWait {
 public:
  Wait(Executor executor, Admission admission, BoundTcp bound)
      : admission_(std::move(admission)),
        port_(bound.port),
        arrivals_(std::move(executor), std::move(bound.acceptors)) {}

  Awaitable<std::unique_ptr<Stream>> Next(Time until) override { return arrivals_.Next(until); }
  bool Admits(const PeerInfo& peer) const override { return longwire::Admits(admission_, peer); }
  bool admits_everybody() const override { return admission_.everybody; }
  std::uint16_t port() const override { return port_; }

 private:
  Admission admission_;
  std::uint16_t port_;
  Arrivals arrivals_;
};

Error Missed(const std::string& who, std::uint16_t port, milliseconds limit, const std::string& last) {
  std::string text = "No server dialled in from " + who + " on port " + std::to_string(port) + " within " +
                     std::to_string(std::chrono::ceil<std::chrono::seconds>(limit).count()) +
                     " s; the server's string needs clicon= naming this machine, and the same port.";
  if (!last.empty()) text += " Last refused: " + last;
  return {Errc::kTimedOut, std::move(text)};
}

}  // namespace

Awaitable<Result<std::unique_ptr<ReverseWait>>> ReverseWait::Begin(Executor executor, Endpoint endpoint,
                                                                   bool this_machine_only, Time until) {
  auto admission = co_await Admit(executor, endpoint, this_machine_only, until);
  if (!admission) co_return admission.error();
  const bool only_loopback = !admission->everybody && std::all_of(admission->addresses.begin(),
                                                                  admission->addresses.end(), IsLoopback);
  auto bound =
      BindTcp(executor, {"", this_machine_only || only_loopback, endpoint.ip_version, endpoint.port});
  if (!bound) co_return bound.error();
  co_return std::make_unique<Wait>(executor, std::move(*admission), std::move(*bound));
}

Awaitable<Result<std::unique_ptr<Stream>>> AwaitServer(Executor executor, Endpoint endpoint,
                                                       DialOptions options, const ClientSecurity& security) {
  const milliseconds limit =
      options.limit.value_or(std::chrono::seconds(endpoint.connect_timeout_seconds.value_or(kDefaultLimit)));
  const auto until = Clock::now() + limit;
  const bool this_machine_only = !security.authenticates() && !options.open;
  const auto wait = co_await ReverseWait::Begin(executor, endpoint, this_machine_only, until);
  if (!wait) co_return wait.error();
  const std::uint16_t port = (*wait)->port();
  const std::string who = (*wait)->admits_everybody() ? "any machine" : *endpoint.clicon;
  const auto say = [&options](const std::string& line) {
    if (options.notice) options.notice(line);
  };
  say("Waiting for the server to dial in from " + who + " on port " + std::to_string(port) + ".");
  std::string last;
  for (;;) {
    auto stream = co_await (*wait)->Next(until);
    if (!stream) co_return Missed(who, port, limit, last);
    const std::string from = stream->peer().address;
    if (!(*wait)->Admits(stream->peer())) {
      last = from + " is not an address of " + who + ".";
      say("Refused " + last + " clicon=* would accept it.");
      continue;
    }
    if (!security.acts()) co_return stream;
    Stream* const below = stream.get();
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
    ScopedDeadline deadline(executor, std::clamp(left, milliseconds(1), kHandshakeLimit),
                            [below] { below->Close(); });
    auto secured = co_await security.Secure(executor, std::move(stream), deadline);
    if (secured && !deadline.expired()) co_return secured;
    const Error error =
        deadline.expired()
            ? Error{Errc::kTimedOut,
                    from + " dialled in and did not finish TLS in time; is it a longwire server?"}
            : secured.error();
    // Where anybody may dial, a stranger that speaks something else must not end the wait for the server.
    if (!(*wait)->admits_everybody() || error.code == Errc::kAuthentication) co_return error;
    last = error.message;
    say("Refused " + last);
  }
}

}  // namespace longwire

#include "transport/doctor_way.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "transport/open_files.h"
#include "transport/resolve.h"
#include "transport/scoped_descriptor.h"

namespace longwire {
namespace {

using boost::asio::ip::tcp;
using Addresses = std::vector<tcp::endpoint>;

constexpr std::chrono::milliseconds kResolveLimit{4000};

Finding NameFinding(const Error& error) {
  if (error.code == Errc::kTimedOut || error.os_error == TRY_AGAIN) return Finding::kNameServiceSilent;
  return error.os_error == 0 ? Finding::kNoAddressOfFamily : Finding::kNameUnknown;
}

std::string Join(const Addresses& addresses) {
  std::string text;
  for (const tcp::endpoint& address : addresses) {
    text += (text.empty() ? "" : ", ") + address.address().to_string();
  }
  return text;
}

/// Asks the routing table by connecting a datagram socket, which sends nothing. 0, or errno; `source` is the
/// address of this machine that would be used.
int FindRoute(const tcp::endpoint& to, std::string& source) {
  const ScopedDescriptor probe(::socket(to.data()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return errno;
  if (::connect(probe.get(), to.data(), static_cast<socklen_t>(to.size())) != 0) return errno;
  tcp::endpoint local;
  auto size = static_cast<socklen_t>(local.capacity());
  if (::getsockname(probe.get(), local.data(), &size) == 0) {
    local.resize(size);
    source = local.address().to_string();
  }
  return 0;
}

std::optional<std::string> ExamineRoute(const Addresses& addresses, Diagnosis& diagnosis) {
  int last = 0;
  for (const tcp::endpoint& address : addresses) {
    std::string source;
    last = FindRoute(address, source);
    if (last != 0) continue;
    diagnosis.Ok(DoctorStep::kRoute, address.address().to_string() + " is reached from " + source);
    return source;
  }
  diagnosis.Fail(DoctorStep::kRoute, Finding::kNoRoute,
                 "this machine has no route to " + Join(addresses) + " (" + std::strerror(last) + ")");
  return std::nullopt;
}

}  // namespace

Awaitable<std::optional<std::string>> ExamineWay(Executor executor, std::string host, std::uint16_t port,
                                                 std::optional<int> ip_version, Diagnosis& diagnosis) {
  const auto until = std::chrono::steady_clock::now() + kResolveLimit;
  const auto addresses = co_await Resolve(executor, host, port, ip_version, until);
  if (!addresses) {
    diagnosis.Fail(DoctorStep::kName, NameFinding(addresses.error()), addresses.error().message);
    co_return std::nullopt;
  }
  diagnosis.Ok(DoctorStep::kName, host + " is " + Join(*addresses));
  co_return ExamineRoute(*addresses, diagnosis);
}

Finding PortFinding(const Error& error) {
  if (error.code == Errc::kTimedOut) return Finding::kPortNoAnswer;
  switch (error.os_error) {
    case ECONNREFUSED: return Finding::kPortRefused;
    case EHOSTUNREACH:
    case EHOSTDOWN: return Finding::kHostUnreachable;
    case ETIMEDOUT: return Finding::kPortNoAnswer;
    default: return Finding::kTransportFailed;
  }
}

std::string PortText(Finding finding, const std::string& where, const Error& error) {
  switch (finding) {
    case Finding::kPortRefused: return "nothing listens on " + where + " (connection refused)";
    case Finding::kPortNoAnswer: return "no answer from " + where + "; the attempt timed out";
    case Finding::kHostUnreachable:
      return where + " cannot be reached: nobody has that address (no route to host)";
    default: return error.message;
  }
}

void FailPortOfOurs(const Error& error, std::uint16_t first, std::uint16_t last, Diagnosis& diagnosis) {
  if (error.os_error == EACCES)
    return diagnosis.Fail(DoctorStep::kPort, Finding::kPortForbidden, error.message);
  if (error.os_error != EADDRINUSE)
    return diagnosis.Fail(DoctorStep::kPort, Finding::kTransportFailed, error.message);
  const std::string holder = ListenersOnPort(first);
  diagnosis.Fail(DoctorStep::kPort, Finding::kPortTaken,
                 first != last
                     ? error.message
                     : "port " + std::to_string(first) + " is taken" +
                           (holder.empty() ? " by a program that this user cannot see" : " by " + holder));
}

}  // namespace longwire

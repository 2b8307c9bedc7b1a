#include "transport/doctor_reach.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "transport/dial_socket.h"
#include "transport/endpoint_pipe.h"
#include "transport/resolve.h"
#include "transport/scoped_descriptor.h"
#include "transport/socket_stream.h"

namespace longwire {
namespace {

using boost::asio::ip::tcp;
using Addresses = std::vector<tcp::endpoint>;

constexpr std::chrono::milliseconds kResolveLimit{4000}, kConnectLimit{4000};
constexpr std::size_t kMostNamed = 8;

bool IsPipe(const Endpoint& endpoint) {
  return endpoint.protocol == Protocol::kNamedPipe || endpoint.protocol == Protocol::kSecurePipe;
}

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

bool ExamineRoute(const Addresses& addresses, Diagnosis& diagnosis) {
  int last = 0;
  for (const tcp::endpoint& address : addresses) {
    std::string source;
    last = FindRoute(address, source);
    if (last != 0) continue;
    diagnosis.Ok(DoctorStep::kRoute, address.address().to_string() + " is reached from " + source);
    return true;
  }
  diagnosis.Fail(DoctorStep::kRoute, Finding::kNoRoute,
                 "this machine has no route to " + Join(addresses) + " (" + std::strerror(last) + ")");
  return false;
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

Awaitable<std::unique_ptr<Stream>> ReachPort(Executor executor, Endpoint endpoint, Diagnosis& diagnosis) {
  const std::string where = endpoint.server + " port " + std::to_string(endpoint.port.first);
  const auto until = std::chrono::steady_clock::now() + kResolveLimit;
  const auto addresses =
      co_await Resolve(executor, endpoint.server, endpoint.port.first, endpoint.ip_version, until);
  if (!addresses) {
    diagnosis.Fail(DoctorStep::kName, NameFinding(addresses.error()), addresses.error().message);
    co_return nullptr;
  }
  diagnosis.Ok(DoctorStep::kName, endpoint.server + " is " + Join(*addresses));
  if (!ExamineRoute(*addresses, diagnosis)) co_return nullptr;
  auto stream =
      co_await DialTcp(executor, endpoint.server, endpoint.port.first, endpoint.ip_version, kConnectLimit);
  if (!stream) {
    const Finding finding = PortFinding(stream.error());
    diagnosis.Fail(DoctorStep::kPort, finding, PortText(finding, where, stream.error()));
    co_return nullptr;
  }
  diagnosis.Ok(DoctorStep::kPort, where + " accepts connections");
  co_return std::move(*stream);
}

/// The names of this user's pipes, so that a misspelling is seen at a glance.
std::string OtherPipes(const std::string& directory) {
  std::string names;
  std::size_t count = 0;
  std::error_code missing;
  for (std::filesystem::directory_iterator at(directory, missing), end; !missing && at != end;
       at.increment(missing)) {
    const std::string name = at->path().filename().string();
    std::error_code ignored;
    if (name.starts_with(".") || !at->is_socket(ignored) || ++count > kMostNamed) continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  return names.empty() ? "; this user has no pipe at all" : "; there are: " + names;
}

Awaitable<std::unique_ptr<Stream>> ReachPipe(Executor executor, Endpoint endpoint, Diagnosis& diagnosis) {
  diagnosis.Ok(DoctorStep::kName, "a pipe of this machine");
  diagnosis.Skip(DoctorStep::kRoute, "a pipe needs none");
  if (const auto checked = CheckPipeName(endpoint.pipe); !checked) {
    diagnosis.Fail(DoctorStep::kPort, Finding::kPipeMissing, checked.error().message);
    co_return nullptr;
  }
  const Environment environment = ProcessEnvironment();
  const std::string path = PipePath(endpoint.pipe, environment);
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) {
    const bool forbidden = errno == EACCES;
    diagnosis.Fail(DoctorStep::kPort, forbidden ? Finding::kPipeForbidden : Finding::kPipeMissing,
                   forbidden ? "this user may not enter " + PipeDirectory(environment)
                             : "no server of this user has a pipe " + endpoint.pipe + " (" + path + ")" +
                                   OtherPipes(PipeDirectory(environment)));
    co_return nullptr;
  }
  auto stream = co_await DialLocalSocket(executor, path, kConnectLimit);
  if (!stream) {
    const int number = stream.error().os_error;
    const Finding finding = number == ECONNREFUSED ? Finding::kPipeDead
                            : number == EACCES     ? Finding::kPipeForbidden
                                                   : Finding::kTransportFailed;
    diagnosis.Fail(
        DoctorStep::kPort, finding,
        finding == Finding::kPipeDead ? "nobody listens on " + path + " any more" : stream.error().message);
    co_return nullptr;
  }
  diagnosis.Ok(DoctorStep::kPort, "the pipe " + endpoint.pipe + " accepts connections");
  co_return std::move(*stream);
}

}  // namespace

bool CanReach(const Endpoint& endpoint) {
  if (endpoint.clicon) return false;
  if (IsPipe(endpoint)) return IsThisMachine(endpoint.server);
  return endpoint.protocol == Protocol::kTcp || endpoint.protocol == Protocol::kSsl;
}

Awaitable<std::unique_ptr<Stream>> ReachServer(Executor executor, Endpoint endpoint, Diagnosis& diagnosis) {
  if (IsPipe(endpoint)) co_return co_await ReachPipe(executor, std::move(endpoint), diagnosis);
  co_return co_await ReachPort(executor, std::move(endpoint), diagnosis);
}

}  // namespace longwire

#include "transport/doctor_reach.h"
#include "transport/doctor_way.h"
#include "transport/reverse_dialer.h"
#include "transport/server_security.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

/// A server dials each second at first, then each 10 s.
constexpr std::uint32_t kDialLimit = 15;  // seconds

/// What to type on the server's machine, secrets left out.
std::string ServerCommand(const Endpoint& endpoint, std::uint16_t port, const std::string& here) {
  std::string text = "kdsrv -t " +
                     std::string(endpoint.protocol == Protocol::kSsl ? "ssl:proto=tls1," : "tcp:") +
                     "port=" + std::to_string(port) + ",clicon=" + here;
  if (endpoint.protocol == Protocol::kSsl) text += ",certuser=ITS_CERTIFICATE";
  return text + (endpoint.password ? ",password=..." : "");
}

/// Nobody came that may.
void FailMissed(const Endpoint& endpoint, const std::string& here, std::uint16_t port, std::uint32_t limit,
                const std::string& stranger, Diagnosis& diagnosis) {
  const std::string who = *endpoint.clicon == "*" ? "any machine" : *endpoint.clicon;
  if (!stranger.empty()) {
    return diagnosis.Fail(DoctorStep::kPort, Finding::kStrangerDialled,
                          stranger + " dialled in on port " + std::to_string(port) +
                              ", which is no address of " + who + " that clicon= names");
  }
  diagnosis.Fail(DoctorStep::kPort, Finding::kNobodyDialled,
                 "nobody dialled in from " + who + " on port " + std::to_string(port) + " within " +
                     std::to_string(limit) + " s; type there: " + ServerCommand(endpoint, port, here));
}

void FailBegin(const Endpoint& endpoint, const Error& error, Diagnosis& diagnosis) {
  if (error.code != Errc::kUsage)
    return FailPortOfOurs(error, endpoint.port.first, endpoint.port.last, diagnosis);
  diagnosis.Skip(DoctorStep::kPort, "without a password nobody from there is let in");
  diagnosis.Skip(DoctorStep::kTls, "not asked for");
  diagnosis.Fail(DoctorStep::kPassword, Finding::kPasswordWanted, error.message);
}

}  // namespace

Awaitable<std::unique_ptr<Stream>> AwaitReverseServer(Executor executor, Endpoint endpoint, bool open,
                                                      Diagnosis& diagnosis) {
  std::string here = "THIS_MACHINE";
  if (*endpoint.clicon == "*") {
    diagnosis.Skip(DoctorStep::kName, "any machine may dial");
    diagnosis.Skip(DoctorStep::kRoute, "any machine may dial");
  } else {
    const auto way =
        co_await ExamineWay(executor, *endpoint.clicon, endpoint.port.first, endpoint.ip_version, diagnosis);
    if (!way) co_return nullptr;
    here = *way;
  }
  const bool this_machine_only = !endpoint.password && !IsSecure(endpoint.protocol) && !open;
  const std::uint32_t limit = endpoint.connect_timeout_seconds.value_or(kDialLimit);
  const auto until = Clock::now() + std::chrono::seconds(limit);
  const auto wait = co_await ReverseWait::Begin(executor, endpoint, this_machine_only, until);
  if (!wait) {
    FailBegin(endpoint, wait.error(), diagnosis);
    co_return nullptr;
  }
  const std::uint16_t port = (*wait)->port();
  diagnosis.Ok(DoctorStep::kPort,
               "port " + std::to_string(port) + " is free; waiting for the server to dial in");
  std::string stranger;
  for (;;) {
    auto stream = co_await (*wait)->Next(until);
    if (!stream) break;
    const std::string from = stream->peer().address;
    if ((*wait)->Admits(stream->peer())) {
      diagnosis.Ok(DoctorStep::kPort, from + " dialled in");
      co_return stream;
    }
    stranger = from;
  }
  FailMissed(endpoint, here, port, limit, stranger, diagnosis);
  co_return nullptr;
}

}  // namespace longwire

#include "transport/listener_doctor.h"

#include <cerrno>

#include "transport/doctor_reach.h"
#include "transport/listener.h"
#include "transport/open_files.h"
#include "transport/server_security.h"

namespace longwire {
namespace {

void FailPort(const Endpoint& endpoint, const Error& error, Diagnosis& diagnosis) {
  if (error.code == Errc::kBusy) return diagnosis.Fail(DoctorStep::kPort, Finding::kPipeTaken, error.message);
  if (error.os_error == EACCES)
    return diagnosis.Fail(DoctorStep::kPort, Finding::kPortForbidden, error.message);
  if (error.os_error != EADDRINUSE)
    return diagnosis.Fail(DoctorStep::kPort, Finding::kTransportFailed, error.message);
  const std::string holder = ListenersOnPort(endpoint.port.first);
  diagnosis.Fail(DoctorStep::kPort, Finding::kPortTaken,
                 endpoint.port.first != endpoint.port.last
                     ? error.message
                     : "port " + std::to_string(endpoint.port.first) + " is taken" +
                           (holder.empty() ? " by a program that this user cannot see" : " by " + holder));
}

void ExaminePort(const Executor& executor, const Endpoint& endpoint, bool open, Diagnosis& diagnosis) {
  ListenOptions options;
  options.open = open;
  std::string warning;
  options.warn = [&warning](const std::string& line) { warning = line; };
  const auto listener = Listen(executor, endpoint, std::move(options));
  if (!listener) return FailPort(endpoint, listener.error(), diagnosis);
  const std::string place = FormatEndpoint((*listener)->endpoint());
  (*listener)->Close();
  if (warning.empty()) return diagnosis.Ok(DoctorStep::kPort, "free: " + place);
  diagnosis.Warn(DoctorStep::kPort, "free: " + place + ". " + warning);
}

}  // namespace

Awaitable<void> ExamineListening(Executor executor, Endpoint endpoint, bool open, Diagnosis& diagnosis) {
  if (endpoint.clicon) {
    Endpoint client = endpoint;
    client.server = *endpoint.clicon;
    client.clicon.reset();
    (void)co_await ReachServer(executor, std::move(client), diagnosis);
    if (diagnosis.failed()) co_return;
  } else {
    diagnosis.Skip(DoctorStep::kName, "a server needs none");
    diagnosis.Skip(DoctorStep::kRoute, "a server needs none");
    const auto security = ServerSecurity::Make(endpoint);
    if (!security) {
      diagnosis.Skip(DoctorStep::kPort, "the certificate comes first");
      diagnosis.Fail(DoctorStep::kTls, Finding::kCertificateUnusable, security.error().message);
      co_return;
    }
    ExaminePort(executor, endpoint, open, diagnosis);
    if (diagnosis.failed()) co_return;
  }
  if (IsSecure(endpoint.protocol)) {
    diagnosis.Ok(DoctorStep::kTls, "the certificate and its key can be used");
  } else {
    diagnosis.Skip(DoctorStep::kTls, endpoint.password ? "the password brings its own" : "not asked for");
  }
  if (endpoint.password) {
    diagnosis.Ok(DoctorStep::kPassword, "clients must know one");
  } else {
    diagnosis.Skip(DoctorStep::kPassword, "none is given");
  }
}

}  // namespace longwire

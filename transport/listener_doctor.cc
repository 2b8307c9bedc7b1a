#include "transport/listener_doctor.h"

#include "transport/doctor_client.h"
#include "transport/doctor_way.h"
#include "transport/listener.h"
#include "transport/reverse_listener.h"
#include "transport/serial_doctor.h"
#include "transport/server_security.h"

namespace longwire {
namespace {

void FailPort(const Endpoint& endpoint, const Error& error, Diagnosis& diagnosis) {
  if (error.code == Errc::kBusy) return diagnosis.Fail(DoctorStep::kPort, Finding::kPipeTaken, error.message);
  FailPortOfOurs(error, endpoint.port.first, endpoint.port.last, diagnosis);
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
  auto security = ServerSecurity::Make(endpoint);
  if (!security) {
    diagnosis.Skip(DoctorStep::kPort, "the certificate comes first");
    diagnosis.Fail(DoctorStep::kTls, Finding::kCertificateUnusable, security.error().message);
    co_return;
  }
  if (endpoint.clicon) {
    if (const auto allowed = CheckReverse(endpoint, *security, open); !allowed) {
      diagnosis.Fail(DoctorStep::kPort, Finding::kTransportFailed, allowed.error().message);
      co_return;
    }
    co_return co_await ExamineWaitingClient(executor, std::move(endpoint), std::move(*security), diagnosis);
  }
  diagnosis.Skip(DoctorStep::kName, "a server needs none");
  diagnosis.Skip(DoctorStep::kRoute, "a server needs none");
  if (endpoint.protocol == Protocol::kCom && !ExamineSerialLine(endpoint.device, endpoint.baud, diagnosis))
    co_return;
  ExaminePort(executor, endpoint, open, diagnosis);
  if (diagnosis.failed()) co_return;
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

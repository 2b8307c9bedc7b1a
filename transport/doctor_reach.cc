#include "transport/doctor_reach.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "transport/dial_socket.h"
#include "transport/doctor_way.h"
#include "transport/endpoint_pipe.h"

namespace longwire {
namespace {

constexpr std::chrono::milliseconds kConnectLimit{4000};
constexpr std::size_t kMostNamed = 8;

Awaitable<std::unique_ptr<Stream>> ReachPort(Executor executor, Endpoint endpoint, Diagnosis& diagnosis) {
  const std::string where = endpoint.server + " port " + std::to_string(endpoint.port.first);
  const auto way =
      co_await ExamineWay(executor, endpoint.server, endpoint.port.first, endpoint.ip_version, diagnosis);
  if (!way) co_return nullptr;
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

Awaitable<std::unique_ptr<Stream>> ReachServer(Executor executor, Endpoint endpoint, bool open,
                                               Diagnosis& diagnosis) {
  if (endpoint.clicon) co_return co_await AwaitReverseServer(executor, std::move(endpoint), open, diagnosis);
  switch (endpoint.protocol) {
    case Protocol::kTcp:
    case Protocol::kSsl: break;
    case Protocol::kNamedPipe:
    case Protocol::kSecurePipe:
      if (IsThisMachine(endpoint.server))
        co_return co_await ReachPipe(executor, std::move(endpoint), diagnosis);
      co_return co_await ReachRemotePipe(executor, std::move(endpoint), diagnosis);
    case Protocol::kCom: co_return co_await ReachChannel(executor, std::move(endpoint), diagnosis);
  }
  co_return co_await ReachPort(executor, std::move(endpoint), diagnosis);
}

}  // namespace longwire

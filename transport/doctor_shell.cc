#include "transport/doctor_shell.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "transport/doctor_reach.h"

namespace longwire {
namespace {

/// ssh gives up after 10 s itself.
constexpr std::chrono::milliseconds kShellLimit{15'000};

/// Last lines of OpenSSH (and of kdsrv --connect-pipe), and what they mean.
constexpr std::array<std::pair<std::string_view, Finding>, 14> kWords{{
    {"Temporary failure in name resolution", Finding::kNameServiceSilent},
    {"Could not resolve hostname", Finding::kNameUnknown},
    {"Host key verification failed", Finding::kShellHostKey},
    {"Permission denied", Finding::kShellLogin},
    {"Too many authentication failures", Finding::kShellLogin},
    {"Connection refused", Finding::kShellUnreachable},
    {"No route to host", Finding::kShellUnreachable},
    {"Network is unreachable", Finding::kShellUnreachable},
    {"Connection timed out", Finding::kShellUnreachable},
    {"Operation timed out", Finding::kShellUnreachable},
    {"Connection closed by", Finding::kShellUnreachable},
    {"Connection reset by", Finding::kShellUnreachable},
    {"kex_exchange_identification", Finding::kShellUnreachable},
    {"kdsrv: no server listens on the pipe", Finding::kPipeMissing},
}};

std::string Describe(const RemotePipeTry& outcome, const Endpoint& endpoint) {
  using End = RemotePipeTry::End;
  const std::string said = outcome.complaint.empty() ? ", and said nothing" : ": " + outcome.complaint;
  switch (outcome.end) {
    case End::kNotStarted:
    case End::kBroken: return outcome.program + " cannot be started: " + std::strerror(outcome.number);
    case End::kSilent:
      return outcome.program + " brought no answer of " + endpoint.server + " within " +
             std::to_string(kShellLimit.count() / 1000) + " s" + (outcome.complaint.empty() ? "" : said);
    case End::kForeignText: return "the first words from " + endpoint.server + " are not kdsrv's";
    case End::kEnded:
    case End::kConnected: break;
  }
  return outcome.program + " ended with status " + std::to_string(outcome.number) + said;
}

}  // namespace

Finding JudgeRemotePipe(const RemotePipeTry& outcome) {
  switch (outcome.end) {
    case RemotePipeTry::End::kConnected: return Finding::kNone;
    case RemotePipeTry::End::kNotStarted: return Finding::kShellMissing;
    case RemotePipeTry::End::kSilent: return Finding::kPortNoAnswer;
    case RemotePipeTry::End::kForeignText: return Finding::kLoginText;
    case RemotePipeTry::End::kBroken: return Finding::kTransportFailed;
    case RemotePipeTry::End::kEnded: break;
  }
  if (outcome.number == RemotePipeTry::kCommandNotFound || outcome.number == RemotePipeTry::kCommandUnusable)
    return Finding::kServerProgramMissing;
  const auto known = std::find_if(kWords.begin(), kWords.end(), [&](const auto& words) {
    return outcome.complaint.find(words.first) != std::string::npos;
  });
  return known == kWords.end() ? Finding::kTransportFailed : known->second;
}

Awaitable<std::unique_ptr<Stream>> ReachRemotePipe(Executor executor, Endpoint endpoint,
                                                   Diagnosis& diagnosis) {
  const Environment environment = ProcessEnvironment();
  std::function<void()> started = [&diagnosis, &endpoint] {
    diagnosis.Ok(DoctorStep::kPort, "the command that reaches " + endpoint.server + " runs");
  };
  RemotePipeTry outcome = co_await TryRemotePipe(executor, endpoint.server, endpoint.pipe, environment,
                                                 kShellLimit, std::move(started));
  const Finding finding = JudgeRemotePipe(outcome);
  const bool name = finding == Finding::kNameUnknown || finding == Finding::kNameServiceSilent;
  if (finding != Finding::kNone) {
    diagnosis.Fail(name ? DoctorStep::kName : DoctorStep::kPort, finding, Describe(outcome, endpoint));
    co_return nullptr;
  }
  diagnosis.Skip(DoctorStep::kName, outcome.program + " looks it up");
  diagnosis.Skip(DoctorStep::kRoute, outcome.program + " finds it");
  diagnosis.Ok(DoctorStep::kPort,
               "kdsrv on " + endpoint.server + " reaches the pipe " + endpoint.pipe + " there");
  co_return std::move(outcome.stream);
}

}  // namespace longwire

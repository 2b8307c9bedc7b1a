#include "client/target/connect.h"

#include <pwd.h>
#include <unistd.h>

#include <utility>

#include "client/target/remote_target.h"
#include "client/target/rpc_client.h"
#include "transport/listener.h"
#include "transport/memory_stream.h"

namespace longwire {
namespace {

/// One attempt to come back. Short: a packet lost at its beginning would make it hang for long.
constexpr std::chrono::seconds kRedialLimit{5};
/// The server of a reverse connection dials in its own rhythm, at most this far apart.
constexpr std::chrono::seconds kReverseRedialLimit{15};
constexpr std::uint64_t kScrollBackBytes = 16u << 20;  ///< more than servers keep

Awaitable<Result<RpcClient::Opened>> OpenServer(Executor executor, Endpoint server, DialOptions options) {
  Result<std::unique_ptr<Stream>> stream = co_await Dial(executor, std::move(server), std::move(options));
  if (!stream) co_return stream.error();
  co_return RpcClient::Opened{std::move(*stream), nullptr};
}

Awaitable<Result<RpcClient::Opened>> OpenLocal(Executor executor, LocalService serve) {
  auto [near, far] = MakeMemoryStreams(executor);
  std::shared_ptr<void> service = serve(executor, std::move(far));
  co_return RpcClient::Opened{std::move(near), std::move(service)};
}

}  // namespace

rpc::Hello MakeHello(const std::string& software) {
  rpc::Hello hello;
  hello.role = rpc::Role::kDriver;
  hello.software = software;
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) == 0) hello.host = host;
  // Not from the environment: services and containers often have no USER, and a refusal should name somebody.
  passwd entry{};
  passwd* found = nullptr;
  char text[4096];
  if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) == 0 && found) hello.user = found->pw_name;
  return hello;
}

namespace {

RpcClient::Opener ServerOpener(const Endpoint& server, DialOptions dial) {
  return [server, dial = std::move(dial)](Executor executor) { return OpenServer(executor, server, dial); };
}

RpcClient::Survival MakeSurvival(const Endpoint& server, const ConnectOptions& options) {
  RpcClient::Survival survival;
  survival.timing.wait = options.resume_wait;
  survival.news = options.news;
  // Its notices would repeat the first ones for every attempt.
  DialOptions dial;
  dial.open = options.open;
  dial.limit = server.clicon ? kReverseRedialLimit : kRedialLimit;
  survival.opener = ServerOpener(server, std::move(dial));
  return survival;
}

rpc::OpenLink MakeOpenLink(const std::string& link, const ConnectOptions& options) {
  rpc::OpenLink open;
  open.link = link;
  open.break_in = options.break_in;
  open.break_on_reboot = options.break_on_reboot;
  open.when_busy = options.observe ? rpc::WhenBusy::kObserve : options.when_busy;
  if (options.since) {
    open.scroll_back = kScrollBackBytes;
    open.since_ms = static_cast<std::uint64_t>(options.since->count());
  }
  return open;
}

}  // namespace

Result<std::unique_ptr<Target>> ConnectTarget(const KernelString& kernel, const ConnectOptions& options,
                                              Interrupt& interrupt) {
  RpcClient::Opener opener;
  std::optional<RpcClient::Survival> survival;
  rpc::Hello hello = MakeHello(options.software);
  if (options.observe) hello.role = rpc::Role::kObserver;
  hello.capabilities = {rpc::kRolesCapability, rpc::kScrollBackCapability, rpc::kStepProcessorCapability,
                        rpc::kPacketTraceCapability, rpc::kLineSpeedCapability};
  if (kernel.server) {
    DialOptions dial;
    dial.open = options.open;
    dial.notice = options.notice;
    opener = ServerOpener(*kernel.server, std::move(dial));
    if (options.resume_wait.count() > 0) {
      survival = MakeSurvival(*kernel.server, options);
      hello.capabilities.push_back(rpc::kResumeCapability);
      hello.keep_ms = static_cast<std::uint64_t>(std::chrono::milliseconds(options.resume_wait).count());
    }
  } else if (options.serve_locally) {
    opener = [serve = options.serve_locally](Executor executor) { return OpenLocal(executor, serve); };
  } else {
    return Error{Errc::kUnsupported,
                 "this program opens no links itself; name a server: -k kdsrv:server=@{...}"};
  }
  Result<std::unique_ptr<RpcClient>> client =
      RpcClient::Open(std::move(opener), std::move(hello), interrupt, std::move(survival));
  if (!client) return client.error();
  ReconnectTiming comeback;
  comeback.wait = options.resume_wait;
  auto target = std::make_unique<RemoteTarget>(std::move(*client), FormatSessionName(kernel), comeback);
  const rpc::OpenLink link = MakeOpenLink(kernel.trans, options);
  if (Result<void> opened = target->Open(link, options.queued); !opened) return opened.error();
  // The output of the past follows the answer: when the next answer is here, so is the output.
  if (options.since) (void)target->LinkStatus();
  return std::unique_ptr<Target>(std::move(target));
}

}  // namespace longwire

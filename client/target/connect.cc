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

Result<std::unique_ptr<Target>> ConnectTarget(const KernelString& kernel, const ConnectOptions& options,
                                              Interrupt& interrupt) {
  RpcClient::Opener opener;
  if (kernel.server) {
    DialOptions dial;
    dial.open = options.open;
    dial.notice = options.notice;
    opener = [server = *kernel.server, dial = std::move(dial)](Executor executor) {
      return OpenServer(executor, server, dial);
    };
  } else if (options.serve_locally) {
    opener = [serve = options.serve_locally](Executor executor) { return OpenLocal(executor, serve); };
  } else {
    return Error{Errc::kUnsupported,
                 "this program opens no links itself; name a server: -k kdsrv:server=@{...}"};
  }
  Result<std::unique_ptr<RpcClient>> client =
      RpcClient::Open(std::move(opener), MakeHello(options.software), interrupt);
  if (!client) return client.error();
  auto target = std::make_unique<RemoteTarget>(std::move(*client), FormatSessionName(kernel));
  rpc::OpenLink link{kernel.trans, options.break_in, options.break_on_reboot};
  if (Result<void> opened = target->Open(link); !opened) return opened.error();
  return std::unique_ptr<Target>(std::move(target));
}

}  // namespace longwire

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <iostream>

#include "server/daemon.h"
#include "server/firewall_hook.h"
#include "server/kd/control_socket.h"
#include "server/kd/kd_server.h"
#include "server/kdsrv_options.h"
#include "server/link/net_key.h"
#include "server/passthrough/link_door.h"
#include "server/pipe_relay.h"
#include "transport/command_line.h"
#include "transport/directory.h"
#include "transport/doctor_run.h"
#include "transport/listener_doctor.h"
#include "transport/serial_channel.h"

namespace {

using longwire::Result;
namespace asio = boost::asio;

constexpr std::chrono::milliseconds kLineLimit{2000};

int Fail(const longwire::Error& error) {
  std::cerr << "kdsrv: " << error.message << "\n";
  if (error.code == longwire::Errc::kUsage) std::cerr << longwire::KdsrvUsage();
  return longwire::ExitCodeFor(error.code);
}

std::shared_ptr<spdlog::logger> MakeLogger(const longwire::KdsrvOptions& options) {
  auto logger = options.log_file ? spdlog::basic_logger_mt("kdsrv", *options.log_file)
                                 : spdlog::stderr_color_mt("kdsrv");
  logger->set_level(options.log_file || options.verbose ? spdlog::level::info : spdlog::level::warn);
  logger->flush_on(spdlog::level::info);
  return logger;
}

/// Makes the server known to `kd -QR`, or tells the user why it is not.
longwire::ScopedDirectoryEntry MakeKnown(const longwire::Endpoint& endpoint) {
  const auto entry =
      longwire::MakeServerEntry(longwire::ServerType::kKernel, endpoint, endpoint.pool, endpoint.note);
  if (!entry) return {};
  longwire::ScopedDirectoryEntry known(*entry, longwire::ServerDirectories(longwire::ProcessEnvironment()));
  if (!known.notice().empty()) std::cerr << "kdsrv: " << known.notice() << std::endl;
  return known;
}

using Doors = std::vector<std::unique_ptr<longwire::LinkDoor>>;

Result<Doors> OpenDoors(const longwire::Executor& executor, longwire::KdService& service,
                        const longwire::KdsrvOptions& options) {
  Doors doors;
  for (const auto& wish : options.offers) {
    longwire::Offer offer{wish.raw ? longwire::Offer::Kind::kRaw : longwire::Offer::Kind::kGdb, wish.link,
                          wish.address, wish.port};
    auto door = longwire::LinkDoor::Open(executor, service, std::move(offer), options.open);
    if (!door) return door.error();
    (*door)->Start();
    if (options.verbose || wish.port == 0) std::cerr << (*door)->Describe() << std::endl;
    doors.push_back(std::move(*door));
  }
  return doors;
}

int Serve(const longwire::KdsrvOptions& options, longwire::Background background) {
  if (const auto scarce = longwire::RaiseDescriptorLimit()) std::cerr << "kdsrv: " << *scarce << std::endl;
  asio::io_context context(1);  // one thread: nothing in the service locks
  auto logger = MakeLogger(options);
  longwire::KdServiceOptions service_options;
  service_options.log = [logger](const std::string& text) { logger->info(text); };
  service_options.warn = [logger](const std::string& text) { logger->warn(text); };
  service_options.allows = [links = options.links](const longwire::KernelLink& link) {
    return longwire::AllowsLink(links, link);
  };
  service_options.keep = options.keep;
  using OnLost = longwire::KdsrvOptions::OnLost;
  service_options.on_lost = options.on_lost == OnLost::kHalt    ? longwire::Parting::kStay
                            : options.on_lost == OnLost::kBreak ? longwire::Parting::kBreak
                                                                : longwire::Parting::kResume;
  service_options.state_directory = options.state_directory.value_or(
      longwire::DefaultStateDirectory(longwire::ProcessEnvironment(), ::geteuid() == 0));
  if (options.record_directory) {
    longwire::RecordingOptions recording{*options.record_directory};
    recording.log = service_options.warn;
    service_options.make_back_end = [recording](longwire::Executor executor,
                                                const longwire::KernelLink& link) {
      return longwire::Recorded(longwire::MakeLinkBackEnd(std::move(executor), link), link, recording);
    };
  }
  longwire::KdServer server(context.get_executor(), std::move(service_options));
  const Result<void> listening = server.Listen(*options.endpoint, options.open);
  if (!listening) return Fail(listening.error());
  longwire::PidFile pid_file;
  if (options.pid_file) {
    auto written = longwire::PidFile::Write(*options.pid_file);
    if (!written) return Fail(written.error());
    pid_file = std::move(*written);
  }
  const longwire::PortRange& wish = options.endpoint->port;
  const bool tcp = options.endpoint->protocol == longwire::Protocol::kTcp ||
                   options.endpoint->protocol == longwire::Protocol::kSsl;
  if (options.verbose || (tcp && (wish.first == 0 || wish.first != wish.last))) {
    std::cerr << (options.endpoint->clicon ? "dialling " : "listening on ")
              << longwire::FormatEndpoint(server.endpoint()) << std::endl;
  }
  auto doors = OpenDoors(context.get_executor(), server.service(), options);
  if (!doors) return Fail(doors.error());
  const auto unopened = longwire::OpenFirewall(server.endpoint(), longwire::ProcessEnvironment());
  if (unopened) std::cerr << "kdsrv: " << *unopened << std::endl;
  const longwire::ScopedDirectoryEntry known = MakeKnown(server.endpoint());
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code error, int) {
    if (!error) server.Stop();
  });
  asio::co_spawn(context, server.Run(), [&](std::exception_ptr) { context.stop(); });
  longwire::NotifySupervisor("READY=1");
  background.Ready();
  context.run();
  longwire::NotifySupervisor("STOPPING=1");
  if (options.endpoint->protocol == longwire::Protocol::kCom) {
    // The goodbyes are still in the line: it closes when they have been acknowledged.
    signals.cancel();
    context.restart();
    context.run_for(kLineLimit + longwire::SerialDrain(options.endpoint->baud));
  }
  if (server.ended_by()) return Fail(*server.ended_by());
  return 0;
}

/// -doctor: what -t would listen on, then a link as this machine would open it.
longwire::Awaitable<void> Examine(longwire::Executor executor, const longwire::KdsrvOptions& options,
                                  std::shared_ptr<longwire::Diagnosis> diagnosis) {
  using longwire::DoctorStep;
  if (options.endpoint) {
    co_await longwire::ExamineListening(executor, *options.endpoint, options.open, *diagnosis);
    if (diagnosis->failed() || !options.doctor_link) co_return;
  }
  longwire::KdServiceOptions service_options;
  service_options.allows = [links = options.links](const longwire::KernelLink& link) {
    return longwire::AllowsLink(links, link);
  };
  longwire::KdService service(executor, std::move(service_options));
  co_await service.Examine(*options.doctor_link, diagnosis);
}

int MakeKey() {
  const Result<std::string> key = longwire::MakeNetKey();
  if (!key) return Fail(key.error());
  std::cout << *key << "\n";
  return 0;
}

int Diagnose(const longwire::KdsrvOptions& options) {
  longwire::DoctorRun run;
  run.json = options.json;
  run.last = options.doctor_link ? longwire::DoctorStep::kTarget : longwire::DoctorStep::kPassword;
  if (options.endpoint) run.title = longwire::FormatEndpoint(*options.endpoint);
  if (options.doctor_link) {
    const auto link = longwire::ParseKernelLink(*options.doctor_link, longwire::ProcessEnvironment());
    if (!link) return Fail(link.error());
    run.title += (run.title.empty() ? "" : " and ") + longwire::FormatKernelLink(*link);
  }
  return longwire::RunDoctor(run, [&](longwire::Executor executor, auto diagnosis) {
    return Examine(std::move(executor), options, std::move(diagnosis));
  });
}

}  // namespace

int main(int argc, char** argv) {
  longwire::OpenMissingStandardFiles();
  const std::vector<std::string> words(argv + 1, argv + argc);
  longwire::ScrubArguments(argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  const Result<longwire::KdsrvOptions> options = longwire::ParseKdsrvOptions(words);
  if (!options) return Fail(options.error());
  for (const std::string& warning : options->warnings) std::cerr << "kdsrv: " << warning << "\n";
  using Action = longwire::KdsrvOptions::Action;
  switch (options->action) {
    case Action::kHelp: std::cout << longwire::KdsrvUsage(); return 0;
    case Action::kVersion: std::cout << "kdsrv " LONGWIRE_VERSION "\n"; return 0;
    case Action::kStatus: return longwire::PrintStatus(options->json, std::cout);
    case Action::kRelease: return longwire::AskRelease(options->release_link, std::cout);
    case Action::kConnectPipe: return longwire::RelayPipe(options->pipe);
    case Action::kMakeKey: return MakeKey();
    case Action::kDoctor: return Diagnose(*options);
    case Action::kServe: break;
  }
  if (!options->daemon) return Serve(*options, {});
  Result<longwire::Background> background = longwire::Background::Enter();
  if (!background) return Fail(background.error());
  return Serve(*options, *background);
}

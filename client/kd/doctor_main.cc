#include "client/engine/event_text.h"
#include "client/kd/doctor.h"
#include "client/target/connect.h"
#include "server/kd/kd_service.h"
#include "transport/connection_doctor.h"
#include "transport/doctor_run.h"

namespace longwire {
namespace {

constexpr std::chrono::milliseconds kGoodbyeLimit{500};

Awaitable<void> ExamineThroughServer(Executor executor, const KernelString& kernel, bool open,
                                     rpc::Hello hello, std::shared_ptr<Diagnosis> diagnosis) {
  ExaminedConnection connection =
      co_await ExamineConnection(executor, *kernel.server, std::move(hello), open, *diagnosis);
  if (!connection.channel) co_return;
  co_await ExamineRemoteLink(*connection.channel, std::move(connection.welcome), kernel.trans, *diagnosis);
  rpc::Envelope goodbye{0, rpc::Goodbye{Errc::kClosed, "the examination is over"}, {}};
  if (connection.channel->Enqueue(std::move(goodbye)))
    (void)co_await connection.channel->Drain(kGoodbyeLimit);
}

/// The same code a kdsrv runs for its clients.
Awaitable<void> ExamineHere(Executor executor, const KernelString& kernel,
                            std::shared_ptr<Diagnosis> diagnosis) {
  for (int step = 1; step < static_cast<int>(DoctorStep::kDevice); ++step) {
    diagnosis->Skip(static_cast<DoctorStep>(step), "a link of this machine");
  }
  KdService service(executor, KdServiceOptions{});
  co_await service.Examine(kernel.trans, diagnosis);
}

}  // namespace

int DiagnoseKernel(const KdOptions& options, const std::string& software) {
  DoctorRun run;
  run.title = FormatSessionName(options.kernel);
  run.json = options.json;
  run.escape = [](std::string_view text) { return EscapeTargetText(text); };
  rpc::Hello hello = MakeHello(software);
  hello.capabilities = {rpc::kDiagnoseCapability};
  return RunDoctor(run, [&](Executor executor, std::shared_ptr<Diagnosis> diagnosis) {
    return options.kernel.server
               ? ExamineThroughServer(executor, options.kernel, options.open, hello, diagnosis)
               : ExamineHere(executor, options.kernel, diagnosis);
  });
}

}  // namespace longwire

#include "server/kd/link_back_end.h"

#include <utility>

#include "server/dump/dump_target.h"
#include "server/dump/open_dump.h"
#include "server/gdbstub/gdb_target.h"
#include "server/kd/kd_target.h"
#include "server/link/kdnet_port.h"
#include "server/replay/replay_port.h"

namespace longwire {
namespace {

kd::Timers TimersFor(const KernelLink& link) {
  if (std::holds_alternative<NetLink>(link)) return kd::Timers::ForKdnet(kKdnetPayload);
  const auto* com = std::get_if<ComLink>(&link);
  if (com != nullptr && com->kind == ComLink::Kind::kDevice) return kd::Timers::ForSerial(com->baud);
  return kd::Timers::ForPipe();
}

LinkBackEnd MakeStubBackEnd(std::unique_ptr<LinkPort> port, const ExdiLink& link) {
  LinkBackEnd back_end;
  const GdbTarget::Wishes wishes{link.data_breaks, link.os != "linux"};
  back_end.make_target = [wishes](TargetOptions options, LinkTarget::EventSink events) {
    return std::make_unique<GdbTarget>(std::move(options), wishes, std::move(events));
  };
  back_end.port = std::move(port);
  return back_end;
}

}  // namespace

LinkBackEnd MakeKdBackEnd(std::unique_ptr<LinkPort> port, const KernelLink& link) {
  LinkBackEnd back_end;
  back_end.make_target = [timers = TimersFor(link), bytes_per_second = port->bytes_per_second(),
                          exact = std::holds_alternative<ReplayLink>(link)](TargetOptions options,
                                                                            LinkTarget::EventSink events) {
    options.timers = timers;
    options.bytes_per_second = bytes_per_second;
    options.exact_reads = exact;
    return std::make_unique<KdTarget>(std::move(options), std::move(events));
  };
  back_end.port = std::move(port);
  return back_end;
}

Result<LinkBackEnd> MakeLinkBackEnd(Executor executor, const KernelLink& link) {
  if (const auto* replay = std::get_if<ReplayLink>(&link))
    return MakeKdBackEnd(MakeReplayPort(std::move(executor), replay->file, replay->speed), link);
  if (const auto* dump = std::get_if<DumpLink>(&link)) {
    Result<std::unique_ptr<DumpSpace>> space = OpenDump(dump->file);
    if (!space) return space.error();
    auto opened = std::make_shared<std::unique_ptr<DumpSpace>>(std::move(*space));
    return LinkBackEnd{nullptr, [opened](TargetOptions options, LinkTarget::EventSink events) {
                         return std::make_unique<DumpTarget>(std::move(*opened), std::move(options),
                                                             std::move(events));
                       }};
  }
  Result<std::unique_ptr<LinkPort>> port = MakeLinkPort(std::move(executor), link);
  if (!port) return port.error();
  if (const auto* stub = std::get_if<ExdiLink>(&link)) return MakeStubBackEnd(std::move(*port), *stub);
  return MakeKdBackEnd(std::move(*port), link);
}

Result<LinkBackEnd> Recorded(Result<LinkBackEnd> back_end, const KernelLink& link,
                             const RecordingOptions& recording) {
  if (back_end && back_end->port)
    back_end->port = MakeRecordingPort(std::move(back_end->port), FormatKernelLink(link), recording);
  return back_end;
}

}  // namespace longwire

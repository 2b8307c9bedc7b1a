#include "server/kd/link_doctor.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "server/link/device_doctor.h"
#include "transport/deadline.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable);
constexpr std::chrono::milliseconds kLeaveLimit{2500};
/// A target that never reads its line must not hold a write for ever.
constexpr std::chrono::milliseconds kStuckLimit{2000};
constexpr std::uint32_t kReferenceBaud = 57600, kLargestScale = 4;

/// Slow lines: the timers of their link are longer too.
int ScaleOf(const KernelLink& link) {
  const auto* com = std::get_if<ComLink>(&link);
  if (!com || com->kind != ComLink::Kind::kDevice || com->baud == 0 || com->baud >= kReferenceBaud) return 1;
  return static_cast<int>(std::min(kLargestScale, (2 * kReferenceBaud + com->baud - 1) / com->baud));
}

std::string MachineName(std::uint16_t machine) {
  switch (machine) {
    case 0x8664: return "x64";
    case 0x014C: return "x86";
    case 0xAA64: return "ARM64";
    default: return "machine type " + std::to_string(machine);
  }
}

}  // namespace

/// The stream of the moment and what listens to it: shared with the coroutine that reads.
struct LinkDoctor::Line {
  Line(const Executor& executor, std::shared_ptr<Stream> on) : stream(std::move(on)), wake(executor) {}

  bool answered() const {
    return target && target->description() &&
           (target->state() == rpc::TargetState::kRunning || target->state() == rpc::TargetState::kHalted);
  }

  void Take(kd::ByteView bytes) {
    witness.Receive(Clock::now(), bytes);
    if (target) {
      target->Receive(Clock::now(), bytes);
    } else {
      early.insert(early.end(), bytes.begin(), bytes.end());
    }
    wake.cancel();
  }

  static Awaitable<void> Read(std::shared_ptr<Line> line) {
    std::vector<std::byte> buffer(4096);
    for (;;) {
      const auto count = co_await line->stream->ReadSome(buffer);
      if (!count || *count == 0) break;
      line->Take(std::span(buffer).first(*count));
      if (!line->target && line->early.size() > kMostEarly) break;
    }
    line->ended = true;
    line->wake.cancel();
  }

  /// Until `until`, or `enough` holds, or the stream ended: moves the target's bytes and timers.
  static Awaitable<void> Pump(std::shared_ptr<Line> line, Clock::time_point until,
                              std::function<bool()> enough) {
    while (!line->ended && !enough() && Clock::now() < until) {
      auto wait_until = until;
      if (line->target) {
        const kd::Bytes output = line->target->TakeOutput();
        if (!output.empty()) {
          const ScopedDeadline stuck(line->wake.get_executor(), kStuckLimit,
                                     [line] { line->stream->Close(); });
          const auto written = co_await line->stream->WriteAll(output);
          if (!written) break;
          continue;
        }
        if (const auto due = line->target->Deadline()) wait_until = std::min(wait_until, *due);
      }
      line->wake.expires_at(wait_until);
      co_await line->wake.async_wait(kAwait);
      if (!line->target) continue;
      const auto due = line->target->Deadline();
      if (due && *due <= Clock::now()) line->target->Tick(Clock::now());
    }
  }

  static constexpr std::size_t kMostEarly = 1u << 20;

  std::shared_ptr<Stream> stream;
  boost::asio::steady_timer wake;
  LineWitness witness;
  std::vector<std::byte> early;  ///< what came while nobody but the witness listened
  std::unique_ptr<LinkTarget> target;
  bool ended = false;
};

LinkDoctor::LinkDoctor(Executor executor, KernelLink link, LinkDoctorOptions options)
    : executor_(std::move(executor)), link_(std::move(link)), options_(std::move(options)) {}

Awaitable<void> LinkDoctor::Run(std::shared_ptr<LinkDoctor> self, std::shared_ptr<Diagnosis> diagnosis) {
  self->diagnosis_ = diagnosis;
  if (std::holds_alternative<FirewireLink>(self->link_) &&
      !ExamineFirewire(self->options_.firewire_devices(), *diagnosis))
    co_return;
  Result<LinkBackEnd> back_end = self->options_.make_back_end(self->executor_, self->link_);
  if (!back_end) co_return self->JudgeBackEnd(back_end.error());
  const auto* com = std::get_if<ComLink>(&self->link_);
  if (const auto* net = std::get_if<NetLink>(&self->link_)) {
    diagnosis->Ok(DoctorStep::kDevice, "UDP port " + std::to_string(net->port) + " of this machine");
    diagnosis->Skip(DoctorStep::kPermission, "no device of this machine");
    diagnosis->Ok(DoctorStep::kUse, "no other program has the port");
  }
  if (com && !ExamineDevice(*com, *diagnosis)) co_return;
  std::unique_ptr<Stream> stream;
  if (back_end->port) {
    stream = co_await self->Open(*back_end->port);
    if (!stream) co_return;
  }
  if (!diagnosis->cancelled()) co_await self->Examine(std::move(*back_end), std::move(stream));
  diagnosis->set_on_cancel({});
}

void LinkDoctor::JudgeBackEnd(const Error& error) {
  if (error.code == Errc::kLinkInUse) {
    diagnosis_->Ok(DoctorStep::kDevice, FormatKernelLink(link_));
    return diagnosis_->Fail(DoctorStep::kUse, Finding::kUsedByProgram, error.message);
  }
  const bool unsupported = error.code == Errc::kUnsupported;
  diagnosis_->Fail(DoctorStep::kDevice, unsupported ? Finding::kLinkUnsupported : Finding::kLinkFailed,
                   error.message);
}

void LinkDoctor::JudgeNobody(const LinkPort& port) {
  const auto* net = std::get_if<NetLink>(&link_);
  if (!net) {
    return diagnosis_->Fail(DoctorStep::kUse, Finding::kNobodyConnected,
                            "nobody connected to the link while it listened");
  }
  const std::string where = "UDP port " + std::to_string(net->port);
  if (const std::string stranger = port.refused(); !stranger.empty()) {
    diagnosis_->Ok(DoctorStep::kLine, "datagrams come on " + where);
    return diagnosis_->Fail(
        DoctorStep::kFraming, Finding::kKeyDiffers,
        "KDNET datagrams come from " + stranger + ", and the key of the link does not open them");
  }
  diagnosis_->Ok(DoctorStep::kLine, "nothing came on " + where);
  diagnosis_->Skip(DoctorStep::kFraming, "nothing came that could be judged");
  diagnosis_->Fail(
      DoctorStep::kTarget, Finding::kTargetSilent,
      "no KDNET target said hello on " + where + " within " +
          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_.hello).count()) + " s");
}

Awaitable<std::unique_ptr<Stream>> LinkDoctor::Open(LinkPort& port) {
  diagnosis_->set_on_cancel([&port] { port.Cancel(); });
  const bool net = std::holds_alternative<NetLink>(link_);
  const ScopedDeadline deadline(executor_, net ? options_.hello : options_.opening,
                                [&port] { port.Cancel(); });
  auto stream = co_await port.Open();
  diagnosis_->set_on_cancel({});
  if (stream) co_return std::move(*stream);
  if (diagnosis_->cancelled()) co_return nullptr;
  const Error& error = stream.error();
  const auto* com = std::get_if<ComLink>(&link_);
  if (std::holds_alternative<FirewireLink>(link_)) {
    diagnosis_->Fail(DoctorStep::kUse, Finding::kChannelSilent, error.message);
  } else if (port.listens() && deadline.expired()) {
    JudgeNobody(port);
  } else if (com && com->kind == ComLink::Kind::kTcp) {
    diagnosis_->Fail(DoctorStep::kUse, Finding::kLinkUnreachable, error.message);
  } else if (error.code == Errc::kLinkInUse) {
    diagnosis_->Fail(DoctorStep::kUse, Finding::kUsedByProgram, error.message);
  } else {
    const bool dead = error.os_error == ECONNREFUSED;
    diagnosis_->Fail(DoctorStep::kUse, dead ? Finding::kSocketDead : Finding::kLinkFailed,
                     dead ? "nobody listens on " + com->path : error.message);
  }
  co_return nullptr;
}

Awaitable<void> LinkDoctor::Examine(LinkBackEnd back_end, std::unique_ptr<Stream> stream) {
  const auto line = std::make_shared<Line>(executor_, std::move(stream));
  diagnosis_->set_on_cancel([line] { line->wake.cancel(); });
  const auto over = [this, line] { return diagnosis_->cancelled() || line->answered(); };
  if (line->stream) {
    boost::asio::co_spawn(executor_, Line::Read(line), boost::asio::detached);
    co_await Line::Pump(line, Clock::now() + options_.listening,
                        [&] { return over() || line->witness.packets() > 0 || line->witness.IsHopeless(); });
    const std::uint64_t heard = line->witness.bytes();
    if (line->ended && heard == 0) {
      diagnosis_->Fail(DoctorStep::kLine, Finding::kLineClosed, "the other side closed the line at once");
      co_return;
    }
    if (diagnosis_->cancelled()) {
      line->stream->Close();
      co_return;
    }
    diagnosis_->Ok(DoctorStep::kLine, heard > 0 ? std::to_string(heard) + " bytes came unasked"
                                                : "silent, as that of a running target is");
    if (std::holds_alternative<ComLink>(link_) && line->witness.IsHopeless()) {
      line->witness.Report(*diagnosis_);
      line->stream->Close();
      co_return;
    }
  }
  TargetOptions options;
  options.left_halted = options_.left_halted;
  options.leave_patience = kLeaveLimit;
  line->target = back_end.make_target(std::move(options), [](rpc::Event) {});
  line->target->Opened(Clock::now());
  if (!line->early.empty()) line->target->Receive(Clock::now(), std::exchange(line->early, {}));
  if (line->stream) {
    co_await Line::Pump(line, Clock::now() + options_.probing * ScaleOf(link_), over);
    const auto left = std::make_shared<bool>(false);
    line->target->Leave(Clock::now(), false, [line, left] {
      *left = true;
      line->wake.cancel();
    });
    // What a break-in stopped runs again, whatever else happens; its last packets leave before the end.
    co_await Line::Pump(line, Clock::now() + kLeaveLimit, [left] { return *left; });
    const kd::Bytes last = line->target->TakeOutput();
    if (!last.empty() && !line->ended) (void)co_await line->stream->WriteAll(last);
    line->stream->Close();
  }
  if (!diagnosis_->cancelled()) JudgeTarget(*line);
}

void LinkDoctor::JudgeTarget(const Line& line) {
  const bool is_kd_line = line.stream && std::holds_alternative<ComLink>(link_);
  const auto description = line.target->description();
  if (!is_kd_line) {
    diagnosis_->Skip(DoctorStep::kFraming, "not a serial KD line");
  } else if (line.witness.bytes() == 0) {
    diagnosis_->Skip(DoctorStep::kFraming, "nothing came that could be judged");
  } else {
    line.witness.Report(*diagnosis_);
    if (diagnosis_->failed()) return;
  }
  if (!description) {
    const bool silent = is_kd_line ? line.witness.packets() == 0 : true;
    const auto used =
        std::find_if(diagnosis_->steps().begin(), diagnosis_->steps().end(), [](const auto& step) {
          return step.step == DoctorStep::kUse && step.outcome == StepOutcome::kWarning;
        });
    if (silent && used != diagnosis_->steps().end()) {
      const std::string text = used->text;
      return diagnosis_->Fail(DoctorStep::kTarget, Finding::kUsedByProgram, "no answer; " + text);
    }
    return diagnosis_->Fail(DoctorStep::kTarget, silent ? Finding::kTargetSilent : Finding::kTargetUnclear,
                            silent ? "no answer to break-in and RESET: nothing on the other side speaks KD"
                                   : "KD packets come, but the target did not tell its version");
  }
  const bool stopped = line.target->state() == rpc::TargetState::kHalted;
  diagnosis_->Ok(DoctorStep::kTarget, "answers: " + MachineName(description->machine) + ", build " +
                                          std::to_string(description->minor_version) + ", " +
                                          std::to_string(description->processors) + " processor" +
                                          (description->processors == 1 ? "" : "s") +
                                          (stopped ? "; it is stopped and stays so" : "; it runs"));
}

}  // namespace longwire

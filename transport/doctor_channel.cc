#include <algorithm>
#include <set>

#include "proto/mux/frame.h"
#include "transport/doctor_reach.h"
#include "transport/serial_channel.h"
#include "transport/serial_doctor.h"

namespace longwire {
namespace {

constexpr std::chrono::milliseconds kChannelLimit{6000};
constexpr std::size_t kFewBytes = 8;

/// What came on the line while the channel was asked for.
struct Heard {
  std::size_t bytes = 0, frames = 0, printable = 0;
  bool echo = false;    ///< what was sent came back
  bool kernel = false;  ///< packets of a kernel target (kd-protocol.md 2.1)
};

Heard Judge(const std::string& text) {
  Heard heard;
  heard.bytes = text.size();
  heard.printable = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (c >= 0x20 && c < 0x7F) || c == '\r' || c == '\n' || c == '\t' || c == 0x1B;
  }));
  heard.kernel = text.find("0000") != std::string::npos || text.find("iiii") != std::string::npos;
  mux::FrameReader reader;
  // A peer never answers in the name of who opened the session.
  std::set<std::uint32_t> opened, answered;
  reader.Feed(std::as_bytes(std::span(text)), [&](const mux::Frame& frame) {
    ++heard.frames;
    if (frame.from_opener && frame.type == mux::FrameType::kOpen) opened.insert(frame.session);
    if (!frame.from_opener) answered.insert(frame.session);
  });
  heard.echo = std::any_of(opened.begin(), opened.end(),
                           [&](std::uint32_t session) { return answered.contains(session); });
  return heard;
}

void FailForeign(const Heard& heard, const std::string& device, Diagnosis& diagnosis) {
  const std::string count = std::to_string(heard.bytes) + " bytes came on " + device;
  diagnosis.Ok(DoctorStep::kLine, count);
  if (heard.printable * 20 >= heard.bytes * 19 && !heard.kernel) {
    return diagnosis.Fail(DoctorStep::kFraming, Finding::kTextOnLine, count + ", and they are text");
  }
  if (heard.kernel) {
    return diagnosis.Fail(DoctorStep::kFraming, Finding::kKernelLine,
                          count + ": packets of a kernel target, not of a remoting server");
  }
  diagnosis.Fail(DoctorStep::kFraming, Finding::kGarbage, count + ", no frame among them");
}

void JudgeFailure(const Error& error, const Heard& heard, const Endpoint& endpoint, Diagnosis& diagnosis) {
  const std::string channel = "channel " + std::to_string(endpoint.channel);
  if (heard.echo) {
    diagnosis.Ok(DoctorStep::kLine, std::to_string(heard.bytes) + " bytes came on " + endpoint.device);
    return diagnosis.Fail(DoctorStep::kFraming, Finding::kLineEchoes,
                          endpoint.device + " gives back what is sent");
  }
  if (heard.frames == 0 && heard.bytes < kFewBytes) {
    const std::string few = heard.bytes == 0 ? "nothing" : "next to nothing";
    return diagnosis.Fail(DoctorStep::kLine, Finding::kLineSilent,
                          few + " came on " + endpoint.device + " while " + channel + " was asked for");
  }
  if (heard.frames == 0) return FailForeign(heard, endpoint.device, diagnosis);
  diagnosis.Ok(DoctorStep::kLine, std::to_string(heard.bytes) + " bytes came on " + endpoint.device);
  diagnosis.Ok(DoctorStep::kFraming, "a longwire program is at the other end");
  if (error.code == Errc::kVersionMismatch)
    return diagnosis.Fail(DoctorStep::kVersion, Finding::kVersionMismatch, error.message);
  const bool refused = error.code == Errc::kUnreachable;
  diagnosis.Fail(
      DoctorStep::kPort, refused ? Finding::kChannelRefused : Finding::kTransportFailed,
      refused ? "the other end of " + endpoint.device + " has no server on " + channel : error.message);
}

}  // namespace

Awaitable<std::unique_ptr<Stream>> ReachChannel(Executor executor, Endpoint endpoint, Diagnosis& diagnosis) {
  diagnosis.Skip(DoctorStep::kName, "a serial line");
  diagnosis.Skip(DoctorStep::kRoute, "a serial line");
  if (!ExamineSerialLine(endpoint.device, endpoint.baud, diagnosis)) co_return nullptr;
  const auto text = std::make_shared<std::string>();
  const SerialPlace place{endpoint.device, endpoint.baud, endpoint.channel};
  auto stream =
      co_await DialSerialChannel(executor, place, kChannelLimit + SerialSlowness(endpoint.baud), text);
  const Heard heard = Judge(*text);
  if (!stream) {
    JudgeFailure(stream.error(), heard, endpoint, diagnosis);
    co_return nullptr;
  }
  diagnosis.Ok(DoctorStep::kLine, "the other end answers");
  diagnosis.Ok(DoctorStep::kFraming, "a longwire program is at the other end");
  diagnosis.Ok(DoctorStep::kPort, "channel " + std::to_string(endpoint.channel) + " of " + endpoint.device +
                                      " accepts connections");
  co_return std::move(*stream);
}

}  // namespace longwire

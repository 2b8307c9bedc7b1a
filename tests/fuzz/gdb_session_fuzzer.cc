// A hostile debugger at the GDB endpoint. The input is lines: each is a packet, framed here so that none is
// lost to its checksum; the first character of a line tells what the target does meanwhile.
#include <cstdlib>
#include <deque>
#include <string>

#include "server/passthrough/gdb_session.h"

using namespace longwire;

namespace {

constexpr std::size_t kMostPackets = 200;

rpc::StopEvent Stop(std::uint64_t counter) {
  rpc::StopEvent stop;
  stop.stop_counter = counter;
  stop.processors = 3;
  stop.processor = static_cast<std::uint32_t>(counter % 3);
  stop.breakpoints = {counter};
  return stop;
}

/// As a target might: short records, refusals, answers of the right kind.
rpc::Answer AnswerTo(const rpc::Request& request, char mood, kd::Bytes& bulk) {
  if (mood == '!') return Error{Errc::kTargetRefused, "no"};
  bulk.resize(mood == '-' ? 3 : 0x4D0);
  if (std::holds_alternative<rpc::GetContext>(request) ||
      std::holds_alternative<rpc::ReadControlSpace>(request))
    return rpc::Bytes{};
  if (const auto* read = std::get_if<rpc::ReadMemory>(&request)) {
    if (read->ranges.at(0).size > GdbSession::kPacketSize) std::abort();
    bulk.resize(read->ranges[0].size);
    return rpc::MemoryRead{{bulk.size()}};
  }
  bulk.clear();
  if (std::holds_alternative<rpc::SetBreakpoint>(request) || std::holds_alternative<rpc::ReadMsr>(request))
    return rpc::Value{7};
  if (std::holds_alternative<rpc::WriteMemory>(request)) return rpc::MemoryWritten{1};
  if (std::holds_alternative<rpc::GetLinkStatus>(request)) return rpc::LinkStatus{};
  return rpc::Done{};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  struct Asked {
    rpc::Request request;
    GdbSession::Done done;
  };
  std::deque<Asked> asked;
  GdbSession session([&](rpc::Request request, kd::Bytes, GdbSession::Done done) {
    asked.push_back({std::move(request), std::move(done)});
  });
  rpc::LinkOpened opened;
  opened.description = rpc::TargetDescription{};
  constexpr std::uint16_t kMachines[] = {0x8664, 0x014C, 0xAA64, 0x1234};
  opened.description->machine = kMachines[size % 4];
  std::uint64_t counter = 1;
  opened.stop = Stop(counter);
  session.Opened(opened);
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (std::size_t packets = 0; !text.empty() && packets < kMostPackets; ++packets) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const std::string packet = gdb::EncodePacket(line.substr(1)) + (line[0] == '%' ? "\x03" : "");
    session.Receive(std::as_bytes(std::span(packet)));
    if (line[0] == '~') session.Receive(std::as_bytes(std::span(line)));  // without a frame
    while (!asked.empty()) {
      const Asked one = std::move(asked.front());
      asked.pop_front();
      kd::Bytes bulk;
      rpc::Answer answer = AnswerTo(one.request, line[0], bulk);
      const bool moves = std::holds_alternative<rpc::Resume>(one.request) ||
                         std::holds_alternative<rpc::SwitchProcessor>(one.request);
      one.done(std::move(answer), std::move(bulk));
      if (moves && line[0] != '!') session.OnEvent(Stop(++counter));
    }
    if (line[0] == '=') session.OnEvent(rpc::Output{std::string(line)});
    if (session.TakeOutput().size() > 64 * GdbSession::kPacketSize) std::abort();
  }
  return 0;
}

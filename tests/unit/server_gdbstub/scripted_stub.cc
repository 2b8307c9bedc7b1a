#include "tests/unit/server_gdbstub/scripted_stub.h"

#include <algorithm>

#include "proto/gdb/hex.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr char kDescription[] =
    "<?xml version=\"1.0\"?><target><architecture>i386:x86-64</architecture>"
    "<feature name=\"core\"><reg name=\"rip\" bitsize=\"64\" regnum=\"0\"/>"
    "<reg name=\"rsp\" bitsize=\"64\"/><reg name=\"eflags\" bitsize=\"32\"/></feature></target>";

}  // namespace

ScriptedStub::ScriptedStub() {
  pages[kCode] = kd::Bytes(kPage, std::byte{0x90});
  pages[kStack] = kd::Bytes(kPage, std::byte{0x11});
}

void ScriptedStub::Receive(kd::ByteView bytes) {
  std::deque<gdb::Frame> frames;
  framer_.Feed(bytes, frames);
  for (gdb::Frame& frame : frames) {
    switch (frame.kind) {
      case gdb::Frame::Kind::kAck: ++acknowledges; break;
      case gdb::Frame::Kind::kNak:
        ++refusals;
        Say(std::string(last_));
        break;
      case gdb::Frame::Kind::kInterrupt:
        ++interrupts;
        if (running) Stop("T02thread:01;");
        break;
      case gdb::Frame::Kind::kPacket:
        heard.push_back(frame.payload);
        if (auto answer = instead ? instead(frame.payload) : std::nullopt) {
          Say(*answer);
        } else if (auto usual = Answer(frame.payload)) {
          Say(*usual);
        }
        break;
      default: break;
    }
  }
}

void ScriptedStub::Say(std::string_view payload) {
  last_ = payload;
  std::string frame = gdb::EncodePacket(payload);
  if (spoil) spoil(frame);
  output_ += frame;
}

void ScriptedStub::Stop(std::string reply) {
  running = false;
  Say(reply);
}

std::size_t ScriptedStub::Count(std::string_view payload) const {
  return static_cast<std::size_t>(std::count(heard.begin(), heard.end(), payload));
}

std::optional<std::string> ScriptedStub::Answer(const std::string& payload) {
  const std::string_view text = payload;
  constexpr std::string_view kRead = "qXfer:features:read:target.xml:";
  if (text.starts_with("qSupported")) return "PacketSize=400;qXfer:features:read+";
  if (text == "QStartNoAckMode") return stops_acknowledging ? "OK" : "";
  if (text.starts_with(kRead)) return Features(text.substr(kRead.size()));
  if (text == "qfThreadInfo") next_threads_ = 0;
  if (text == "qfThreadInfo" || text == "qsThreadInfo")
    return next_threads_ < thread_answers.size() ? thread_answers[next_threads_++] : "l";
  if (text == "?") return why;
  if (text == "g") return Registers();
  if (text.starts_with("H") || text.starts_with("Z") || text.starts_with("z")) return "OK";
  if (text.starts_with("m")) return Memory(text.substr(1));
  if (text == "c" || text == "s") return Resume(text == "s");
  if (knows_vcont && text == "vCont?") return "vCont;c;C;s;S";
  if (knows_vcont && text.starts_with("vCont;")) return Resume(text[6] == 's');
  if (text.starts_with("D")) {
    running = true;
    return "OK";
  }
  return "";
}

std::optional<std::string> ScriptedStub::Resume(bool step) {
  running = !step;
  if (!step) return std::nullopt;
  ++program_counter;
  return "T05thread:" + stepped_thread + ";";
}

std::string ScriptedStub::Features(std::string_view range) const {
  const std::string_view whole = kDescription;
  const std::size_t at = std::min<std::size_t>(*gdb::DecodeNumber(gdb::TakeField(range, ',')), whole.size());
  const std::string_view part = whole.substr(at, *gdb::DecodeNumber(range));
  return (at + part.size() == whole.size() ? "l" : "m") + std::string(part);
}

/// As QEMU: a range with one absent byte is refused as a whole.
std::string ScriptedStub::Memory(std::string_view range) const {
  const std::uint64_t begin = *gdb::DecodeNumber(gdb::TakeField(range, ','));
  const std::uint64_t size = *gdb::DecodeNumber(range);
  kd::Bytes bytes;
  for (std::uint64_t at = begin; at < begin + size; ++at) {
    const auto page = pages.find(at & ~(kPage - 1));
    if (page == pages.end()) return "E14";
    bytes.push_back(page->second[at % kPage]);
  }
  return gdb::EncodeHex(bytes);
}

std::string ScriptedStub::Registers() const {
  kd::Bytes bytes(20);
  kd::Store(std::span(bytes), 0, program_counter);
  kd::Store(std::span(bytes), 8, kStack + 0x800);
  kd::Store(std::span(bytes), 16, std::uint32_t{0x202});
  return gdb::EncodeHex(bytes);
}

}  // namespace longwire::test

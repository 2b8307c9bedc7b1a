#include <algorithm>
#include <array>
#include <cstdlib>

#include "proto/mux/line_mux.h"

/// One end of a serial line fed with anything: reads, writes, closes and passing time between. What it sends
/// must parse, and its queues stay bounded.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace longwire::mux;
  LineMux mux(TimingFor(115'200));
  Time now{};
  mux.Listen(1);
  const auto own = mux.Open(2, 0x01010101, now);
  std::array<std::byte, 600> buffer{};
  for (std::size_t at = 0; at < size;) {
    const std::size_t count = std::min<std::size_t>(1 + data[at] % 64, size - at);
    mux.Feed(std::span(reinterpret_cast<const std::byte*>(data + at), count), now);
    now += milliseconds(data[at] * 8);
    mux.Tick(now);
    if (Session* session = mux.Find(*own)) {
      (void)session->Read(buffer);
      (void)session->Write(buffer);
      if (data[at] == 0xFE) session->ShutdownWrite();
      if (data[at] == 0xFD) session->Abandon();
    }
    if (const auto key = mux.TakeIncoming(1)) mux.Find(*key)->Write(buffer);
    std::size_t parsed = 0;
    FrameReader reader;
    for (int i = 0; i < 4; ++i) {
      const auto bytes = mux.NextBytes(now);
      if (bytes.empty()) break;
      reader.Feed(bytes, [&](const Frame&) { ++parsed; });
      if (parsed != static_cast<std::size_t>(i) + 1) std::abort();
    }
    at += count;
  }
  return 0;
}

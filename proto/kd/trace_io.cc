#include "proto/kd/trace_io.h"

#include <algorithm>

namespace longwire::kd {
namespace {

constexpr std::uint32_t kTraceApi = 0x3330;
constexpr std::size_t kTraceSize = 0x40;

}  // namespace

Result<TraceIo> DecodeTraceIo(ByteView payload) {
  if (payload.size() < kTraceSize)
    return Error{Errc::kMalformed, "the target sent a trace packet that is too short"};
  const std::uint32_t api = Load32(payload, 0);
  if (api != kTraceApi)
    return Error{Errc::kUnsupported, "the target sent unknown trace number " + std::to_string(api)};
  const ByteView rest = payload.subspan(kTraceSize);
  return TraceIo{Load16(payload, 6), rest.first(std::min<std::size_t>(Load32(payload, 8), rest.size()))};
}

}  // namespace longwire::kd

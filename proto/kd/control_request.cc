#include "proto/kd/control_request.h"

namespace longwire::kd {
namespace {

constexpr std::uint32_t kRequestApi = 0x4300;
constexpr std::uint32_t kReleaseApi = 0x4301;
constexpr std::size_t kRequestSize = 8;
constexpr std::size_t kAnswerSize = 12;

}  // namespace

Result<ControlRequest> DecodeControlRequest(ByteView payload) {
  if (payload.size() < kRequestSize)
    return Error{Errc::kMalformed, "the target sent a control request that is too short"};
  const std::uint32_t api = Load32(payload, 0);
  if (api != kRequestApi && api != kReleaseApi) {
    return Error{Errc::kUnsupported, "the target sent unknown control request " + std::to_string(api)};
  }
  using Kind = ControlRequest::Kind;
  return ControlRequest{api == kRequestApi ? Kind::kRequestBreakpoint : Kind::kReleaseBreakpoint,
                        Load32(payload, 4)};
}

Bytes EncodeControlAnswer(const ControlRequest& request, bool granted) {
  Bytes bytes(kAnswerSize);
  const std::span<std::byte> answer(bytes);
  Store(answer, 0, request.kind == ControlRequest::Kind::kRequestBreakpoint ? kRequestApi : kReleaseApi);
  Store(answer, 4, request.breakpoint);
  Store(answer, 8, std::uint32_t{granted});
  return bytes;
}

}  // namespace longwire::kd

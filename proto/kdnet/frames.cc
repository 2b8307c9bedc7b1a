#include "proto/kdnet/frames.h"

namespace longwire::kdnet {
namespace {
constexpr std::size_t kGreetingSize = 12;
}

bool IsGreeting(ByteView body) { return body.size() == kGreetingSize && kd::Load64(body, 0) == 0; }

}  // namespace longwire::kdnet

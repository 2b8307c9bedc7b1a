#include "transport/line_limit.h"

#include <algorithm>
#include <utility>

namespace longwire {

std::optional<std::size_t> LineLimit::Take(Time now) {
  const auto refills = (now - filled_) / kRefill;
  if (refills > 0) {
    left_ = std::min<std::size_t>(kLines, left_ + static_cast<std::size_t>(refills));
    filled_ = now;
  }
  if (left_ == 0) {
    ++skipped_;
    return std::nullopt;
  }
  --left_;
  return std::exchange(skipped_, 0);
}

}  // namespace longwire

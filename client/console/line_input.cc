#include "client/console/line_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace longwire {
namespace {

constexpr int kIdleMilliseconds = 200;

}  // namespace

bool LineInput::is_terminal() const { return isatty(descriptor_) == 1; }

std::optional<std::string> LineInput::TakeLine() {
  std::size_t end = buffer_.find('\n');
  if (end == std::string::npos) {
    if (buffer_.size() < kMaxLineBytes && !(ended_ && !buffer_.empty())) return std::nullopt;
    return std::exchange(buffer_, {});
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

LineInput::Answer LineInput::Read(const std::function<bool()>& idle) {
  while (true) {
    if (std::optional<std::string> line = TakeLine()) return {Status::kLine, std::move(*line)};
    if (ended_) return {Status::kEnd, {}};
    pollfd watched[2] = {{descriptor_, POLLIN, 0}, {interrupt_.descriptor(), POLLIN, 0}};
    int ready = poll(watched, 2, kIdleMilliseconds);
    if (ready > 0 && watched[1].revents != 0) {
      interrupt_.Clear();
      return {Status::kInterrupted, {}};
    }
    if (ready > 0 && watched[0].revents != 0) {
      char bytes[4096];
      ssize_t got = read(descriptor_, bytes, sizeof bytes);
      if (got > 0) buffer_.append(bytes, static_cast<std::size_t>(got));
      // A closed descriptor is an end like any other.
      if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) ended_ = true;
      continue;
    }
    if (idle && idle()) return {Status::kInterrupted, {}};
  }
}

}  // namespace longwire

#include "client/target/interrupt.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace longwire {

Interrupt::Interrupt() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Interrupt::~Interrupt() {
  if (event_ >= 0) close(event_);
}

void Interrupt::Raise() noexcept {
  int saved = errno;  // a signal handler must not change it
  raised_.store(true, std::memory_order_relaxed);
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(event_, &one, sizeof one);
  errno = saved;
}

void Interrupt::Clear() noexcept {
  std::uint64_t count;
  [[maybe_unused]] ssize_t got = read(event_, &count, sizeof count);
  raised_.store(false, std::memory_order_relaxed);
}

}  // namespace longwire

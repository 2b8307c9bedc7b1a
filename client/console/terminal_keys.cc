#include "client/console/terminal_keys.h"

#include <termios.h>
#include <unistd.h>

namespace longwire {
namespace {

constexpr std::array<std::size_t, 4> kKeys{VEOF, VREPRINT, VLNEXT, VWERASE};

}  // namespace

TerminalKeys::TerminalKeys(int descriptor) : descriptor_(descriptor) {
  termios settings{};
  // Changing the terminal of another program would stop us.
  if (tcgetpgrp(descriptor_) != getpgrp() || tcgetattr(descriptor_, &settings) != 0) return;
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    before_[i] = settings.c_cc[kKeys[i]];
    settings.c_cc[kKeys[i]] = _POSIX_VDISABLE;
  }
  taken_ = tcsetattr(descriptor_, TCSANOW, &settings) == 0;
}

TerminalKeys::~TerminalKeys() {
  termios settings{};
  if (!taken_ || tcgetpgrp(descriptor_) != getpgrp() || tcgetattr(descriptor_, &settings) != 0) return;
  for (std::size_t i = 0; i < kKeys.size(); ++i) settings.c_cc[kKeys[i]] = before_[i];
  (void)tcsetattr(descriptor_, TCSANOW, &settings);
}

}  // namespace longwire

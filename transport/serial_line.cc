#include "transport/serial_line.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "transport/open_files.h"
#include "transport/scoped_descriptor.h"

// <sys/ioctl.h> brings its own struct termios on some systems.
extern "C" int ioctl(int descriptor, unsigned long request, ...) noexcept;

namespace longwire {
namespace {

constexpr unsigned kModemLines = 0x002 | 0x004;  ///< TIOCM_DTR | TIOCM_RTS

Error InUse(const std::string& path, int number) {
  const std::string users = UsersOfDevice(path);
  return {Errc::kLinkInUse, path + " is in use by " + (users.empty() ? "another program" : users) + ".", 0,
          number};
}

Error LineError(const std::string& path, const std::string& what, int number) {
  return {Errc::kLinkFailed, what + " " + path + ": " + std::strerror(number) + ".", 0, number};
}

Error NoSuchSpeed(const std::string& path, std::uint32_t baud, int number) {
  return LineError(path, "Cannot set " + std::to_string(baud) + " baud on", number);
}

/// The numbered rates end at what termios.h lists; this way any divisor the hardware has can be asked for.
void PutSpeed(termios2& settings, std::uint32_t baud) {
  settings.c_cflag &= ~static_cast<tcflag_t>(CBAUD | CIBAUD);
  settings.c_cflag |= BOTHER;
  settings.c_ispeed = settings.c_ospeed = baud;
}

Result<void> SetRaw(int line, const std::string& path, std::uint32_t baud) {
  termios2 settings{};
  if (::ioctl(line, TCGETS2, &settings) != 0) return LineError(path, "Not a serial line:", errno);
  settings.c_iflag = 0;
  settings.c_oflag = 0;
  settings.c_lflag = 0;
  settings.c_cflag &= ~static_cast<tcflag_t>(CSIZE | PARENB | CSTOPB | CRTSCTS);
  settings.c_cflag |= CS8 | CREAD | CLOCAL;
  settings.c_cc[VMIN] = 1;
  settings.c_cc[VTIME] = 0;
  if (baud != 0) PutSpeed(settings, baud);
  if (::ioctl(line, TCSETS2, &settings) != 0) return NoSuchSpeed(path, baud, errno);
  return {};
}

}  // namespace

Result<void> SetSerialSpeed(int line, const std::string& path, std::uint32_t baud) {
  termios2 before{};
  if (::ioctl(line, TCGETS2, &before) != 0) return LineError(path, "Not a serial line:", errno);
  termios2 settings = before;
  PutSpeed(settings, baud);
  if (::ioctl(line, TCSETS2, &settings) != 0) return NoSuchSpeed(path, baud, errno);
  // Many drivers take the nearest rate their hardware has, and say nothing; 3 % is what a UART bears.
  const bool told = ::ioctl(line, TCGETS2, &settings) == 0;
  const std::uint64_t got = settings.c_ospeed, wanted = baud;
  if (told && got * 100 >= wanted * 97 && got * 100 <= wanted * 103) return {};
  ::ioctl(line, TCSETS2, &before);
  return NoSuchSpeed(path, baud, EINVAL);
}

Result<int> OpenSerialLine(const std::string& path, std::uint32_t baud) {
  ScopedDescriptor line(::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (line.get() < 0) {
    if (errno == EBUSY) return InUse(path, EBUSY);
    const int number = errno;
    return LineError(path, number == EACCES ? "No permission (group dialout?) to open" : "Cannot open",
                     number);
  }
  // TIOCEXCL does not stop root, and flock stops only who asks: both together stop us and everybody else.
  if (::flock(line.get(), LOCK_EX | LOCK_NB) != 0) {
    return InUse(path, errno);
  }
  if (::ioctl(line.get(), TIOCEXCL) != 0 && errno != ENOTTY) return LineError(path, "Cannot lock", errno);
  if (const auto raw = SetRaw(line.get(), path, baud); !raw) return raw.error();
  // A pty and many USB adapters have no modem lines; a target that wants them sees them raised.
  unsigned lines = kModemLines;
  if (::ioctl(line.get(), TIOCMBIS, &lines) != 0 && errno != ENOTTY && errno != EINVAL) {
    return LineError(path, "Cannot raise DTR on", errno);
  }
  // What stood in the driver's buffer belongs to an earlier user of the line.
  ::ioctl(line.get(), TCFLSH, 2 /* TCIOFLUSH */);
  return line.Release();
}

}  // namespace longwire

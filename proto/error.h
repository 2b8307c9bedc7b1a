#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace longwire {

/// What went wrong, as a stable number: it travels on the wire and is printed by `-doctor` style tools.
/// Numbers are never reused. docs/errors.md lists each with its cause and next step.
enum class Errc : std::uint32_t {
  kUsage = 1,             ///< bad option, bad connection string, bad command argument
  kMalformed = 2,         ///< bytes of a peer or a file do not parse
  kLimitExceeded = 3,     ///< a documented limit (frame, queue, plan, count) was reached
  kUnsupported = 4,       ///< valid, but this program, link or target cannot do it
  kTimedOut = 5,          ///< a deadline passed
  kCancelled = 6,         ///< Ctrl-C, or a cancel message
  kClosed = 7,            ///< the peer closed the stream in order
  kUnreachable = 8,       ///< no route, refused, unknown host
  kAuthentication = 9,    ///< password or certificate refused (0x80004005)
  kVersionMismatch = 10,  ///< no protocol version in common
  kLinkFailed = 11,       ///< device missing, no permission, cable gone, target silent
  kLinkInUse = 12,        ///< another client drives this link
  kTargetRunning = 13,    ///< the request needs a halted target
  kTargetOffline = 14,    ///< no target answers on the link
  kTargetRestarted = 15,  ///< the target rebooted under the request
  kTargetRefused = 16,    ///< the target answered with a failure status
  kUnreadable = 17,       ///< memory at Error::address cannot be read or written
  kNotFound = 18,         ///< symbol, type, module, file, breakpoint not there
  kFenced = 19,           ///< the caller is not the driver any more (driver epoch)
  kBusy = 20,      ///< refused for now: others are attached, or too many wrong passwords came from here
  kIo = 21,        ///< operating-system error, see Error::os_error
  kInternal = 22,  ///< our own bug
};

/// An error with its facts. `message` is one sentence for a person: the cause and, where there is one, the
/// next step.
struct Error {
  Errc code = Errc::kInternal;
  std::string message;
  std::uint64_t address = 0;  ///< meaningful for kUnreadable
  int os_error = 0;           ///< errno, meaningful for kIo, kUnreachable, kLinkFailed; 0 if none
};

template <class T>
using Result = boost::system::result<T, Error>;

/// The stable lower-case name of a code, for example "link-in-use".
std::string_view ErrcName(Errc code);

/// Exit code of a program that ends because of this error (remote-debugging.md 2.14).
int ExitCodeFor(Errc code);

/// Ends an unchecked Result::value() on an error; the caller forgot to test it, which is our bug.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace longwire

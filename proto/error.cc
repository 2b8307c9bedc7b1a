#include "proto/error.h"

#include <stdexcept>

namespace longwire {

std::string_view ErrcName(Errc code) {
  switch (code) {
    case Errc::kUsage: return "usage";
    case Errc::kMalformed: return "malformed";
    case Errc::kLimitExceeded: return "limit-exceeded";
    case Errc::kUnsupported: return "unsupported";
    case Errc::kTimedOut: return "timed-out";
    case Errc::kCancelled: return "cancelled";
    case Errc::kClosed: return "closed";
    case Errc::kUnreachable: return "unreachable";
    case Errc::kAuthentication: return "authentication";
    case Errc::kVersionMismatch: return "version-mismatch";
    case Errc::kLinkFailed: return "link-failed";
    case Errc::kLinkInUse: return "link-in-use";
    case Errc::kTargetRunning: return "target-running";
    case Errc::kTargetOffline: return "target-offline";
    case Errc::kTargetRestarted: return "target-restarted";
    case Errc::kTargetRefused: return "target-refused";
    case Errc::kUnreadable: return "unreadable";
    case Errc::kNotFound: return "not-found";
    case Errc::kFenced: return "fenced";
    case Errc::kBusy: return "busy";
    case Errc::kIo: return "io";
    case Errc::kInternal: return "internal";
  }
  return "unknown";
}

int ExitCodeFor(Errc code) {
  switch (code) {
    case Errc::kUsage: return 2;
    case Errc::kAuthentication: return 3;
    case Errc::kUnreachable:
    case Errc::kTimedOut:
    case Errc::kClosed: return 4;
    case Errc::kVersionMismatch: return 5;
    case Errc::kLinkFailed:
    case Errc::kLinkInUse:
    case Errc::kTargetOffline: return 6;
    case Errc::kCancelled: return 130;
    default: return 1;
  }
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  throw std::logic_error(std::string("unchecked error at ") + where.to_string() + ": " + error.message);
}

}  // namespace longwire

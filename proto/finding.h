#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "proto/error.h"

namespace longwire {

/// What exactly is wrong with a connection or a link: finer than Errc, and as stable. Numbers travel on the
/// wire, are printed by `-doctor` as LW-D101 and never reused; docs/errors.md lists them. The hundreds are
/// the step that finds it.
enum class Finding : std::uint16_t {
  kNone = 0,
  // name
  kNameUnknown = 101,
  kNameServiceSilent = 102,
  kNoAddressOfFamily = 103,
  // route
  kNoRoute = 201,
  // port
  kPortRefused = 301,
  kPortNoAnswer = 302,
  kHostUnreachable = 303,
  kPipeMissing = 304,
  kPipeDead = 305,
  kPipeForbidden = 306,
  kPortTaken = 307,
  kPipeTaken = 308,
  kNobodyDialled = 309,
  kPortForbidden = 310,
  kTransportFailed = 311,
  kNoClientWaits = 312,
  kStrangerDialled = 313,
  kShellMissing = 314,
  kShellUnreachable = 315,
  kShellHostKey = 316,
  kShellLogin = 317,
  kServerProgramMissing = 318,
  kLoginText = 319,
  kChannelRefused = 320,
  // TLS
  kCertificateExpired = 401,
  kCertificateNotYetValid = 402,
  kCertificateOtherName = 403,
  kCertificateUnknownAuthority = 404,
  kCertificateNotPinned = 405,
  kClientCertificateWanted = 406,
  kClientCertificateRefused = 407,
  kCertificateUnusable = 408,
  kTlsVersion = 409,
  kServerWithoutTls = 410,
  kServerWantsTls = 411,
  kTlsFailed = 412,
  // password
  kPasswordWrong = 501,
  kPasswordWanted = 502,
  kPasswordNotWanted = 503,
  kPasswordFailed = 504,
  // version
  kVersionMismatch = 601,
  kNotLongwire = 602,
  kServerSilent = 603,
  kServerRefuses = 604,
  kServerCannotDiagnose = 605,
  kConnectionLost = 606,
  // device
  kLinkString = 701,
  kLinkNotAllowed = 702,
  kLinkUnsupported = 703,
  kDeviceMissing = 704,
  kNotSerialLine = 705,
  kSpeedUnsupported = 706,
  kSocketMissing = 707,
  kSocketDead = 708,
  kNotSocket = 709,
  kLinkUnreachable = 710,
  kNobodyConnected = 711,
  kLinkFailed = 712,
  kControllerMissing = 713,
  kChannelSilent = 714,
  // permission
  kNoPermission = 801,
  // use
  kUsedByClient = 901,
  kUsedByProgram = 902,
  // line
  kLineClosed = 1001,
  kLineSilent = 1002,
  // framing
  kGarbage = 1101,
  kTextOnLine = 1102,
  kLineEchoes = 1103,
  kKernelLine = 1104,
  kKeyDiffers = 1105,
  // target
  kTargetSilent = 1201,
  kTargetUnclear = 1202,
};

struct FindingFacts {
  Finding finding;
  std::string_view name;  ///< stable, lower case: "port-refused"
  Errc code;              ///< decides the exit code
  std::string_view next;  ///< what to do, one sentence
};

/// Every finding but kNone, by number.
std::span<const FindingFacts> AllFindings();
/// nullptr: none, or a number of a newer version.
const FindingFacts* FactsOf(Finding finding);

}  // namespace longwire

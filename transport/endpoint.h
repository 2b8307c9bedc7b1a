#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proto/error.h"
#include "transport/secret.h"

namespace longwire {

enum class Protocol : std::uint8_t { kNamedPipe, kTcp, kCom, kSecurePipe, kSsl };
enum class EndpointSide : std::uint8_t { kServer, kClient };

struct PortRange {
  std::uint16_t first = 0, last = 0;  ///< equal for a single port; first 0: the system chooses
};

/// A parsed transport string (remote-debugging.md 2.5, 2.6). Which members are set depends on protocol and
/// side.
struct Endpoint {
  Protocol protocol = Protocol::kTcp;
  EndpointSide side = EndpointSide::kServer;
  std::string server;                 ///< client: host to dial, without leading backslashes
  std::optional<std::string> clicon;  ///< reverse connection: the other machine, "*" for any
  PortRange port;                     ///< tcp, ssl
  std::string pipe;                   ///< npipe, spipe; %d and %x not yet replaced
  std::string device;                 ///< com: /dev/... path
  std::uint32_t baud = 0;             ///< com
  std::uint8_t channel = 0;           ///< com, 0..254
  bool hidden = false;
  bool icf_enable = false;
  std::optional<int> ip_version;   ///< 4 or 6
  std::optional<Secret> password;  ///< engaged but empty (client only): `Password=*` was given, ask for it
  std::string proto;               ///< spipe, ssl: "tls1", "tls1.2", "tls1.3"
  std::optional<std::string> certuser, machuser;
  std::string pool, note;    ///< server: for listings (section 6); FormatEndpoint() leaves them out
  bool verify_none = false;  ///< verify=none
  std::optional<std::uint32_t> connect_timeout_seconds, retry_seconds;
  std::string warning;  ///< something the user should be told, e.g. a password longer than 12 characters
};

/// Errors are kUsage (kUnsupported for `gdb:`), name the key and never hold a password. `password=env:` and
/// `password=file:` are resolved here.
Result<Endpoint> ParseServerEndpoint(std::string_view text);
Result<Endpoint> ParseClientEndpoint(std::string_view text);
/// The two sides of a repeater (`-s`, `-c`): fewer protocols and keys than the above (2.5).
Result<Endpoint> ParseRepeaterServerEndpoint(std::string_view text);
Result<Endpoint> ParseRepeaterClientEndpoint(std::string_view text);
/// Checks what the two strings of one repeater must not share (section 7 rule 9).
Result<void> CheckRepeaterSides(const Endpoint& server, const Endpoint& client);
/// Canonical text: `tcp:Port=5005,Server=HOST,Password=*`. A client string is accepted back by the
/// client parser (Password=* means: ask); a server never takes Password=*.
std::string FormatEndpoint(const Endpoint& endpoint);

}  // namespace longwire

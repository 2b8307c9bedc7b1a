#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "proto/error.h"
#include "transport/endpoint.h"
#include "transport/endpoint_environment.h"

namespace longwire {

/// Kernel link strings (remote-debugging.md section 4).
struct ComLink {
  enum class Kind : std::uint8_t { kDevice, kPipe, kTcp, kModem } kind = Kind::kDevice;
  std::string path;             ///< kDevice, kModem: /dev/...; kPipe: absolute path of the socket or pty
  std::uint32_t baud = 115200;  ///< kDevice, kModem
  std::string host;             ///< kTcp
  std::uint16_t tcp_port = 0;   ///< kTcp
  bool listen = false;          ///< kPipe, kTcp: wait for the other side
  bool reconnect = false;
  bool unlimited_resets = false;  ///< resets=0
  std::uint32_t timeout_ms = 4000;
};
struct NetLink {
  std::uint16_t port = 0;
  Secret key;
  std::string key_file;  ///< absolute, `key=file:PATH`; then `key` is empty
  std::string target;
};
struct UsbLink {
  std::string target_name;
};
struct FirewireLink {
  std::uint8_t channel = 0;
  std::string symlink;
};
struct ExdiLink {
  std::string host;        ///< or the absolute path of a stub's Unix socket
  std::uint16_t port = 0;  ///< 0: `host` is a path
  std::string arch, os, kd;
  bool data_breaks = true;
  std::string note;  ///< keys that were accepted and ignored, for the user; empty if none
};
/// `replay:file=PATH[,speed=N]`: a recorded link played back.
struct ReplayLink {
  std::string file;  ///< absolute
  double speed = 0;  ///< of the recorded time, 0: as fast as the client follows
};
/// `dump:file=PATH`: a crash dump.
struct DumpLink {
  std::string file;  ///< absolute
};
using KernelLink = std::variant<ComLink, NetLink, UsbLink, FirewireLink, ExdiLink, ReplayLink, DumpLink>;

/// `text` empty: everything from the environment (_NT_DEBUG_PORT ..., 4.8). Errors are kUsage and never hold
/// a key; kUnsupported: a VM pipe of another machine.
Result<KernelLink> ParseKernelLink(std::string_view text, const Environment& environment);
/// Canonical text with secrets masked: `COM:Port=/dev/ttyS1,Baud=57600,Timeout=4000`. Accepted back, but for
/// `Key=*`.
std::string FormatKernelLink(const KernelLink& link);

/// The argument of `-k`: a link opened by this process, or a KD connection server and the link it shall open.
struct KernelString {
  std::optional<Endpoint> server;  ///< nullopt: this process opens the link itself
  std::string trans;               ///< link text, defaults to be filled in by whoever opens it
};
/// Accepts every form of 2.3, 2.4 and 4.7 but `@FILE`, which ReadStringArgument resolves. The link text is
/// checked, its defaults are not filled in.
Result<KernelString> ParseKernelString(std::string_view text);
/// True for a `kdsrv:` word whose `@{` lost its brace to the expansion of an unquoting shell (2.4).
bool LostBraces(std::string_view word);
/// The kernel string as it was before the shell expanded it into `words` (the first one has LostBraces, the
/// others follow it on the command line), passwords and keys masked; for the message that shows how to quote
/// it.
std::string RestoreBraces(std::span<const std::string> words);
/// `Remote KD: KdSrv:Server=@{...},Trans=@{...}`, secrets masked. Defaults of a link of this process are
/// filled in.
std::string FormatSessionName(const KernelString& kernel,
                              const Environment& environment = ProcessEnvironment());

/// `@PATH` (and nothing behind it): first line of that file; anything else: the text itself (2.4).
Result<std::string> ReadStringArgument(std::string_view text);

}  // namespace longwire

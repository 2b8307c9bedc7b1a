#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "proto/error.h"
#include "transport/endpoint.h"

namespace longwire {

/// Kernel link strings (remote-debugging.md section 4).
struct ComLink {
  enum class Kind : std::uint8_t { kDevice, kPipe, kTcp, kModem } kind = Kind::kDevice;
  std::string path;               ///< kDevice, kModem: /dev/...; kPipe: absolute path of the socket or pty
  std::uint32_t baud = 115200;    ///< kDevice, kModem
  std::string host;               ///< kTcp
  std::uint16_t tcp_port = 0;     ///< kTcp
  bool listen = false;            ///< kPipe, kTcp: wait for the other side
  bool reconnect = false;
  bool unlimited_resets = false;  ///< resets=0
  std::uint32_t timeout_ms = 4000;
};
struct NetLink {
  std::uint16_t port = 0;
  Secret key;
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
  std::string host;
  std::uint16_t port = 0;
  std::string arch, os, kd;
  bool data_breaks = true;
};
using KernelLink = std::variant<ComLink, NetLink, UsbLink, FirewireLink, ExdiLink>;

/// Looks a variable up; the default reads the process environment. A missing variable gives nullopt.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
Environment ProcessEnvironment();

/// `text` empty: everything from the environment (_NT_DEBUG_PORT ..., 4.8).
Result<KernelLink> ParseKernelLink(std::string_view text, const Environment& environment);
/// Canonical text with secrets masked: `COM:Port=/dev/ttyS1,Baud=57600,Timeout=4000`.
std::string FormatKernelLink(const KernelLink& link);

/// The argument of `-k`: a link opened by this process, or a KD connection server and the link it shall open.
struct KernelString {
  std::optional<Endpoint> server;  ///< nullopt: this process opens the link itself
  std::string trans;               ///< link text, defaults to be filled in by whoever opens it
};
/// Accepts every form of 2.3, 2.4 and 4.7 but `@FILE`, which ReadStringArgument resolves.
Result<KernelString> ParseKernelString(std::string_view text);
/// `Remote KD: KdSrv:Server=@{...},Trans=@{...}`, secrets masked.
std::string FormatSessionName(const KernelString& kernel);

/// `@PATH` (and nothing behind it): first line of that file; anything else: the text itself (2.4).
Result<std::string> ReadStringArgument(std::string_view text);

}  // namespace longwire

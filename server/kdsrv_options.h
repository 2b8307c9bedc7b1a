#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"
#include "transport/endpoint.h"
#include "transport/endpoint_environment.h"
#include "transport/kernel_string.h"

namespace longwire {

/// What `kdsrv` was asked for (remote-debugging.md 3.2).
struct KdsrvOptions {
  enum class Action : std::uint8_t {
    kServe,
    kHelp,
    kVersion,
    kStatus,
    kRelease,
    kConnectPipe,
    kDoctor,
    kMakeKey
  };

  Action action = Action::kServe;
  std::optional<Endpoint> endpoint;  ///< -t; set for kServe
  std::vector<std::string> links;    ///< --links: patterns of links a client may open; empty: every link
  bool open = false;                 ///< -open
  bool verbose = false;              ///< -v
  bool json = false;                 ///< --json, with --status
  bool daemon = false;               ///< --daemon
  /// --gdb and --raw: a link that other debuggers reach on a TCP port.
  struct Offer {
    bool raw = false;
    std::string link;
    std::string address;  ///< empty: this machine only
    std::uint16_t port = 0;
  };
  std::vector<Offer> offers;
  std::string release_link;                ///< --release
  std::string pipe;                        ///< --connect-pipe
  std::optional<std::string> doctor_link;  ///< -k, with -doctor: a link of this machine
  std::optional<std::string> log_file, pid_file;
  std::optional<std::string> record_directory;                                            ///< --record
  std::chrono::seconds keep{120};                                                         ///< --keep
  enum class OnLost : std::uint8_t { kResume, kHalt, kBreak } on_lost = OnLost::kResume;  ///< --on-lost
  std::optional<std::string> state_directory;  ///< --state; empty text: no journals
  std::vector<std::string> warnings;           ///< to be printed at start
};

/// Where journals are without --state: /var/lib/longwire for root, else the user's state directory; empty if
/// there is neither.
std::string DefaultStateDirectory(const Environment& environment, bool root);

/// `words` is argv without the program's name. Errors are kUsage, one sentence, without secrets. No words at
/// all: an error too, whose text asks for -t; the caller prints KdsrvUsage() with it.
Result<KdsrvOptions> ParseKdsrvOptions(std::span<const std::string> words);
std::string_view KdsrvUsage();

/// Cuts `com:port=com1,baud=9600,net:port=50000` where the name of a link begins.
Result<std::vector<std::string>> SplitLinkPatterns(std::string_view list);
/// True if a pattern names the kind of `link` and each of its parameters fits, `*` and `?` standing for
/// anything. An empty list allows every link.
bool AllowsLink(std::span<const std::string> patterns, const KernelLink& link);

}  // namespace longwire

#include "server/kdsrv_options.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>

#include "transport/command_line.h"
#include "transport/connection_string.h"

namespace longwire {
namespace {

using Argument = OptionRule::Argument;

constexpr auto kRules = std::to_array<OptionRule>({
    {"t", Argument::kNext, true},
    {"v", Argument::kNone, true},
    {"?"},
    {"help", Argument::kNone, true, true},
    {"version", Argument::kNone, true, true},
    {"k", Argument::kNext, true},
    {"doctor", Argument::kNone, true, true},
    {"links", Argument::kNext, true, true},
    {"open", Argument::kNone, true, true},
    {"status", Argument::kNone, true, true},
    {"json", Argument::kNone, true, true},
    {"release", Argument::kNext, true, true},
    {"connect-pipe", Argument::kNext, true, true},
    {"make-key", Argument::kNone, true, true},
    {"keep", Argument::kNext, true, true},
    {"on-lost", Argument::kNext, true, true},
    {"state", Argument::kNext, true, true},
    {"log", Argument::kNext, true, true},
    {"daemon", Argument::kNone, true, true},
    {"pidfile", Argument::kNext, true, true},
    {"record", Argument::kNext, true, true},
    {"gdb", Argument::kNext, true, true},
    {"raw", Argument::kNext, true, true},
});

constexpr std::uint64_t kLongestKeep = 86'400;

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

Result<void> TakeEndpoint(const std::string& word, KdsrvOptions& options) {
  if (options.endpoint) return UsageError("-t is given twice; start one kdsrv per transport");
  Result<std::string> text = ReadStringArgument(word);
  if (!text) return text.error();
  Result<Endpoint> endpoint = ParseServerEndpoint(*text);
  if (!endpoint) return UsageError("-t: " + endpoint.error().message);
  if (!endpoint->warning.empty()) options.warnings.push_back(endpoint->warning);
  options.endpoint = std::move(*endpoint);
  return {};
}

Result<void> TakeSurvival(std::string_view name, const std::string& value, KdsrvOptions& options) {
  if (name == "keep") {
    const auto seconds = ParseDecimal(value, kLongestKeep);
    if (!seconds) {
      return UsageError("--keep takes seconds, 0 to " + std::to_string(kLongestKeep) + ", not '" + value +
                        "'");
    }
    options.keep = std::chrono::seconds(*seconds);
  }
  if (name == "on-lost") {
    using OnLost = KdsrvOptions::OnLost;
    if (value == "resume") {
      options.on_lost = OnLost::kResume;
    } else if (value == "halt") {
      options.on_lost = OnLost::kHalt;
    } else if (value == "break") {
      options.on_lost = OnLost::kBreak;
    } else {
      return UsageError("--on-lost takes resume, halt or break, not '" + value + "'");
    }
  }
  if (name == "state") options.state_directory = value == "none" ? std::string() : value;
  return {};
}

/// `LINK=[ADDRESS:]PORT`; the link's own string has equal signs, so the last one counts.
Result<KdsrvOptions::Offer> ReadOffer(const std::string& option, const std::string& word) {
  KdsrvOptions::Offer offer;
  offer.raw = option == "raw";
  const Error bad = UsageError("--" + option +
                               " takes LINK=[ADDRESS:]PORT, for example "
                               "'com:pipe,port=/run/vm1.com1=127.0.0.1:3333'");
  const std::size_t equals = word.rfind('=');
  if (equals == std::string::npos || equals == 0) return bad;
  offer.link = word.substr(0, equals);
  std::string place = word.substr(equals + 1);
  if (const std::size_t colon = place.rfind(':'); colon != std::string::npos) {
    offer.address = place.substr(0, colon);
    place.erase(0, colon + 1);
    if (offer.address.size() > 2 && offer.address.front() == '[' && offer.address.back() == ']')
      offer.address = offer.address.substr(1, offer.address.size() - 2);
    if (offer.address.empty()) return bad;
  }
  const auto port = ParseDecimal(place, 65535);
  if (!port) return bad;
  offer.port = static_cast<std::uint16_t>(*port);
  const Result<KernelLink> link = ParseKernelLink(offer.link, ProcessEnvironment());
  if (!link) return UsageError("--" + option + ": " + link.error().message);
  // Another KD host numbers its packets for a serial line; the other kinds have no such line to lend.
  if (offer.raw && !std::holds_alternative<ComLink>(*link))
    return UsageError("--raw lends a serial line, so its LINK is a com: link; use --gdb for this one");
  return offer;
}

Result<void> Take(const CommandLineItem& item, KdsrvOptions& options) {
  if (item.rule == nullptr) return UsageError("kdsrv takes no argument besides options; -? shows them");
  const std::string_view name = item.rule->name;
  if (name == "t") return TakeEndpoint(*item.argument, options);
  if (name == "?" || name == "help") options.action = KdsrvOptions::Action::kHelp;
  if (name == "version") options.action = KdsrvOptions::Action::kVersion;
  if (name == "status") options.action = KdsrvOptions::Action::kStatus;
  if (name == "make-key") options.action = KdsrvOptions::Action::kMakeKey;
  if (name == "doctor") options.action = KdsrvOptions::Action::kDoctor;
  if (name == "k") {
    Result<std::string> text = ReadStringArgument(*item.argument);
    if (!text) return text.error();
    options.doctor_link = std::move(*text);
  }
  if (name == "v") options.verbose = true;
  if (name == "open") options.open = true;
  if (name == "json") options.json = true;
  if (name == "daemon") options.daemon = true;
  if (name == "log") options.log_file = *item.argument;
  if (name == "pidfile") options.pid_file = *item.argument;
  if (name == "record") options.record_directory = *item.argument;
  if (name == "gdb" || name == "raw") {
    Result<KdsrvOptions::Offer> offer = ReadOffer(std::string(name), *item.argument);
    if (!offer) return offer.error();
    options.offers.push_back(std::move(*offer));
  }
  if (name == "keep" || name == "on-lost" || name == "state")
    return TakeSurvival(name, *item.argument, options);
  if (name == "release") {
    options.action = KdsrvOptions::Action::kRelease;
    options.release_link = *item.argument;
  }
  if (name == "connect-pipe") {
    options.action = KdsrvOptions::Action::kConnectPipe;
    options.pipe = *item.argument;
  }
  if (name == "links") {
    Result<std::vector<std::string>> patterns = SplitLinkPatterns(*item.argument);
    if (!patterns) return patterns.error();
    options.links.insert(options.links.end(), patterns->begin(), patterns->end());
  }
  return {};
}

bool BeginsLink(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string name = LowerCase(TrimBlanks(text.substr(0, colon)));
  return name == "com" || name == "net" || name == "usb" || name == "usb2" || name == "1394" ||
         name == "exdi" || name == "gdb" || name == "dump" || name == "replay";
}

/// COM ports in a pattern mean the device the link was opened on.
std::string PatternValue(const ConnectionParameter& parameter) {
  const std::string lower = LowerCase(*parameter.value);
  if (parameter.key != "port" || !lower.starts_with("com")) return *parameter.value;
  const auto number = ParseDecimal(std::string_view(lower).substr(3), 256);
  return number && *number > 0 ? "/dev/ttyS" + std::to_string(*number - 1) : *parameter.value;
}

bool Fits(const ConnectionString& pattern, const ConnectionString& link) {
  const std::string name = pattern.name == "usb2" ? "usb" : pattern.name;
  if (name != link.name) return false;
  return std::all_of(pattern.parameters.begin(), pattern.parameters.end(),
                     [&](const ConnectionParameter& wanted) {
                       const ConnectionParameter* given = link.Find(wanted.key);
                       if (given == nullptr) return false;
                       if (!wanted.value) return true;
                       if (!given->value) return false;
                       return fnmatch(PatternValue(wanted).c_str(), given->value->c_str(), FNM_PATHNAME) == 0;
                     });
}

}  // namespace

Result<KdsrvOptions> ParseKdsrvOptions(std::span<const std::string> words) {
  Result<std::vector<CommandLineItem>> items = ParseCommandLine(words, kRules);
  if (!items) return items.error();
  KdsrvOptions options;
  for (const CommandLineItem& item : *items) {
    if (auto taken = Take(item, options); !taken) return taken.error();
  }
  if (options.action == KdsrvOptions::Action::kServe && !options.endpoint) {
    return UsageError(
        "option -t is missing: it says where to listen, for example -t tcp:port=1234,password=file:PATH");
  }
  const bool asks_a_server =
      options.action == KdsrvOptions::Action::kStatus || options.action == KdsrvOptions::Action::kRelease;
  if (asks_a_server && options.endpoint)
    return UsageError("--status and --release ask a running server; leave -t out");
  const bool doctor = options.action == KdsrvOptions::Action::kDoctor;
  if (options.json && options.action != KdsrvOptions::Action::kStatus && !doctor)
    return UsageError("--json goes with --status or -doctor");
  if (options.doctor_link && !doctor)
    return UsageError("-k goes with -doctor; a serving kdsrv opens the links that its clients ask for");
  if (doctor && !options.endpoint && !options.doctor_link)
    return UsageError("-doctor examines a transport (-t), a link of this machine (-k), or both; give one");
  return options;
}

std::string DefaultStateDirectory(const Environment& environment, bool root) {
  if (const auto state = environment("XDG_STATE_HOME"); state && state->starts_with("/"))
    return *state + "/longwire";
  if (root) return "/var/lib/longwire";
  if (const auto home = environment("HOME"); home && home->starts_with("/"))
    return *home + "/.local/state/longwire";
  return {};
}

Result<std::vector<std::string>> SplitLinkPatterns(std::string_view list) {
  std::vector<std::string> patterns;
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    if (i < list.size() && list[i] == '{') ++depth;
    if (i < list.size() && list[i] == '}') --depth;
    const bool ends = i == list.size() || (list[i] == ',' && depth == 0 && BeginsLink(list.substr(i + 1, 8)));
    if (!ends) continue;
    const std::string pattern(TrimBlanks(list.substr(start, i - start)));
    if (!BeginsLink(pattern))
      return UsageError(
          "--links: a link pattern starts with com:, net:, usb:, 1394:, exdi:, gdb:, dump: or replay:");
    if (auto parsed = ParseConnectionString(pattern); !parsed)
      return UsageError("--links: " + parsed.error().message);
    patterns.push_back(pattern);
    start = i + 1;
  }
  return patterns;
}

bool AllowsLink(std::span<const std::string> patterns, const KernelLink& link) {
  if (patterns.empty()) return true;
  Result<ConnectionString> printed = ParseConnectionString(FormatKernelLink(link));
  if (!printed) return false;
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& text) {
    Result<ConnectionString> pattern = ParseConnectionString(text);
    return pattern && Fits(*pattern, *printed);
  });
}

std::string_view KdsrvUsage() {
  return R"(usage: kdsrv -t TRANSPORT [options]        KD connection server

  -t TRANSPORT        where to listen, or with clicon= where to dial; single-quote it
      'tcp:port=1234,password=file:/etc/kdsrv.password'
      'ssl:proto=tls1,machuser=CERTIFICATE,port=1234'
      'npipe:pipe=kdlab'                          this machine, or others through ssh
      'tcp:port=1234,clicon=HOST,password=P'      dial out to a client
      @FILE                                       first line of FILE, which hides passwords from ps
  --links LIST        links a client may open, for example 'com:port=/dev/ttyUSB*,net:port=50000'
  -open               allow tcp without a password beyond this machine (dangerous)
  -v                  print where the server listens, and what happens
  --log FILE          write the log to FILE
  --daemon            go to the background; --pidfile FILE writes the process id
  --record DIR        write down the traffic of every link: DIR/LINK.jsonl, at most 4 files of 64 MiB each
  --gdb LINK=[ADDRESS:]PORT   gdb, lldb, IDA and others drive LINK by the GDB remote protocol on that TCP port
  --raw LINK=[ADDRESS:]PORT   other KD hosts have the bytes of LINK's line on that TCP port; neither asks for a
                      password, so both are for this machine alone, unless -open
  --status [--json]   list the links, holders and states of the running server
  --release LINK      end the holder of LINK in the running server
  --make-key          print a new random key for a KDNET target
  --connect-pipe NAME join standard input and output with an npipe server of this user; for ssh
  --keep SECONDS      keep the session of a lost client so long, at most (120)
  --on-lost WHAT      the target of a client that does not come back: resume (default), halt (left as it
                      is) or break; breakpoints are taken out in any case
  --state DIR         journals, by which a restarted server takes its links back; none writes none
  -doctor [-k LINK] [--json]  examine the transport of -t, a link of this machine, or both, and say what is
                      wrong first and what to do; serves nobody
  -version, -?        version; this text

Clients connect with:
  kd -k 'kdsrv:server=@{tcp:server=HOST,port=1234,password=P},trans=@{com:port=com1,baud=115200}'

Exit codes: 0 success, 1 failure, 2 usage, 3 authentication refused, 4 unreachable or timed out,
5 protocol version mismatch, 6 link failure, 130 interrupted.
)";
}

}  // namespace longwire

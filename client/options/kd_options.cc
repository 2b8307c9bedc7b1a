#include "client/options/kd_options.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "transport/command_line.h"
#include "transport/connection_string.h"

namespace longwire {
namespace {

using Argument = OptionRule::Argument;

constexpr auto kRules = std::to_array<OptionRule>({
    {"server", Argument::kNext, true},
    {"remote", Argument::kNext, true},
    {"k", Argument::kOptional},
    {"kl"},
    {"kqm"},
    {"kx", Argument::kNext},
    {"z", Argument::kNext},
    {"zp", Argument::kNext},
    {"b"},
    {"x"},
    {"d"},
    {"bonc"},
    {"m"},
    {"myob"},
    {"noio"},
    {"noshell"},
    {"secure"},
    {"clines", Argument::kNext},
    {"c", Argument::kNext},
    {"cf", Argument::kNext},
    {"cfr", Argument::kNext},
    {"loga", Argument::kNext},
    {"logo", Argument::kNext},
    {"logau", Argument::kNext},
    {"logou", Argument::kNext},
    {"a", Argument::kJoined},
    {"y", Argument::kNext},
    {"i", Argument::kNext},
    {"srcpath", Argument::kNext},
    {"lines"},
    {"n"},
    {"s"},
    {"sdce"},
    {"ses"},
    {"sicv"},
    {"sins"},
    {"snc"},
    {"snul"},
    {"sup"},
    {"sflags", Argument::kNext},
    {"failinc"},
    {"ee", Argument::kNext},
    {"r"},
    {"v"},
    {"t", Argument::kNext},
    {"QR", Argument::kNext},
    {"QRa", Argument::kNext},
    {"iu", Argument::kNext},
    {"wake", Argument::kNext},
    {"doctor", Argument::kNone, false, true},
    {"version", Argument::kNone, false, true},
    {"?"},
    {"help", Argument::kNone, false, true},
    {"wait", Argument::kNext, false, true},
    {"json", Argument::kNone, false, true},
    {"observe", Argument::kNone, false, true},
    {"take", Argument::kNone, false, true},
    {"queue", Argument::kNone, false, true},
    {"since", Argument::kNext, false, true},
    {"resume-wait", Argument::kNext, false, true},
    {"open", Argument::kNone, false, true},
});

/// Understood, so that command lines of the original work, but not acted upon: the user is told.
constexpr auto kWithoutEffect =
    std::to_array<std::string_view>({"m", "myob", "a", "s", "r", "t", "clines", "sflags", "failinc", "sdce",
                                     "ses", "sicv", "sins", "snc", "snul", "sup"});

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

bool IsLinkWord(std::string_view word) {
  const std::size_t colon = word.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string name = LowerCase(word.substr(0, colon));
  return name == "com" || name == "net" || name == "usb" || name == "usb2" || name == "1394" ||
         name == "kdsrv";
}

/// Hexadecimal, with or without 0x.
std::optional<std::uint32_t> ParseFlags(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  if (text.empty() || text.size() > 8) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : LowerCase(text)) {
    const std::size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<std::uint32_t>(digit);
  }
  return value;
}

/// "all" (0), or a number of seconds, or of what its suffix says.
std::optional<std::chrono::seconds> ParseAge(std::string_view text) {
  if (text == "all") return std::chrono::seconds(0);
  std::uint64_t unit = 1;
  const std::size_t suffix =
      text.empty() ? std::string_view::npos : std::string_view("smhd").find(text.back());
  if (suffix != std::string_view::npos) {
    constexpr std::array<std::uint64_t, 4> kUnits{1, 60, 3600, 86400};
    unit = kUnits[suffix];
    text.remove_suffix(1);
  }
  const auto number = ParseDecimal(text, 1'000'000);
  if (!number || *number == 0) return std::nullopt;
  return std::chrono::seconds(*number * unit);
}

class KdCommandLine {
 public:
  KdCommandLine(std::span<const std::string> words, KdOptions options)
      : words_(words), options_(std::move(options)) {}

  Result<KdOptions> Run() {
    Result<std::vector<CommandLineItem>> items = ParseCommandLine(words_, kRules);
    if (!items) return items.error();
    items_ = std::move(*items);
    if (auto checked = CheckOrder(); !checked) return checked.error();
    for (const CommandLineItem& item : items_) {
      if (auto taken = Take(item); !taken) return taken.error();
    }
    if (options_.action != KdOptions::Action::kDebug) return std::move(options_);
    if (auto kernel = FinishKernel(); !kernel) return kernel.error();
    if (auto checked = CheckTogether(); !checked) return checked.error();
    for (const CommandLineItem& item : items_) {
      const std::string name = Name(item);
      if (std::find(kWithoutEffect.begin(), kWithoutEffect.end(), name) != kWithoutEffect.end())
        options_.warnings.push_back("-" + name + " has no effect yet");
    }
    return std::move(options_);
  }

 private:
  static std::string Name(const CommandLineItem& item) {
    return item.rule == nullptr ? std::string() : std::string(item.rule->name);
  }

  const CommandLineItem* Find(std::string_view name) const {
    const auto found =
        std::find_if(items_.begin(), items_.end(), [&](const auto& i) { return Name(i) == name; });
    return found == items_.end() ? nullptr : &*found;
  }

  /// Rules about position and combination that hold whatever the arguments say (2.13, 3.1).
  Result<void> CheckOrder() const {
    for (const CommandLineItem& item : items_) {
      const std::string name = Name(item);
      const bool query = name == "QR" || name == "QRa";
      // --json says how to print, and begins nothing.
      const std::size_t alone = query && Find("json") != nullptr ? 2 : 1;
      if ((query || name == "iu" || name == "wake") && items_.size() > alone) {
        return UsageError("option -" + name + " stands alone; leave the other options out");
      }
    }
    if (Find("server") != nullptr && Find("remote") != nullptr) {
      return UsageError(
          "-server and -remote exclude each other: a debugger is not server and client at once");
    }
    for (const char* name : {"server", "remote"}) {
      const CommandLineItem* item = Find(name);
      if (item != nullptr && item->index != 0)
        return UsageError("-" + std::string(name) + " must be the first option");
      if (std::count_if(items_.begin(), items_.end(), [&](const auto& i) { return Name(i) == name; }) > 1) {
        return UsageError("-" + std::string(name) + " is given twice");
      }
    }
    for (const char* name : {"k", "kl", "kx", "z"}) {
      if (Find("remote") != nullptr && Find(name) != nullptr) {
        return UsageError("-" + std::string(name) +
                          " begins a session, which a -remote client cannot do; the server does");
      }
    }
    return {};
  }

  Result<void> Take(const CommandLineItem& item) {
    if (item.rule == nullptr) return TakeStray(item);
    const std::string name = Name(item);
    if (TakeSwitch(name)) return {};
    if (name == "k") return TakeKernel(item);
    if (name == "server" || name == "remote") return TakeEndpoint(name, *item.argument);
    if (auto taken = TakeText(name, item); !taken || *taken) {
      if (!taken) return taken.error();
      return {};
    }
    return TakeNumber(name, *item.argument);
  }

  bool TakeSwitch(const std::string& name) {
    using RebootBreak = KdOptions::RebootBreak;
    if (IsSymbolSwitch(name)) {
      options_.symbol_switches.push_back(name);
      return true;
    }
    if (name == "x") {
      options_.reboot_break = RebootBreak::kInitialization;
      options_.commands.push_back("eb nt!NtGlobalFlag 9;g");
      return true;
    }
    if (name == "b" || name == "d") {
      options_.reboot_break = name == "b" ? RebootBreak::kInitialization : RebootBreak::kFirstModule;
      return true;
    }
    if (name == "observe") return SetJoining(KdOptions::Joining::kObserve);
    if (name == "take") return SetJoining(KdOptions::Joining::kTake);
    if (name == "queue") return SetJoining(KdOptions::Joining::kQueue);
    if (name == "kl") return SetSession(KdOptions::Session::kLocalKernel);
    if (name == "?" || name == "help") return SetAction(KdOptions::Action::kHelp);
    if (name == "version") return SetAction(KdOptions::Action::kVersion);
    struct Switch {
      std::string_view name;
      bool KdOptions::*member;
    };
    static constexpr std::array<Switch, 16> kSwitches{{{"kqm", &KdOptions::quiet},
                                                       {"bonc", &KdOptions::break_on_connect},
                                                       {"m", &KdOptions::modem},
                                                       {"myob", &KdOptions::ignore_versions},
                                                       {"noio", &KdOptions::no_io},
                                                       {"noshell", &KdOptions::no_shell},
                                                       {"secure", &KdOptions::secure},
                                                       {"lines", &KdOptions::source_lines},
                                                       {"n", &KdOptions::noisy_symbols},
                                                       {"s", &KdOptions::no_deferred_symbols},
                                                       {"failinc", &KdOptions::strict_symbols},
                                                       {"r", &KdOptions::show_registers},
                                                       {"v", &KdOptions::verbose},
                                                       {"json", &KdOptions::json},
                                                       {"doctor", &KdOptions::doctor},
                                                       {"open", &KdOptions::open}}};
    for (const Switch& entry : kSwitches) {
      if (entry.name != name) continue;
      options_.*entry.member = true;
      return true;
    }
    return false;
  }

  static bool IsSymbolSwitch(std::string_view name) {
    static constexpr std::array<std::string_view, 7> kNames{"sdce", "ses",  "sicv", "sins",
                                                            "snc",  "snul", "sup"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
  }

  bool SetSession(KdOptions::Session session) {
    options_.session = session;
    return true;
  }
  bool SetJoining(KdOptions::Joining joining) {
    options_.joining = joining;
    return true;
  }
  bool SetAction(KdOptions::Action action) {
    options_.action = action;
    return true;
  }

  /// -k without a word behind it waits for a later stray word (4.7).
  Result<void> TakeKernel(const CommandLineItem& item) {
    if (kernel_given_) return UsageError("-k is given twice");
    kernel_given_ = true;
    if (item.argument) return ParseKernel(*item.argument, item.index + 1);
    kernel_pending_ = true;
    return {};
  }

  Result<void> TakeStray(const CommandLineItem& item) {
    if (kernel_pending_ && IsLinkWord(item.text)) {
      kernel_pending_ = false;
      return ParseKernel(item.text, item.index);
    }
    return UsageError("kd takes no argument '" + MaskedWord(item.text) + "'; an option is missing before it");
  }

  /// Part of a broken string may be a password.
  static std::string MaskedWord(const std::string& word) {
    return LowerCase(word).find("password") == std::string::npos ? word.substr(0, 60) : "...";
  }

  Result<void> ParseKernel(const std::string& word, std::size_t index) {
    Result<std::string> text = ReadStringArgument(word);
    if (!text) return text.error();
    if (LostBraces(*text)) {
      return UsageError("the shell removed the braces of the kernel string; quote it: kd -k " +
                        ShellQuote(RestoreBraces(words_.subspan(index))));
    }
    Result<KernelString> kernel = ParseKernelString(*text);
    if (!kernel) return UsageError("-k: " + kernel.error().message);
    if (kernel->server && !kernel->server->warning.empty())
      options_.warnings.push_back(kernel->server->warning);
    options_.kernel = std::move(*kernel);
    return {};
  }

  Result<void> FinishKernel() const {
    if (!kernel_pending_) return {};
    if (Name(items_.back()) == "k") return {};
    return UsageError("-k without a link string must be the last option; no word such as com:... follows it");
  }

  Result<void> TakeEndpoint(const std::string& name, const std::string& word) {
    Result<std::string> text = ReadStringArgument(word);
    if (!text) return text.error();
    const bool server = name == "server";
    Result<Endpoint> endpoint = server ? ParseServerEndpoint(*text) : ParseClientEndpoint(*text);
    if (!endpoint) return UsageError("-" + name + ": " + endpoint.error().message);
    if (!endpoint->warning.empty()) options_.warnings.push_back(endpoint->warning);
    if (!server) options_.session = KdOptions::Session::kRemoteClient;
    (server ? options_.server : options_.remote) = std::move(*endpoint);
    return {};
  }

  /// True if `name` takes a text.
  Result<bool> TakeText(const std::string& name, const CommandLineItem& item) {
    if (!item.argument) return false;
    const std::string& text = *item.argument;
    if (name == "z") {
      options_.session = KdOptions::Session::kDump;
      options_.dumps.push_back(text);
      // This process serves the dump to itself, as it does a link.
      std::error_code ignored;
      options_.kernel.trans =
          "dump:file=" + QuoteValue(std::filesystem::absolute(text, ignored).lexically_normal().string());
    } else if (name == "zp") {
      options_.page_file = text;
    } else if (name == "kx") {
      if (LowerCase(text.substr(0, 5)) != "exdi:" && LowerCase(text.substr(0, 4)) != "gdb:")
        return UsageError("-kx takes an exdi: string, for example exdi:gdb=HOST:PORT");
      const Environment none = [](const std::string&) { return std::nullopt; };
      if (auto link = ParseKernelLink(text, none); !link) return UsageError("-kx: " + link.error().message);
      options_.session = KdOptions::Session::kKernel;
      options_.kernel.trans = text;
    } else if (name == "c") {
      options_.commands.push_back(text);
    } else if (name == "cf") {
      options_.script = text;
    } else if (name == "cfr") {
      options_.restart_script = text;
    } else if (name.starts_with("log")) {
      options_.log = KdOptions::Log{text, name[3] == 'a', name.ends_with('u')};
    } else if (name == "a") {
      options_.default_extension = text;
    } else if (name == "y") {
      options_.symbol_path = text;
    } else if (name == "i") {
      options_.image_path = text;
    } else if (name == "srcpath") {
      options_.source_path = text;
    } else if (name == "since") {
      options_.since = ParseAge(text);
      if (!options_.since)
        return UsageError("--since takes all, or an age such as 90, 90s, 10m, 2h or 1d, not '" + text + "'");
    } else if (name == "ee") {
      options_.evaluator = LowerCase(text);
      if (options_.evaluator != "masm" && options_.evaluator != "c++")
        return UsageError("-ee takes only masm or c++");
    } else if (name == "QR" || name == "QRa") {
      options_.action = KdOptions::Action::kQueryServers;
      options_.action_argument = text;
      options_.stale_servers = name == "QRa";
    } else if (name == "iu") {
      options_.action = KdOptions::Action::kRegisterUrl;
      options_.action_argument = text;
    } else {
      return false;
    }
    return true;
  }

  Result<void> TakeNumber(const std::string& name, const std::string& text) {
    if (name == "sflags") {
      options_.symbol_flags = ParseFlags(text);
      if (!options_.symbol_flags) return UsageError("-sflags takes a hexadecimal number such as 0x30237");
      return {};
    }
    constexpr std::uint64_t kLongestWait = 24 * 3600;
    const std::uint64_t limit = name == "t"             ? 3
                                : name == "resume-wait" ? kLongestWait
                                : name == "clines"      ? 1'000'000
                                                        : 0x7fffffff;
    const auto number = ParseDecimal(text, limit);
    if (!number) return UsageError("-" + name + " takes a number from 0 to " + std::to_string(limit));
    if (name == "t") options_.error_level = static_cast<int>(*number);
    if (name == "clines") options_.history_lines = static_cast<std::uint32_t>(*number);
    if (name == "wait") options_.wait_seconds = static_cast<std::uint32_t>(*number);
    if (name == "resume-wait") options_.resume_wait = std::chrono::seconds(*number);
    if (name == "wake") {
      options_.action = KdOptions::Action::kWake;
      options_.action_argument = text;
    }
    return {};
  }

  Result<void> CheckTogether() const {
    const int sessions = (kernel_given_ ? 1 : 0) + (Find("kl") != nullptr ? 1 : 0) +
                         (Find("kx") != nullptr ? 1 : 0) + (options_.dumps.empty() ? 0 : 1);
    const int joinings = (Find("observe") != nullptr ? 1 : 0) + (Find("take") != nullptr ? 1 : 0) +
                         (Find("queue") != nullptr ? 1 : 0);
    if (joinings > 1) return UsageError("--observe, --take and --queue exclude each other; give one of them");
    if (sessions > 1) return UsageError("-k, -kl, -kx and -z exclude each other; give one of them");
    return {};
  }

  std::span<const std::string> words_;
  KdOptions options_;
  std::vector<CommandLineItem> items_;
  bool kernel_given_ = false;
  bool kernel_pending_ = false;
};

}  // namespace

Result<KdOptions> ParseKdOptions(std::span<const std::string> words, const Environment& environment) {
  KdOptions options;
  if (auto read = ReadKdEnvironment(environment, options); !read) return read.error();
  return KdCommandLine(words, std::move(options)).Run();
}

Result<void> RefuseUnsupported(const KdOptions& options) {
  const auto refuse = [](std::string_view what) {
    return UsageError(std::string(what) + " is not supported yet");
  };
  switch (options.action) {
    case KdOptions::Action::kRegisterUrl: return refuse("-iu (registering the remdbgeng: URL scheme)");
    case KdOptions::Action::kWake: return refuse("-wake");
    case KdOptions::Action::kQueryServers:
    case KdOptions::Action::kHelp:
    case KdOptions::Action::kVersion: return {};
    case KdOptions::Action::kDebug: break;
  }
  switch (options.session) {
    case KdOptions::Session::kLocalKernel: return refuse("-kl (local kernel session)");
    case KdOptions::Session::kDump:
      if (options.dumps.size() > 1) return refuse("opening more than one dump (-z)");
      break;
    case KdOptions::Session::kRemoteClient: return refuse("-remote (joining a debugging server)");
    case KdOptions::Session::kKernel: break;
  }
  if (options.doctor && options.session != KdOptions::Session::kKernel) {
    return UsageError("-doctor examines a kernel connection; give it with -k");
  }
  if (options.server) return refuse("-server (sharing this debugger)");
  if (options.page_file) return refuse("-zp (page file)");
  if (options.secure) return refuse("-secure");
  if (options.no_io) return refuse("-noio");
  if (options.restart_script) return refuse("-cfr");
  if (options.evaluator != "masm") return refuse("the c++ expression evaluator");
  return {};
}

}  // namespace longwire

#include <algorithm>
#include <charconv>

#include "proto/kdnet/key.h"
#include "transport/connection_string.h"
#include "transport/endpoint_pipe.h"
#include "transport/kernel_string.h"

namespace longwire {
namespace {

/// Registered for targets that have no port configured (4.4).
constexpr std::uint16_t kDefaultNetPort = 5364;
constexpr std::uint16_t kLowestNetPort = 49152;
constexpr std::string_view kKeyFile = "file:";

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

std::string Named(const ConnectionParameter& parameter) {
  return "key '" + parameter.key + "' at position " + std::to_string(parameter.position);
}

bool Contains(std::string_view words, std::string_view word) {
  return !word.empty() && words.find(" " + std::string(word) + " ") != std::string_view::npos;
}

Result<void> CheckKeys(const ConnectionString& text, std::string_view known) {
  for (const ConnectionParameter& parameter : text.parameters) {
    if (!Contains(known, parameter.key)) {
      return UsageError("unknown " + Named(parameter) + " in a '" + text.name + ":' kernel link");
    }
  }
  return {};
}

/// The value of `key` or nullopt; a bare key counts as absent: canonical names print unset parameters that
/// way (2.3).
std::optional<std::string_view> ValueOf(const ConnectionString& text, std::string_view key) {
  const ConnectionParameter* parameter = text.Find(key);
  if (parameter == nullptr || !parameter->value) return std::nullopt;
  return std::string_view(*parameter->value);
}

Result<bool> ReadFlag(const ConnectionString& text, std::string_view key) {
  const ConnectionParameter* parameter = text.Find(key);
  if (parameter == nullptr) return false;
  if (!parameter->value || *parameter->value == "1") return true;
  if (*parameter->value == "0") return false;
  return UsageError(Named(*parameter) + " is a flag; only =1 and =0 may follow");
}

Result<std::uint64_t> ReadNumber(const ConnectionString& text, std::string_view key, std::uint64_t low,
                                 std::uint64_t high, std::uint64_t absent) {
  const auto value = ValueOf(text, key);
  if (!value) return absent;
  const auto number = ParseDecimal(*value, high);
  if (!number || *number < low) {
    return UsageError(Named(*text.Find(key)) + " is not a number from " + std::to_string(low) + " to " +
                      std::to_string(high));
  }
  return *number;
}

bool IsPlainPath(std::string_view path) {
  return path.starts_with('/') && path.size() > 1 && path.size() <= 4096;
}

// ---- com
// ------------------------------------------------------------------------------------------------------------

/// `value` comes from the string or from the environment, `where` says which.
Result<std::string> ReadDevice(std::string_view value, const std::string& where) {
  if (IsPlainPath(value)) return std::string(value);
  std::string lower = LowerCase(value);
  if (lower.starts_with("\\\\.\\")) lower.erase(0, 4);
  if (lower.starts_with("com")) {
    const auto number = ParseDecimal(std::string_view(lower).substr(3), 256);
    if (number && *number > 0) return "/dev/ttyS" + std::to_string(*number - 1);
  }
  if (ParseDecimal(lower, 256)) {
    return UsageError(where + " is a bare number; a kernel link needs the name, for example com" + lower);
  }
  return UsageError(where + " is not a serial port; write com2 or a path such as /dev/ttyS1");
}

/// Any rate: the documented ones end at 115200, but hardware and targets of today take others (250000,
/// 1500000).
Result<std::uint32_t> ReadRate(std::string_view value, const std::string& where) {
  const auto rate = ParseDecimal(value, 0x7fffffff);
  if (rate && *rate >= 50) return static_cast<std::uint32_t>(*rate);
  return UsageError(where + " is not a serial rate; use the target's, for example 115200");
}

Result<std::string> DeviceOf(const ConnectionString& text, const Environment& environment) {
  if (const auto value = ValueOf(text, "port")) return ReadDevice(*value, Named(*text.Find("port")));
  if (const auto variable = environment("_NT_DEBUG_PORT"); variable && !variable->empty()) {
    return ReadDevice(*variable, "the environment variable _NT_DEBUG_PORT");
  }
  return ReadDevice("com1", "");
}

Result<std::uint32_t> RateOf(const ConnectionString& text, const Environment& environment) {
  if (const auto value = ValueOf(text, "baud")) return ReadRate(*value, Named(*text.Find("baud")));
  if (const auto variable = environment("_NT_DEBUG_BAUD_RATE"); variable && !variable->empty()) {
    return ReadRate(*variable, "the environment variable _NT_DEBUG_BAUD_RATE");
  }
  return 115200u;
}

/// `\\HOST\pipe\NAME` or an absolute path.
Result<std::string> ReadVmPipe(std::string_view value, const std::string& where,
                               const Environment& environment) {
  if (IsPlainPath(value)) return std::string(value);
  const std::string shape =
      where +
      " is neither \\\\.\\pipe\\NAME (single-quoted, the shell removes backslashes) nor an absolute path";
  if (!value.starts_with("\\\\")) return UsageError(shape);
  const std::size_t host_end = value.find('\\', 2);
  if (host_end == std::string_view::npos) return UsageError(shape);
  const std::string_view host = value.substr(2, host_end - 2);
  const std::string_view rest = value.substr(host_end + 1);
  if (host.empty() || !LowerCase(rest).starts_with("pipe\\")) return UsageError(shape);
  const std::string_view name = rest.substr(5);
  if (auto checked = CheckPipeName(name); !checked) return UsageError(where + ": " + checked.error().message);
  if (!IsThisMachine(host)) {
    return Error{Errc::kUnsupported,
                 where + " names a pipe of another machine; run kdsrv there and use its kernel link"};
  }
  return PipePath(name, environment);
}

Result<void> Refuse(const ConnectionString& text, std::string_view keys, std::string_view why) {
  for (const ConnectionParameter& parameter : text.parameters) {
    if (Contains(keys, parameter.key)) return UsageError(Named(parameter) + " " + std::string(why));
  }
  return {};
}

Result<void> ReadComFlags(const ConnectionString& text, ComLink& link) {
  Result<bool> reconnect = ReadFlag(text, "reconnect");
  if (!reconnect) return reconnect.error();
  Result<bool> listen = ReadFlag(text, "listen");
  if (!listen) return listen.error();
  Result<std::uint64_t> timeout = ReadNumber(text, "timeout", 100, 600000, 4000);
  if (!timeout) return timeout.error();
  if (const ConnectionParameter* resets = text.Find("resets")) {
    if (resets->value != "0") return UsageError(Named(*resets) + " takes only the value 0 (no limit)");
    link.unlimited_resets = true;
  }
  link.reconnect = *reconnect;
  link.listen = *listen;
  link.timeout_ms = static_cast<std::uint32_t>(*timeout);
  return {};
}

Result<ComLink> ReadTcpSerial(const ConnectionString& text, ComLink link) {
  if (auto refused =
          Refuse(text, " baud resets modem ", "has no meaning for a serial port over TCP (ipport)");
      !refused) {
    return refused.error();
  }
  link.kind = ComLink::Kind::kTcp;
  Result<std::uint64_t> port = ReadNumber(text, "ipport", link.listen ? 0 : 1, 65535, 0);
  if (!port) return port.error();
  const auto value = ValueOf(text, "port");
  std::optional<std::string> host = value ? ReadHostName(*value) : std::nullopt;
  if (!host) {
    return UsageError(
        "a serial port over TCP needs 'port=ADDRESS': with ipport, port is the address of the machine");
  }
  link.host = *std::move(host);
  link.tcp_port = static_cast<std::uint16_t>(*port);
  return link;
}

Result<ComLink> ReadPipeSerial(const ConnectionString& text, ComLink link, const Environment& environment) {
  if (auto refused = Refuse(text, " modem ", "cannot be combined with 'pipe'"); !refused)
    return refused.error();
  link.kind = ComLink::Kind::kPipe;
  // A pipe has no rate; `com:pipe,port=...,baud=115200` is common practice and harmless.
  Result<std::uint32_t> baud = RateOf(text, environment);
  if (!baud && text.Find("baud") != nullptr) return baud.error();
  const auto value = ValueOf(text, "port");
  std::optional<std::string> variable;
  if (!value) variable = environment("_NT_DEBUG_PORT");
  if (!value && !variable)
    return UsageError("a 'com:pipe' link needs 'port=\\\\.\\pipe\\NAME' or 'port=/PATH'");
  const std::string where = value ? Named(*text.Find("port")) : "the environment variable _NT_DEBUG_PORT";
  Result<std::string> path = ReadVmPipe(value ? *value : std::string_view(*variable), where, environment);
  if (!path) return path.error();
  link.path = std::move(*path);
  return link;
}

Result<ComLink> ParseCom(const ConnectionString& text, const Environment& environment) {
  if (auto checked = CheckKeys(text, " port baud pipe resets reconnect ipport modem timeout listen ");
      !checked) {
    return checked.error();
  }
  ComLink link;
  if (auto read = ReadComFlags(text, link); !read) return read.error();
  Result<bool> pipe = ReadFlag(text, "pipe");
  if (!pipe) return pipe.error();
  Result<bool> modem = ReadFlag(text, "modem");
  if (!modem) return modem.error();
  if (const ConnectionParameter* ipport = text.Find("ipport")) {
    if (!ipport->value) return UsageError(Named(*ipport) + " needs a value");
    if (*pipe) return UsageError("'pipe' and 'ipport' cannot be combined");
    return ReadTcpSerial(text, std::move(link));
  }
  if (*pipe) return ReadPipeSerial(text, std::move(link), environment);
  if (auto refused = Refuse(text, " resets reconnect listen ", "needs 'pipe' or 'ipport'"); !refused) {
    return refused.error();
  }
  Result<std::string> device = DeviceOf(text, environment);
  if (!device) return device.error();
  Result<std::uint32_t> baud = RateOf(text, environment);
  if (!baud) return baud.error();
  link.kind = *modem ? ComLink::Kind::kModem : ComLink::Kind::kDevice;
  link.path = std::move(*device);
  link.baud = *baud;
  return link;
}

// ---- net, usb, 1394, exdi
// -------------------------------------------------------------------------------------------

/// A key, or the file that holds one on the machine that opens the link.
Result<void> ReadKey(const ConnectionString& text, NetLink& link) {
  const auto key = ValueOf(text, "key");
  if (!key || key->empty())
    return UsageError("a 'net:' kernel link needs 'key=', the key the target printed, or key=file:/PATH");
  const std::string named = Named(*text.Find("key"));
  if (*key == "*") return UsageError(named + " is the '*' of a printed name; write the key itself");
  if (key->starts_with(kKeyFile)) {
    link.key_file = std::string(key->substr(kKeyFile.size()));
    if (!IsPlainPath(link.key_file)) return UsageError(named + " is not file: and an absolute path");
    return {};
  }
  if (!kdnet::ParseKey(*key))
    return UsageError(named + " is not four groups of 1 to 13 characters a-z 0-9 with dots between");
  link.key = Secret(*key);
  return {};
}

Result<NetLink> ParseNet(const ConnectionString& text) {
  if (auto checked = CheckKeys(text, " port key target "); !checked) return checked.error();
  NetLink link;
  Result<std::uint64_t> port = ReadNumber(text, "port", 1, 65535, kDefaultNetPort);
  if (!port) return port.error();
  if (*port < kLowestNetPort && *port != kDefaultNetPort) {
    return UsageError(Named(*text.Find("port")) +
                      " is not a port from 49152 to 65535 (50000 to 50039 are recommended)");
  }
  link.port = static_cast<std::uint16_t>(*port);
  if (auto read = ReadKey(text, link); !read) return read.error();
  if (const auto target = ValueOf(text, "target")) {
    if (target->empty() || target->size() > 255 ||
        target->find_first_of(" \t/\\") != std::string_view::npos) {
      return UsageError(Named(*text.Find("target")) + " is not a host name or address");
    }
    link.target = std::string(*target);
  }
  return link;
}

Result<UsbLink> ParseUsb(const ConnectionString& text) {
  if (auto checked = CheckKeys(text, " targetname "); !checked) return checked.error();
  const auto name = ValueOf(text, "targetname");
  if (!name || name->empty()) return UsageError("a 'usb:' kernel link needs 'targetname='");
  const bool fits = name->size() <= 24 && std::all_of(name->begin(), name->end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                             c == '-' || c == '_';
                    });
  if (!fits || LowerCase(*name).find("debug") != std::string::npos) {
    return UsageError(Named(*text.Find("targetname")) +
                      " is not a target name: at most 24 of A-Z a-z 0-9 - _, without the word debug");
  }
  return UsbLink{std::string(*name)};
}

Result<FirewireLink> ParseFirewire(const ConnectionString& text, const Environment& environment) {
  if (auto checked = CheckKeys(text, " channel symlink "); !checked) return checked.error();
  FirewireLink link;
  const auto channel_variable = environment("_NT_DEBUG_1394_CHANNEL");
  Result<std::uint64_t> channel = ReadNumber(text, "channel", 0, 62, 0);
  if (!channel) return channel.error();
  if (!ValueOf(text, "channel") && channel_variable && !channel_variable->empty()) {
    const auto number = ParseDecimal(*channel_variable, 62);
    if (!number)
      return UsageError("the environment variable _NT_DEBUG_1394_CHANNEL is not a number from 0 to 62");
    *channel = *number;
  }
  link.channel = static_cast<std::uint8_t>(*channel);
  const auto symlink = ValueOf(text, "symlink");
  link.symlink = LowerCase(symlink ? *symlink : environment("_NT_DEBUG_1394_SYMLINK").value_or(""));
  if (!link.symlink.empty() && link.symlink != "channel" && link.symlink != "instance") {
    return UsageError(symlink
                          ? Named(*text.Find("symlink")) + " takes only channel or instance"
                          : "the environment variable _NT_DEBUG_1394_SYMLINK takes only channel or instance");
  }
  return link;
}

Result<void> ReadStub(const ConnectionString& text, ExdiLink& link) {
  const auto stub = ValueOf(text, "gdb");
  if (!stub) return UsageError("an 'exdi:' link needs 'gdb=HOST:PORT', the address of the gdb stub");
  if (IsPlainPath(*stub)) {
    link.host = std::string(*stub);
    return {};
  }
  const std::size_t colon = stub->rfind(':');
  std::optional<std::string> host = ReadHostName(stub->substr(0, colon));
  const auto port =
      colon == std::string_view::npos ? std::nullopt : ParseDecimal(stub->substr(colon + 1), 65535);
  if (!port || *port == 0 || !host) {
    return UsageError(Named(*text.Find("gdb")) + " is not HOST:PORT");
  }
  link.host = *std::move(host);
  link.port = static_cast<std::uint16_t>(*port);
  return {};
}

/// `allowed` are the values with blanks around; the first is the default.
Result<std::string> ReadChoice(const ConnectionString& text, std::string_view key, std::string_view allowed) {
  const auto value = ValueOf(text, key);
  if (!value) return std::string(allowed.substr(1, allowed.find(' ', 1) - 1));
  std::string lower = LowerCase(*value);
  if (Contains(allowed, lower)) return lower;
  return UsageError(Named(*text.Find(key)) + " takes one of" +
                    std::string(allowed.substr(0, allowed.size() - 1)));
}

Result<ExdiLink> ParseExdi(const ConnectionString& text) {
  ExdiLink link;
  if (auto read = ReadStub(text, link); !read) return read.error();
  Result<std::string> arch = ReadChoice(text, "arch", " x64 arm64 x86 ");
  Result<std::string> os = ReadChoice(text, "os", " windows linux ");
  Result<std::string> kd = ReadChoice(text, "kd", " guess ntbaseaddr ");
  Result<std::string> breaks = ReadChoice(text, "break", " on off ");
  for (const auto* choice : {&arch, &os, &kd, &breaks}) {
    if (!*choice) return choice->error();
  }
  link.arch = *arch;
  link.os = *os;
  link.kd = *kd;
  link.data_breaks = *breaks == "on";
  for (const ConnectionParameter& parameter : text.parameters) {
    if (Contains(" gdb arch os kd break ", parameter.key)) continue;
    link.note += (link.note.empty() ? "ignored: " : ", ") + parameter.key;
  }
  return link;
}

/// `gdb:server=HOST,port=N[,...]`, the plain spelling of a stub's address (2.12) with the other keys of exdi.
Result<ExdiLink> ParseGdb(ConnectionString text) {
  if (auto checked = CheckKeys(text, " server port arch os kd break "); !checked) return checked.error();
  const auto server = ValueOf(text, "server");
  if (!server || server->empty())
    return UsageError("a 'gdb:' kernel link needs 'server=HOST', the machine of the gdb stub");
  Result<std::uint64_t> port = ReadNumber(text, "port", 1, 65535, 0);
  if (!port) return port.error();
  const bool path = IsPlainPath(*server) && !server->starts_with("//");
  if (!path && *port == 0) return UsageError("a 'gdb:' kernel link needs 'port=N', the port of the gdb stub");
  const std::string host(StripHostSlashes(*server));
  const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  ConnectionParameter stub;
  stub.key = "gdb";
  stub.value = path ? host : (bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(*port);
  std::erase_if(text.parameters, [](const ConnectionParameter& parameter) {
    return parameter.key == "server" || parameter.key == "port";
  });
  text.parameters.push_back(std::move(stub));
  return ParseExdi(text);
}

Result<ReplayLink> ParseReplay(const ConnectionString& text) {
  if (auto checked = CheckKeys(text, " file speed "); !checked) return checked.error();
  ReplayLink link;
  const auto file = ValueOf(text, "file");
  if (!file || !IsPlainPath(*file))
    return UsageError("a 'replay:' link needs 'file=/PATH', a recording on the machine that serves the link");
  link.file = std::string(*file);
  if (const auto speed = ValueOf(text, "speed")) {
    const auto end = speed->data() + speed->size();
    const auto read = std::from_chars(speed->data(), end, link.speed);
    if (read.ec != std::errc() || read.ptr != end || !(link.speed >= 0 && link.speed <= 1000))
      return UsageError(Named(*text.Find("speed")) + " is not a number from 0 (no waiting) to 1000");
  }
  return link;
}

Result<DumpLink> ParseDump(const ConnectionString& text) {
  if (auto checked = CheckKeys(text, " file "); !checked) return checked.error();
  const auto file = ValueOf(text, "file");
  if (!file || !IsPlainPath(*file))
    return UsageError("a 'dump:' link needs 'file=/PATH', a crash dump on the machine that serves the link");
  return DumpLink{std::string(*file)};
}

template <class T>
Result<KernelLink> Widen(Result<T> link) {
  if (!link) return link.error();
  return KernelLink(std::move(*link));
}

// ---- printing
// -------------------------------------------------------------------------------------------------------

struct Printer {
  std::string operator()(const ComLink& link) const {
    std::string text = "COM:";
    const std::string place = ",Port=" + QuoteValue(link.kind == ComLink::Kind::kTcp ? link.host : link.path);
    switch (link.kind) {
      case ComLink::Kind::kDevice: text += place.substr(1); break;
      case ComLink::Kind::kModem: text += "Modem" + place; break;
      case ComLink::Kind::kPipe: text += "Pipe" + place; break;
      case ComLink::Kind::kTcp: text += "IpPort=" + std::to_string(link.tcp_port) + place; break;
    }
    const bool has_rate = link.kind == ComLink::Kind::kDevice || link.kind == ComLink::Kind::kModem;
    if (has_rate) text += ",Baud=" + std::to_string(link.baud);
    if (link.unlimited_resets) text += ",Resets=0";
    if (link.reconnect) text += ",Reconnect";
    if (link.listen) text += ",Listen";
    return text + ",Timeout=" + std::to_string(link.timeout_ms);
  }
  std::string operator()(const NetLink& link) const {
    return "NET:Port=" + std::to_string(link.port) +
           ",Key=" + (link.key_file.empty() ? "*" : QuoteValue(std::string(kKeyFile) + link.key_file)) +
           ",Target" + (link.target.empty() ? std::string() : "=" + QuoteValue(link.target));
  }
  std::string operator()(const UsbLink& link) const { return "USB:TargetName=" + link.target_name; }
  std::string operator()(const FirewireLink& link) const {
    return "1394:Channel=" + std::to_string(link.channel) +
           (link.symlink.empty() ? std::string() : ",Symlink=" + link.symlink);
  }
  std::string operator()(const ExdiLink& link) const {
    // Without a port it is the path of a socket, which may hold colons, too.
    const bool v6 = link.port != 0 && link.host.find(':') != std::string::npos;
    const std::string port = link.port == 0 ? std::string() : ":" + std::to_string(link.port);
    return "EXDI:Gdb=" + QuoteValue((v6 ? "[" + link.host + "]" : link.host) + port) + ",Arch=" + link.arch +
           ",Os=" + link.os + ",Kd=" + link.kd + (link.data_breaks ? ",Break=on" : ",Break=off");
  }
  std::string operator()(const DumpLink& link) const { return "DUMP:File=" + QuoteValue(link.file); }
  std::string operator()(const ReplayLink& link) const {
    char speed[32];
    const auto end = std::to_chars(speed, speed + sizeof(speed), link.speed).ptr;
    return "REPLAY:File=" + QuoteValue(link.file) +
           (link.speed > 0 ? ",Speed=" + std::string(speed, end) : std::string());
  }
};

}  // namespace

Result<KernelLink> ParseKernelLink(std::string_view text, const Environment& environment) {
  if (TrimBlanks(text).empty()) {
    const std::string bus = LowerCase(environment("_NT_DEBUG_BUS").value_or(""));
    if (!bus.empty() && bus != "1394" && bus != "serial" && bus != "com") {
      return UsageError("the environment variable _NT_DEBUG_BUS takes only 1394 or serial");
    }
    return ParseKernelLink(bus == "1394" ? "1394:" : "com:", environment);
  }
  Result<ConnectionString> parsed = ParseConnectionString(text);
  if (!parsed) return parsed.error();
  if (parsed->name == "com") return Widen(ParseCom(*parsed, environment));
  if (parsed->name == "net") return Widen(ParseNet(*parsed));
  if (parsed->name == "usb" || parsed->name == "usb2") return Widen(ParseUsb(*parsed));
  if (parsed->name == "1394") return Widen(ParseFirewire(*parsed, environment));
  if (parsed->name == "exdi") return Widen(ParseExdi(*parsed));
  if (parsed->name == "gdb") return Widen(ParseGdb(std::move(*parsed)));
  if (parsed->name == "dump") return Widen(ParseDump(*parsed));
  if (parsed->name == "replay") return Widen(ParseReplay(*parsed));
  return UsageError("unknown kernel link '" + parsed->name +
                    "'; use com, net, usb, 1394, exdi, gdb, dump, replay or kdsrv");
}

std::string FormatKernelLink(const KernelLink& link) { return std::visit(Printer{}, link); }

}  // namespace longwire

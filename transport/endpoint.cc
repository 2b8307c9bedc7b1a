#include "transport/endpoint.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

#include "transport/connection_string.h"
#include "transport/endpoint_password.h"
#include "transport/endpoint_pipe.h"

namespace longwire {
namespace {

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

/// One row of the tables of 2.5. Keys are separated and surrounded by blanks. Certificates have rules of
/// their own.
struct Form {
  std::string_view protocol_name;
  Protocol protocol;
  bool reverse;
  std::string_view label;
  std::string_view required;
  std::string_view optional;
};

constexpr std::array<Form, 7> kServerForms{{
    {"npipe", Protocol::kNamedPipe, false, "an npipe server", " pipe ",
     " hidden password icfenable pool note "},
    {"tcp", Protocol::kTcp, false, "a tcp server", " port ",
     " hidden password ipversion icfenable pool note "},
    {"tcp", Protocol::kTcp, true, "a reverse tcp server", " port clicon ",
     " password ipversion connecttimeout retry "},
    {"com", Protocol::kCom, false, "a com server", " port baud channel ", " hidden password pool note "},
    {"spipe", Protocol::kSecurePipe, false, "an spipe server", " proto pipe ",
     " certuser machuser hidden password pool note "},
    {"ssl", Protocol::kSsl, false, "an ssl server", " proto port ",
     " certuser machuser hidden password pool note "},
    {"ssl", Protocol::kSsl, true, "a reverse ssl server", " proto port clicon ",
     " certuser machuser password connecttimeout retry "},
}};

constexpr std::array<Form, 7> kClientForms{{
    {"npipe", Protocol::kNamedPipe, false, "an npipe client", " server pipe ",
     " password connecttimeout hidden "},
    {"tcp", Protocol::kTcp, false, "a tcp client", " server port ",
     " password ipversion connecttimeout hidden "},
    {"tcp", Protocol::kTcp, true, "a reverse tcp client", " clicon port ",
     " password ipversion connecttimeout hidden "},
    {"com", Protocol::kCom, false, "a com client", " port baud channel ", " password connecttimeout hidden "},
    {"spipe", Protocol::kSecurePipe, false, "an spipe client", " proto server pipe ",
     " certuser machuser verify password connecttimeout hidden "},
    {"ssl", Protocol::kSsl, false, "an ssl client", " proto server port ",
     " certuser machuser verify password connecttimeout hidden "},
    {"ssl", Protocol::kSsl, true, "a reverse ssl client", " proto clicon port ",
     " certuser machuser verify password connecttimeout hidden "},
}};

constexpr std::array<Form, 4> kRepeaterServerForms{{
    {"npipe", Protocol::kNamedPipe, false, "a repeater's npipe server", " pipe ",
     " hidden password icfenable "},
    {"tcp", Protocol::kTcp, false, "a repeater's tcp server", " port ", " hidden password icfenable "},
    {"tcp", Protocol::kTcp, true, "a repeater's reverse tcp server", " port clicon ",
     " password connecttimeout retry "},
    {"com", Protocol::kCom, false, "a repeater's com server", " port baud channel ", " hidden password "},
}};

constexpr std::string_view kAllKeys =
    " pipe port baud channel server clicon password hidden ipversion icfenable proto certuser machuser "
    "verify connecttimeout retry pool note ";

bool Lists(std::string_view keys, std::string_view key) {
  return !key.empty() && keys.find(" " + std::string(key) + " ") != std::string_view::npos;
}

bool IsSecure(Protocol protocol) { return protocol == Protocol::kSsl || protocol == Protocol::kSecurePipe; }

std::string Named(const ConnectionParameter& parameter) {
  return "key '" + parameter.key + "' at position " + std::to_string(parameter.position);
}

Error NotAllowed(const ConnectionParameter& parameter, const Form& form, EndpointSide side) {
  std::string message = Named(parameter) + " is not allowed in the string of " + std::string(form.label);
  const bool listed = parameter.key == "hidden" || parameter.key == "pool" || parameter.key == "note";
  if (form.reverse && side == EndpointSide::kServer && listed)
    message += ": a reverse server is never listed";
  if (form.reverse && parameter.key == "server") message += ": clicon takes its place";
  if (!form.reverse && parameter.key == "server" && side == EndpointSide::kServer) {
    message += ": it listens on this machine";
  }
  return UsageError(std::move(message));
}

Result<void> CheckKeys(const ConnectionString& text, const Form& form, EndpointSide side) {
  for (const ConnectionParameter& parameter : text.parameters) {
    if (Lists(form.required, parameter.key) || Lists(form.optional, parameter.key)) continue;
    if (Lists(kAllKeys, parameter.key)) return NotAllowed(parameter, form, side);
    return UsageError("unknown " + Named(parameter) + " in the string of " + std::string(form.label));
  }
  std::size_t from = 1;
  while (from < form.required.size()) {
    const std::size_t end = form.required.find(' ', from);
    const std::string key(form.required.substr(from, end - from));
    if (text.Find(key) == nullptr) {
      std::string message = "the string of " + std::string(form.label) + " needs '" + key + "='";
      if (key == "server" && form.protocol != Protocol::kNamedPipe &&
          form.protocol != Protocol::kSecurePipe) {
        message += " (or 'clicon=' for a reverse connection)";
      }
      return UsageError(std::move(message));
    }
    from = end + 1;
  }
  return {};
}

Result<std::string_view> RequireValue(const ConnectionParameter& parameter) {
  if (!parameter.value || parameter.value->empty()) return UsageError(Named(parameter) + " needs a value");
  return std::string_view(*parameter.value);
}

Result<bool> ReadFlag(const ConnectionParameter& parameter) {
  if (!parameter.value || *parameter.value == "1") return true;
  if (*parameter.value == "0") return false;
  return UsageError(Named(parameter) + " is a flag; only =1 and =0 may follow");
}

Result<std::string> ReadHost(const ConnectionParameter& parameter) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  if (parameter.key == "clicon" && *value == "*") return std::string("*");
  std::optional<std::string> host = ReadHostName(*value);
  if (!host) return UsageError(Named(parameter) + " does not hold a host name or address");
  return *std::move(host);
}

Result<PortRange> ReadPort(const ConnectionParameter& parameter, const Form& form, EndpointSide side) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  const std::size_t colon = value->find(':');
  const bool range = colon != std::string_view::npos;
  const auto first = ParseDecimal(value->substr(0, colon), 65535);
  const auto last = range ? ParseDecimal(value->substr(colon + 1), 65535) : first;
  if (!first || !last) {
    return UsageError(Named(parameter) + " is not a port 0 to 65535" +
                      (range ? " or a range LOW:HIGH of them" : ""));
  }
  if (*first > *last)
    return UsageError(Named(parameter) + " is a reversed range; write the lower port first");
  if (range && *first == 0)
    return UsageError(Named(parameter) + " is a range that starts at 0; start at 1 or write port=0");
  PortRange ports{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
  const bool dials = (side == EndpointSide::kServer) == form.reverse;
  if (!dials) return ports;
  if (side == EndpointSide::kServer && range) {
    return UsageError(Named(parameter) + " is a range, but a reverse server needs one exact port");
  }
  if (ports.first == 0)
    return UsageError(Named(parameter) + " is 0; write the port the other side listens on");
  // A listing shows 53:60 for a server that tried a range; the first number is the one in use.
  ports.last = ports.first;
  return ports;
}

Result<std::string> ReadDevice(const ConnectionParameter& parameter) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  if (value->starts_with("/")) return std::string(*value);
  const std::string lower = LowerCase(*value);
  const auto number = ParseDecimal(lower.starts_with("com") ? std::string_view(lower).substr(3) : lower, 256);
  if (!number || *number == 0) {
    return UsageError(Named(parameter) + " is not a serial port; write com1, 1 or a path such as /dev/ttyS0");
  }
  return "/dev/ttyS" + std::to_string(*number - 1);
}

Result<std::string> ReadProto(const ConnectionParameter& parameter) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  std::string proto = LowerCase(*value);
  if (proto == "tls1" || proto == "tls1.2" || proto == "tls1.3") return proto;
  if (proto == "pct1" || proto == "ssl2" || proto == "ssl3") {
    return UsageError("proto=" + proto + " is insecure and not offered; use proto=tls1");
  }
  return UsageError(Named(parameter) + " names no known protocol; use tls1, tls1.2 or tls1.3");
}

template <class T>
Result<void> ReadNumber(const ConnectionParameter& parameter, std::uint64_t low, std::uint64_t high, T& out) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  const auto number = ParseDecimal(*value, high);
  if (!number || *number < low) {
    return UsageError(Named(parameter) + " is not a number from " + std::to_string(low) + " to " +
                      std::to_string(high));
  }
  out = static_cast<T>(*number);
  return {};
}

template <class T, class U>
Result<void> Store(Result<T> value, U& out) {
  if (!value) return value.error();
  out = std::move(*value);
  return {};
}

void AddWarning(Endpoint& endpoint, std::string_view warning) {
  if (warning.empty()) return;
  if (!endpoint.warning.empty()) endpoint.warning += "; ";
  endpoint.warning += warning;
}

Result<void> ReadPassword(const ConnectionParameter& parameter, Endpoint& endpoint) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  Result<ResolvedPassword> resolved = ResolvePassword(*value, ProcessEnvironment());
  if (!resolved) return resolved.error();
  if (resolved->secret.empty() && endpoint.side == EndpointSide::kServer) {
    return UsageError(Named(parameter) +
                      " holds the '*' of a listing; write the password itself, env:VAR or file:PATH");
  }
  endpoint.password = std::move(resolved->secret);
  AddWarning(endpoint, resolved->warning);
  return {};
}

Result<void> ReadPipe(const ConnectionParameter& parameter, Endpoint& endpoint) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  auto checked = endpoint.side == EndpointSide::kServer ? CheckPipePattern(*value) : CheckPipeName(*value);
  if (!checked) return checked.error();
  endpoint.pipe = std::string(*value);
  return {};
}

Result<void> ReadHidden(const ConnectionParameter& parameter, Endpoint& endpoint) {
  Result<bool> flag = ReadFlag(parameter);
  if (!flag) return flag.error();
  if (endpoint.side == EndpointSide::kServer) {
    endpoint.hidden = *flag;
  } else {
    AddWarning(endpoint, "'hidden' has no meaning on the client side and is ignored");
  }
  return {};
}

Result<void> ReadCertificate(const ConnectionParameter& parameter, Endpoint& endpoint) {
  Result<std::string_view> value = RequireValue(parameter);
  if (!value) return value.error();
  (parameter.key == "certuser" ? endpoint.certuser : endpoint.machuser) = std::string(*value);
  return {};
}

Result<void> ReadVerify(const ConnectionParameter& parameter, Endpoint& endpoint) {
  if (!parameter.value || LowerCase(*parameter.value) != "none") {
    return UsageError(Named(parameter) + " takes only the value none");
  }
  endpoint.verify_none = true;
  return {};
}

Result<void> ReadParameter(const ConnectionParameter& parameter, const Form& form, Endpoint& endpoint) {
  const std::string& key = parameter.key;
  if (key == "port" && form.protocol == Protocol::kCom) return Store(ReadDevice(parameter), endpoint.device);
  if (key == "port") return Store(ReadPort(parameter, form, endpoint.side), endpoint.port);
  if (key == "pipe") return ReadPipe(parameter, endpoint);
  if (key == "baud") return ReadNumber(parameter, 50, 4000000, endpoint.baud);
  if (key == "channel") return ReadNumber(parameter, 0, 254, endpoint.channel);
  if (key == "server") return Store(ReadHost(parameter), endpoint.server);
  if (key == "clicon") return Store(ReadHost(parameter), endpoint.clicon);
  if (key == "password") return ReadPassword(parameter, endpoint);
  if (key == "hidden") return ReadHidden(parameter, endpoint);
  if (key == "icfenable") return Store(ReadFlag(parameter), endpoint.icf_enable);
  if (key == "proto") return Store(ReadProto(parameter), endpoint.proto);
  if (key == "certuser" || key == "machuser") return ReadCertificate(parameter, endpoint);
  if (key == "pool" || key == "note") {
    Result<std::string_view> text = RequireValue(parameter);
    if (!text) return text.error();
    (key == "pool" ? endpoint.pool : endpoint.note) = std::string(*text);
    return {};
  }
  if (key == "verify") return ReadVerify(parameter, endpoint);
  if (key == "ipversion") {
    int version = 0;
    auto read = ReadNumber(parameter, 4, 6, version);
    if (!read || version == 5) return UsageError(Named(parameter) + " takes only 4 or 6");
    endpoint.ip_version = version;
    return {};
  }
  std::uint32_t seconds = 0;
  auto read = ReadNumber(parameter, key == "retry" ? 0 : 1, 86400, seconds);
  if (!read) return read.error();
  (key == "retry" ? endpoint.retry_seconds : endpoint.connect_timeout_seconds) = seconds;
  return {};
}

Result<void> CheckCertificates(const Form& form, const Endpoint& endpoint) {
  if (!IsSecure(form.protocol)) return {};
  const int given = (endpoint.certuser ? 1 : 0) + (endpoint.machuser ? 1 : 0);
  if (given > 1) return UsageError("both 'certuser' and 'machuser' are given; give exactly one of them");
  if (endpoint.verify_none && given == 1)
    return UsageError("'verify=none' contradicts a certificate; leave one out");
  if (given == 1 || endpoint.verify_none) return {};
  std::string message = "the string of " + std::string(form.label) + " needs 'certuser=' or 'machuser='";
  if (endpoint.side == EndpointSide::kClient)
    message += "; verify=none connects without checking who answers";
  return UsageError(std::move(message));
}

std::string ProtocolNames(std::span<const Form> forms) {
  std::string names;
  for (const Form& form : forms) {
    if (form.reverse) continue;
    if (!names.empty()) names += ", ";
    names += form.protocol_name;
  }
  return names;
}

Result<Endpoint> Parse(std::string_view text, EndpointSide side, std::span<const Form> forms) {
  Result<ConnectionString> parsed = ParseConnectionString(text);
  if (!parsed) return parsed.error();
  const bool reverse = parsed->Find("clicon") != nullptr;
  const Form* chosen = nullptr;
  for (const Form& form : forms) {
    if (form.protocol_name != parsed->name) continue;
    // Without a reverse row the listening row stays chosen and refuses clicon by name.
    if (chosen == nullptr || form.reverse == reverse) chosen = &form;
  }
  if (chosen == nullptr) {
    return UsageError("unknown protocol '" + parsed->name + "'; use one of " + ProtocolNames(forms));
  }
  if (auto checked = CheckKeys(*parsed, *chosen, side); !checked) return checked.error();
  Endpoint endpoint;
  endpoint.protocol = chosen->protocol;
  endpoint.side = side;
  for (const ConnectionParameter& parameter : parsed->parameters) {
    if (auto read = ReadParameter(parameter, *chosen, endpoint); !read) return read.error();
  }
  if (auto checked = CheckCertificates(*chosen, endpoint); !checked) return checked.error();
  return endpoint;
}

/// The protocol name of `text`, lower case, without checking the rest.
std::string NameOf(std::string_view text) {
  const std::size_t colon = text.find(':');
  return colon == std::string_view::npos ? std::string() : LowerCase(TrimBlanks(text.substr(0, colon)));
}

Result<void> RefuseSecureRelay(std::string_view text) {
  const std::string name = NameOf(text);
  if (name == "ssl") return UsageError("a repeater does not speak ssl; relay ssl traffic with tcp");
  if (name == "spipe") return UsageError("a repeater does not speak spipe; relay spipe traffic with npipe");
  return {};
}

void Append(std::string& text, std::string_view key, std::string_view value) {
  // Not ends_with(':'): a value may end so as well.
  if (text.find(':') + 1 != text.size()) text += ',';
  text += key;
  if (!value.empty()) text += "=" + QuoteValue(value);
}

void AppendPlace(std::string& text, const Endpoint& endpoint) {
  switch (endpoint.protocol) {
    case Protocol::kTcp:
    case Protocol::kSsl: {
      std::string port = std::to_string(endpoint.port.first);
      if (endpoint.port.last != endpoint.port.first) port += ":" + std::to_string(endpoint.port.last);
      Append(text, "Port", port);
      break;
    }
    case Protocol::kNamedPipe:
    case Protocol::kSecurePipe: Append(text, "Pipe", endpoint.pipe); break;
    case Protocol::kCom:
      Append(text, "Port", endpoint.device);
      Append(text, "Baud", std::to_string(endpoint.baud));
      Append(text, "Channel", std::to_string(endpoint.channel));
      break;
  }
  if (!endpoint.server.empty()) Append(text, "Server", endpoint.server);
  if (endpoint.clicon) Append(text, "CliCon", *endpoint.clicon);
}

}  // namespace

Result<Endpoint> ParseServerEndpoint(std::string_view text) {
  return Parse(text, EndpointSide::kServer, kServerForms);
}

Result<Endpoint> ParseClientEndpoint(std::string_view text) {
  if (NameOf(text) == "gdb") {
    return Error{Errc::kUnsupported, "gdb: connections to a gdbserver are not supported yet"};
  }
  return Parse(text, EndpointSide::kClient, kClientForms);
}

Result<Endpoint> ParseRepeaterServerEndpoint(std::string_view text) {
  if (auto checked = RefuseSecureRelay(text); !checked) return checked.error();
  return Parse(text, EndpointSide::kServer, kRepeaterServerForms);
}

Result<Endpoint> ParseRepeaterClientEndpoint(std::string_view text) {
  if (auto checked = RefuseSecureRelay(text); !checked) return checked.error();
  Result<Endpoint> endpoint = Parse(text, EndpointSide::kClient, std::span(kClientForms).first<4>());
  if (!endpoint) return endpoint.error();
  if (endpoint->password) {
    endpoint->password.reset();
    AddWarning(*endpoint, "a repeater needs no password on its client side; the one given is ignored");
  }
  return endpoint;
}

Result<void> CheckRepeaterSides(const Endpoint& server, const Endpoint& client) {
  if (server.protocol == Protocol::kCom && client.protocol == Protocol::kCom &&
      server.device == client.device) {
    return UsageError("both sides of the repeater use the same serial port " + server.device);
  }
  return {};
}

std::string FormatEndpoint(const Endpoint& endpoint) {
  static constexpr std::array<std::string_view, 5> kNames{"npipe:", "tcp:", "com:", "spipe:", "ssl:"};
  std::string text(kNames[static_cast<std::size_t>(endpoint.protocol)]);
  if (!endpoint.proto.empty()) Append(text, "Proto", endpoint.proto);
  if (endpoint.certuser) Append(text, "CertUser", *endpoint.certuser);
  if (endpoint.machuser) Append(text, "MachUser", *endpoint.machuser);
  if (endpoint.verify_none) Append(text, "Verify", "none");
  AppendPlace(text, endpoint);
  if (endpoint.hidden) Append(text, "Hidden", "");
  if (endpoint.icf_enable) Append(text, "IcfEnable", "");
  if (endpoint.ip_version) Append(text, "IpVersion", std::to_string(*endpoint.ip_version));
  if (endpoint.connect_timeout_seconds)
    Append(text, "ConnectTimeout", std::to_string(*endpoint.connect_timeout_seconds));
  if (endpoint.retry_seconds) Append(text, "Retry", std::to_string(*endpoint.retry_seconds));
  if (endpoint.password) Append(text, "Password", "*");
  return text;
}

}  // namespace longwire

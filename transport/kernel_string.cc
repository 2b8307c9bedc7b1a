#include "transport/kernel_string.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "transport/connection_string.h"

namespace longwire {
namespace {

constexpr std::string_view kLocalServer = "<local>";

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

std::string NameOf(std::string_view text) {
  const std::size_t colon = text.find(':');
  return colon == std::string_view::npos ? std::string() : LowerCase(TrimBlanks(text.substr(0, colon)));
}

bool IsOpenBracket(char c) { return c == '{' || c == '<' || c == '(' || c == '['; }

Error LostBracesError(std::string_view text) {
  const std::array<std::string, 1> words{std::string(text)};
  return UsageError("the shell removed the braces of the kernel string; quote it: kd -k " +
                    ShellQuote(RestoreBraces(words)));
}

/// What stands in `@{...}` after `key`; an error if it is written otherwise.
Result<std::string> NestedValue(const ConnectionString& text, std::string_view key) {
  const ConnectionParameter* parameter = text.Find(key);
  if (parameter->nested) return *parameter->value;
  return UsageError("key '" + std::string(key) + "' at position " + std::to_string(parameter->position) +
                    " must be nested: write " + std::string(key) + "=@{...}");
}

Result<void> CheckTrans(std::string_view trans) {
  if (NameOf(trans) == "kdsrv") return UsageError("a kdsrv: string cannot stand inside another one");
  // Defaults come from the environment of whoever opens the link, so here a port that fits every kind of link
  // stands in. A VM pipe of another machine (kUnsupported here) may be the KD connection server's own.
  const Environment stand_in = [](const std::string& name) -> std::optional<std::string> {
    if (name == "_NT_DEBUG_PORT") return "/dev/ttyS0";
    return std::nullopt;
  };
  Result<KernelLink> link = ParseKernelLink(trans, stand_in);
  if (!link && link.error().code == Errc::kUsage) return link.error();
  return {};
}

Result<KernelString> ParseServerForm(std::string_view text) {
  if (LostBraces(text)) return LostBracesError(text);
  Result<ConnectionString> parsed = ParseConnectionString(text);
  for (const std::string_view key : {"server", "trans"}) {
    // Without its brackets a server string falls apart at its commas; the message about that comes first.
    const std::size_t at = LowerCase(text).find(std::string(key) + "=");
    if (!parsed && at != std::string_view::npos) {
      const std::string_view value = TrimBlanks(text.substr(at + key.size() + 1));
      if (!value.empty() && value.front() != '@') {
        return UsageError("key '" + std::string(key) + "' at position " + std::to_string(at + 1) +
                          " must be nested: write " + std::string(key) + "=@{...}");
      }
    }
  }
  if (!parsed) return parsed.error();
  if (parsed->Find("server") == nullptr) {
    return UsageError("a kdsrv: string needs 'server=@{...}', the way to the KD connection server");
  }
  Result<std::string> server = NestedValue(*parsed, "server");
  if (!server) return server.error();
  std::string trans;
  if (parsed->Find("trans") != nullptr) {
    Result<std::string> nested = NestedValue(*parsed, "trans");
    if (!nested) return nested.error();
    trans = std::move(*nested);
  }
  for (const ConnectionParameter& parameter : parsed->parameters) {
    if (parameter.key == "server" || parameter.key == "trans") continue;
    return UsageError("unknown key '" + parameter.key + "' at position " +
                      std::to_string(parameter.position) +
                      " in a kdsrv: string; it takes server=@{...} and trans=@{...}");
  }
  if (auto checked = CheckTrans(trans); !checked)
    return UsageError("in trans=@{...}: " + checked.error().message);
  KernelString kernel;
  kernel.trans = std::move(trans);
  if (LowerCase(TrimBlanks(*server)) == kLocalServer) return kernel;
  Result<Endpoint> endpoint = ParseClientEndpoint(*server);
  if (!endpoint) return Error{endpoint.error().code, "in server=@{...}: " + endpoint.error().message};
  kernel.server = std::move(*endpoint);
  return kernel;
}

/// `COM:Port=com1,Baud=57600`: the text as given, but with the spelling of a printed name and secrets masked.
std::string PrintAsGiven(std::string_view trans) {
  Result<ConnectionString> parsed = ParseConnectionString(trans);
  if (!parsed) return "COM:";
  static constexpr std::array<std::string_view, 16> kSpelling{
      "Port",   "Baud", "Pipe",   "Resets",     "Reconnect", "IpPort",  "Modem", "Timeout",
      "Listen", "Key",  "Target", "TargetName", "Channel",   "Symlink", "Gdb",   "Arch"};
  std::string text = parsed->name;
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  text += ':';
  for (const ConnectionParameter& parameter : parsed->parameters) {
    if (text.find(':') + 1 != text.size()) text += ',';
    const auto* spelled = std::find_if(kSpelling.begin(), kSpelling.end(),
                                       [&](std::string_view s) { return LowerCase(s) == parameter.key; });
    text += spelled == kSpelling.end() ? parameter.key : std::string(*spelled);
    if (parameter.value)
      text += "=" + (parameter.key == "key" ? std::string("*") : QuoteValue(*parameter.value));
  }
  return text;
}

void AddOnce(std::vector<std::string>& parts, std::string part) {
  if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(std::move(part));
}

std::string JoinMasked(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) {
    if (!joined.empty()) joined += ',';
    const std::string lower = LowerCase(part);
    std::size_t masked_from = std::string::npos;
    for (const std::string_view key : {"password=", "key="}) {
      const std::size_t at = lower.find(key);
      if (at != std::string::npos) masked_from = std::min(masked_from, at + key.size());
    }
    joined += masked_from == std::string::npos ? part : part.substr(0, masked_from) + "*";
  }
  return joined;
}

}  // namespace

bool LostBraces(std::string_view word) {
  if (NameOf(word) != "kdsrv") return false;
  for (std::size_t at = word.find('@'); at != std::string_view::npos; at = word.find('@', at + 1)) {
    const bool starts_value = word[at - 1] == '=';
    if (starts_value && (at + 1 == word.size() || !IsOpenBracket(word[at + 1]))) return true;
  }
  return false;
}

std::string RestoreBraces(std::span<const std::string> words) {
  // Expansion writes every combination of the parts of the brace pairs: collecting each part once, in order
  // of appearance, gives the pairs back.
  std::vector<std::string> server, trans;
  for (const std::string& word : words) {
    if (!LostBraces(word)) break;
    const std::string lower = LowerCase(word);
    const std::size_t server_at = lower.find("server=@");
    const std::size_t trans_at = lower.find("trans=@");
    const auto part = [&](std::size_t at, std::size_t key_size, std::size_t other) {
      const std::size_t from = at + key_size;
      const std::size_t end = other != std::string::npos && other > at ? other - 1 : word.size();
      std::string text = word.substr(from, end - std::min(end, from));
      if (text.size() >= 2 && text.front() == '{' && text.back() == '}')
        text = text.substr(1, text.size() - 2);
      return text;
    };
    if (server_at != std::string::npos) AddOnce(server, part(server_at, 8, trans_at));
    if (trans_at != std::string::npos) AddOnce(trans, part(trans_at, 7, server_at));
  }
  return "kdsrv:server=@{" + JoinMasked(server) + "},trans=@{" + JoinMasked(trans) + "}";
}

Result<KernelString> ParseKernelString(std::string_view text) {
  text = TrimBlanks(text);
  if (text.empty()) return KernelString{};
  if (NameOf(text) == "kdsrv") return ParseServerForm(text);
  if (auto checked = CheckTrans(text); !checked) return checked.error();
  KernelString kernel;
  kernel.trans = std::string(text);
  return kernel;
}

std::string FormatSessionName(const KernelString& kernel, const Environment& environment) {
  std::string trans;
  if (kernel.server) {
    trans = kernel.trans.empty() ? std::string() : PrintAsGiven(kernel.trans);
  } else {
    Result<KernelLink> link = ParseKernelLink(kernel.trans, environment);
    trans = link ? FormatKernelLink(*link) : PrintAsGiven(kernel.trans);
  }
  const std::string server = kernel.server ? FormatEndpoint(*kernel.server) : "<Local>";
  return "Remote KD: KdSrv:Server=@{" + server + "},Trans=@{" + trans + "}";
}

Result<std::string> ReadStringArgument(std::string_view text) {
  if (text.size() < 2 || text.front() != '@') return std::string(text);
  const std::string path(text.substr(1));
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return UsageError("@" + path + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return UsageError("@" + path + ": not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return UsageError("@" + path + ": " + std::strerror(errno));
  std::string buffer(kMaxConnectionString + 2, '\0');
  file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
  buffer.resize(static_cast<std::size_t>(file.gcount()));
  std::string line = buffer.substr(0, buffer.find('\n'));
  std::fill(buffer.begin(), buffer.end(), '\0');
  if (line.ends_with('\r')) line.pop_back();
  if (line.size() > kMaxConnectionString)
    return UsageError("@" + path + ": the first line is longer than 8192 characters");
  if (TrimBlanks(line).empty()) return UsageError("@" + path + ": the first line is empty");
  return line;
}

}  // namespace longwire

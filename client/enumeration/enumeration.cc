#include "client/enumeration/enumeration.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <vector>

#include "transport/captured_command.h"
#include "transport/child_command.h"
#include "transport/connection_string.h"
#include "transport/directory.h"
#include "transport/endpoint_pipe.h"

namespace longwire {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxAnswer = 4 * 1024 * 1024;
constexpr std::size_t kMaxServers = 4096;
constexpr int kCommandNotFound = 127;  // of the shell on the other side
constexpr int kSshFailed = 255;

/// The host goes on ssh's command line and perhaps into a configured proxy command there.
Result<void> CheckHost(std::string_view host) {
  const bool characters_fit = std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
  });
  if (host.empty() || host.size() > 255 || !characters_fit || host.front() == '-') {
    return Error{Errc::kUsage, "-QR takes the name or address of a machine, for example -QR localhost."};
  }
  return {};
}

/// The first line of what a command complained about, or nothing.
std::string FirstLine(const std::string& errors) {
  std::string line(TrimBlanks(std::string_view(errors).substr(0, errors.find_first_of("\r\n"))));
  return PrintableText(line.substr(0, 300));
}

Result<std::vector<ServerEntry>> ParseAnswer(const std::string& host, const std::string& answer,
                                             bool include_stale) {
  const Error malformed{Errc::kMalformed, "The answer of kd on " + host +
                                              " is not a list of servers; is another " +
                                              "program called kd there, or does a login script print text?"};
  const Json list = Json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (!list.is_object()) return malformed;
  const auto servers = list.find("servers");
  if (servers == list.end() || !servers->is_array()) return malformed;
  if (servers->size() > kMaxServers)
    return Error{Errc::kLimitExceeded, host + " lists more than 4096 servers."};
  std::vector<ServerEntry> entries;
  for (const Json& server : *servers) {
    auto entry = ParseServerEntry(server.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!entry) return malformed;
    if (!entry->stale || include_stale) entries.push_back(std::move(*entry));
  }
  return entries;
}

Result<std::vector<ServerEntry>> AskMachine(const std::string& host, const ServersQuery& query,
                                            const Environment& environment) {
  std::vector<std::string> words = RemoteShell(environment);
  const std::string program = words[0];
  words.insert(words.end(), {host, "kd", query.include_stale ? "-QRa" : "-QR", "localhost", "--json"});
  const Result<CapturedOutput> answer = RunCaptured(words, query.limit, kMaxAnswer);
  const std::string way =
      "Asking " + host + " for its servers through " + PrintableText(program) + " failed: ";
  if (!answer) {
    Error error = answer.error();
    if (error.code == Errc::kNotFound) {
      error.message = way + "there is no such command; install it, or name another with _DBG_PIPE_RSH.";
    } else if (error.code == Errc::kTimedOut) {
      error.message = way + "no answer within " + std::to_string(query.limit.count() / 1000) + " seconds.";
    } else {
      error.message = way + error.message;
    }
    return error;
  }
  const std::string complaint = FirstLine(answer->errors);
  if (answer->exit_code == kCommandNotFound) {
    return Error{Errc::kNotFound, way + "there is no kd in the PATH on that machine" +
                                      (complaint.empty() ? "." : " (" + complaint + ").")};
  }
  if (answer->exit_code == kSshFailed) {
    return Error{Errc::kUnreachable, way + (complaint.empty() ? "no connection" : complaint) +
                                         "; log in there with a key or agent, or name another command with "
                                         "_DBG_PIPE_RSH."};
  }
  if (answer->exit_code != 0) {
    return Error{Errc::kUnreachable, way + "exit code " + std::to_string(answer->exit_code) +
                                         (complaint.empty() ? "." : ", " + complaint + ".")};
  }
  return ParseAnswer(host, answer->output, query.include_stale);
}

std::string TextOf(const std::string& host, const std::vector<ServerEntry>& entries) {
  std::string text = "Servers on " + host + ":\n";
  for (const ServerEntry& entry : entries) {
    text += std::string(ServerTypeName(entry.type)) + " - " + entry.endpoint;
    if (entry.stale) text += " (stale: process " + std::to_string(entry.pid) + " has ended)";
    text += '\n';
  }
  return text;
}

std::string JsonOf(const std::string& host, const std::vector<ServerEntry>& entries) {
  Json list;
  list["host"] = host;
  list["servers"] = Json::array();
  for (const ServerEntry& entry : entries) list["servers"].push_back(Json::parse(FormatServerEntry(entry)));
  return list.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<std::string> ListServers(const ServersQuery& query, const Environment& environment) {
  const std::string host(StripHostSlashes(query.host));
  if (auto checked = CheckHost(host); !checked) return checked.error();
  std::vector<ServerEntry> entries;
  if (IsThisMachine(host)) {
    entries = ReadServerDirectories(ServerDirectories(environment), query.include_stale);
  } else {
    Result<std::vector<ServerEntry>> answer = AskMachine(host, query, environment);
    if (!answer) return answer.error();
    entries = std::move(*answer);
  }
  // The host as typed: its characters were checked, what leads it are slashes.
  return query.json ? JsonOf(query.host, entries) : TextOf(query.host, entries);
}

}  // namespace longwire

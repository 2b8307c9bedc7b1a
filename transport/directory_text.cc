#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "transport/connection_string.h"
#include "transport/directory.h"

namespace longwire {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxText = 256;

std::optional<std::string> TextOf(const Json& object, const char* key, std::size_t limit) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > limit) return std::nullopt;
  return PrintableText(text);
}

std::optional<std::uint64_t> NumberOf(const Json& object, const char* key, std::uint64_t limit) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto number = found->get<std::uint64_t>();
  if (number > limit) return std::nullopt;
  return number;
}

std::optional<ServerType> TypeOf(std::string_view name) {
  for (const ServerType type : {ServerType::kDebugger, ServerType::kProcess, ServerType::kKernel}) {
    if (name == ServerTypeName(type)) return type;
  }
  return std::nullopt;
}

/// A string of a known protocol whose password, if any, is masked: whoever wrote it, a listing shows no
/// secret.
bool MayBeShown(const std::string& endpoint) {
  const Result<ConnectionString> parsed = ParseConnectionString(endpoint);
  if (!parsed) return false;
  const std::string_view name = parsed->name;
  if (name != "tcp" && name != "npipe" && name != "com" && name != "ssl" && name != "spipe") return false;
  const ConnectionParameter* password = parsed->Find("password");
  return password == nullptr || password->value == "*";
}

}  // namespace

std::string_view ServerTypeName(ServerType type) {
  switch (type) {
    case ServerType::kDebugger: return "Debugger Server";
    case ServerType::kProcess: return "Remote Process Server";
    case ServerType::kKernel: return "Remote Kernel Debugger Server";
  }
  return "";
}

std::string PrintableText(std::string_view text) {
  std::string printable;
  printable.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too; in UTF-8 they begin with C2.
    const bool two_byte_control = byte == 0xC2 && i + 1 < text.size() &&
                                  static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
                                  static_cast<unsigned char>(text[i + 1]) <= 0x9F;
    printable += byte < 0x20 || byte == 0x7F || two_byte_control ? '?' : text[i];
    if (two_byte_control) ++i;
  }
  return printable;
}

std::string FormatServerEntry(const ServerEntry& entry) {
  Json object;
  object["type"] = ServerTypeName(entry.type);
  object["endpoint"] = entry.endpoint;
  object["pid"] = static_cast<std::uint64_t>(entry.pid);
  object["start_time"] = entry.start_time;
  object["owner"] = entry.owner;
  object["pool"] = entry.pool;
  object["note"] = entry.note;
  object["stale"] = entry.stale;
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<ServerEntry> ParseServerEntry(std::string_view json) {
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  const auto type_name = TextOf(object, "type", kMaxText);
  const auto endpoint = TextOf(object, "endpoint", kMaxConnectionString);
  const auto pid = NumberOf(object, "pid", std::numeric_limits<pid_t>::max());
  const auto start_time = NumberOf(object, "start_time", std::numeric_limits<std::uint64_t>::max());
  const auto owner = TextOf(object, "owner", kMaxText);
  const auto pool = TextOf(object, "pool", kMaxText);
  const auto note = TextOf(object, "note", kMaxText);
  if (!type_name || !endpoint || !pid || *pid == 0 || !start_time || !owner || !pool || !note)
    return std::nullopt;
  const auto type = TypeOf(*type_name);
  if (!type || !MayBeShown(*endpoint)) return std::nullopt;
  const auto stale = object.find("stale");
  return ServerEntry{*type,
                     *endpoint,
                     static_cast<pid_t>(*pid),
                     *start_time,
                     *owner,
                     *pool,
                     *note,
                     stale != object.end() && stale->is_boolean() && stale->get<bool>()};
}

}  // namespace longwire

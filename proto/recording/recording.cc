#include "proto/recording/recording.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

namespace longwire::recording {
namespace {

using Json = nlohmann::json;

constexpr char kDigits[] = "0123456789abcdef";

std::string ToHex(kd::ByteView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

int DigitValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::optional<kd::Bytes> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  kd::Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = DigitValue(text[i]), low = DigitValue(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return bytes;
}

}  // namespace

std::string FormatEntry(const Entry& entry) {
  Json line;
  line["t"] = std::round(entry.seconds * 1e6) / 1e6;
  if (entry.kind == Entry::Kind::kNote) {
    line["note"] = entry.note;
  } else {
    line["dir"] = entry.kind == Entry::Kind::kFromTarget ? "t2h" : "h2t";
    line["hex"] = ToHex(entry.bytes);
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Entry> ParseEntry(std::string_view line) {
  if (line.size() > kMaxLine)
    return Error{Errc::kLimitExceeded, "a line of the recording is longer than one megabyte"};
  const Json parsed = Json::parse(line, nullptr, false);
  if (!parsed.is_object())
    return Error{Errc::kMalformed, "a line of the recording is not a JSON object; is it a recording?"};
  Entry entry;
  if (const auto time = parsed.find("t"); time != parsed.end() && time->is_number())
    entry.seconds = time->get<double>();
  if (!std::isfinite(entry.seconds) || entry.seconds < 0) entry.seconds = 0;
  if (const auto note = parsed.find("note"); note != parsed.end() && note->is_string()) {
    entry.note = note->get<std::string>();
    return entry;
  }
  const auto direction = parsed.find("dir");
  const auto hex = parsed.find("hex");
  if (direction == parsed.end() || hex == parsed.end() || !hex->is_string() ||
      (*direction != "t2h" && *direction != "h2t"))
    return Error{Errc::kMalformed, "a line of the recording has neither a note nor bytes with a direction"};
  entry.kind = *direction == "t2h" ? Entry::Kind::kFromTarget : Entry::Kind::kFromHost;
  auto bytes = FromHex(hex->get_ref<const std::string&>());
  if (!bytes) return Error{Errc::kMalformed, "a line of the recording has damaged hexadecimal bytes"};
  entry.bytes = std::move(*bytes);
  return entry;
}

}  // namespace longwire::recording

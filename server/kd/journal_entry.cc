#include "server/kd/journal_entry.h"

#include <charconv>
#include <cstdio>
#include <optional>

namespace longwire {
namespace {

constexpr std::string_view kHead = "longwire-journal 1";
constexpr std::size_t kMaxToken = 64, kMaxOriginal = 16;

Error Bad(std::string_view line) {
  std::string shown;
  for (const char c : line.substr(0, 60)) shown += c >= 0x20 && c <= 0x7E ? c : '?';
  return Error{Errc::kMalformed, "the journal has a bad line: '" + shown + "'"};
}

std::string Hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", std::to_integer<unsigned>(byte));
    text += digits;
  }
  return text.empty() ? "-" : text;
}

std::optional<std::vector<std::byte>> ParseHex(std::string_view text, std::size_t limit) {
  std::vector<std::byte> bytes;
  if (text == "-") return bytes;
  if (text.empty() || text.size() % 2 != 0 || text.size() > 2 * limit) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc() || end != text.data() + i + 2) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

template <class Number>
bool ParseNumber(std::string_view text, Number& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseFlag(std::string_view text, bool& value) {
  value = text == "1";
  return text == "0" || text == "1";
}

/// The text up to `separator`, which is removed with it.
std::string_view Cut(std::string_view& text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  const std::string_view piece = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return piece;
}

/// ID KIND ADDRESS SIZE HANDLE ORIGINAL
bool ParseBreakpoint(std::string_view text, PlacedBreakpoint& point) {
  unsigned kind = 0;
  if (!ParseNumber(Cut(text, ' '), point.id) || !ParseNumber(Cut(text, ' '), kind) ||
      !ParseNumber(Cut(text, ' '), point.address, 16) || !ParseNumber(Cut(text, ' '), point.size) ||
      !ParseNumber(Cut(text, ' '), point.handle)) {
    return false;
  }
  auto original = ParseHex(text, kMaxOriginal);
  const bool sized = point.size == 1 || point.size == 2 || point.size == 4 || point.size == 8;
  if (!original || kind < 1 || kind > static_cast<unsigned>(rpc::BreakpointKind::kIo) || !sized) return false;
  point.kind = static_cast<rpc::BreakpointKind>(kind);
  point.original = std::move(*original);
  return true;
}

bool ParseLine(std::string_view key, std::string_view value, JournalEntry& entry) {
  if (key == "end") return false;  // with something behind it
  if (key == "link") return entry.link = value, !value.empty();
  if (key == "driver") return entry.driver = value, true;
  if (key == "needs-key") return ParseFlag(value, entry.needs_key);
  if (key == "client") return ParseNumber(value, entry.client);
  if (key == "keep-ms") return ParseNumber(value, entry.keep_ms);
  if (key == "epoch") return ParseNumber(value, entry.driver_epoch);
  if (key == "halted") return ParseFlag(value, entry.target.halted);
  if (key == "stops") return ParseNumber(value, entry.target.stop_counter);
  if (key == "baud") return ParseNumber(value, entry.baud);
  if (key == "stop-on-module") return ParseFlag(value, entry.target.stop_on_module);
  if (key == "break-on-reboot") return ParseFlag(value, entry.target.break_on_reboot);
  if (key == "debug-registers") return ParseFlag(value, entry.target.debug_registers);
  if (key == "last-breakpoint") return ParseNumber(value, entry.target.last_breakpoint_id);
  if (key == "token") {
    auto token = ParseHex(value, kMaxToken);
    if (token) entry.token = std::move(*token);
    return token.has_value();
  }
  if (key == "breakpoint") {
    if (entry.target.breakpoints.size() >= JournalEntry::kMaxBreakpoints) return false;
    return ParseBreakpoint(value, entry.target.breakpoints.emplace_back());
  }
  return true;  // of a newer version
}

}  // namespace

std::string FormatJournalEntry(const JournalEntry& entry) {
  const auto number = [](std::string_view key, std::uint64_t value) {
    return std::string(key) + " " + std::to_string(value) + "\n";
  };
  std::string text = std::string(kHead) + "\nlink " + entry.link + "\ndriver " + entry.driver + "\n";
  text += "token " + Hex(entry.token) + "\n";
  text += number("needs-key", entry.needs_key) + number("client", entry.client) +
          number("keep-ms", entry.keep_ms) + number("epoch", entry.driver_epoch) +
          number("baud", entry.baud) + number("halted", entry.target.halted) +
          number("stops", entry.target.stop_counter) + number("stop-on-module", entry.target.stop_on_module) +
          number("break-on-reboot", entry.target.break_on_reboot) +
          number("debug-registers", entry.target.debug_registers) +
          number("last-breakpoint", entry.target.last_breakpoint_id);
  std::size_t count = 0;
  for (const PlacedBreakpoint& point : entry.target.breakpoints) {
    if (++count > JournalEntry::kMaxBreakpoints) break;
    char line[112];
    std::snprintf(line, sizeof(line), "breakpoint %llu %u %llx %u %u ",
                  static_cast<unsigned long long>(point.id), static_cast<unsigned>(point.kind),
                  static_cast<unsigned long long>(point.address), point.size, point.handle);
    text += line + Hex(point.original) + "\n";
  }
  return text + "end\n";
}

Result<JournalEntry> ParseJournalEntry(std::string_view text) {
  if (text.size() > JournalEntry::kMaxBytes)
    return Error{Errc::kLimitExceeded, "the journal is larger than a journal may be"};
  if (const std::string_view head = Cut(text, '\n'); head != kHead) return Bad(head);
  JournalEntry entry;
  while (!text.empty()) {
    std::string_view line = Cut(text, '\n');
    if (line == "end" && text.empty()) {
      if (entry.link.empty()) return Bad("end");
      return entry;
    }
    const std::string_view whole = line;
    const std::string_view key = Cut(line, ' ');
    if (!ParseLine(key, line, entry)) return Bad(whole);
  }
  return Error{Errc::kMalformed, "the journal is cut off"};
}

}  // namespace longwire

/// A thin C++ wrapper of longwire_extension.h, header only. Extensions may use it or the C table directly.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "longwire_extension.h"

namespace lw {

/// One call of the debugger into an extension. Cheap to pass by reference; not to be kept.
class Debugger {
 public:
  Debugger(const lw_host* host, lw_session* session) : host_(*host), session_(session) {}

  const lw_host& host() const { return host_; }
  lw_session* session() const { return session_; }

  // ---- output ----
  void Print(const std::string& text) { host_.output(session_, text.c_str()); }
  __attribute__((format(printf, 2, 3))) void Format(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    Print(FormatText(format, arguments));
    va_end(arguments);
  }
  void Error(const std::string& text) { host_.error(session_, text.c_str()); }
  std::string LastError() const { return host_.last_error(session_); }
  bool interrupted() const { return host_.interrupted(session_) != 0; }

  // ---- memory ----
  static constexpr lw_space kCurrent{LW_SPACE_CURRENT, 0, 0};
  static lw_space PageTable(std::uint64_t base) { return {LW_SPACE_PAGE_TABLE, 0, base}; }

  bool ReadBytes(std::uint64_t address, void* out, std::size_t size, lw_space space = kCurrent) {
    return host_.read(session_, space, address, out, size, nullptr) == 0;
  }
  /// Little-endian value of 1 to 8 bytes.
  std::optional<std::uint64_t> ReadUnsigned(std::uint64_t address, std::size_t size,
                                            lw_space space = kCurrent) {
    std::uint8_t bytes[8] = {};
    if (size == 0 || size > sizeof bytes || !ReadBytes(address, bytes, size, space)) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
    return value;
  }
  std::optional<std::uint64_t> ReadPointer(std::uint64_t address) {
    return ReadUnsigned(address, pointer_size());
  }
  std::uint32_t pointer_size() const { return host_.pointer_size(session_); }

  // ---- names and types ----
  std::optional<std::uint64_t> Symbol(const char* name) {
    std::uint64_t address = 0;
    if (host_.symbol_address(session_, name, &address) != 0) return std::nullopt;
    return address;
  }
  std::string NameOf(std::uint64_t address) {
    char text[512];
    host_.name_of(session_, address, text, sizeof text);
    return text;
  }
  std::optional<lw_field_info> Field(const std::string& type, const std::string& path) {
    lw_field_info field{};
    if (host_.field(session_, type.c_str(), path.c_str(), &field) != 0) return std::nullopt;
    return field;
  }
  std::optional<std::uint64_t> TypeSize(const std::string& type) {
    std::uint64_t size = 0;
    if (host_.type_size(session_, type.c_str(), &size) != 0) return std::nullopt;
    return size;
  }
  std::string Enumerator(const std::string& type, std::int64_t value) {
    char text[128];
    if (host_.enumerator(session_, type.c_str(), value, text, sizeof text) != 0) return std::to_string(value);
    return text;
  }
  std::optional<std::uint64_t> Evaluate(const std::string& expression) {
    std::uint64_t value = 0;
    if (host_.evaluate(session_, expression.c_str(), &value) != 0) return std::nullopt;
    return value;
  }

  static std::string FormatText(const char* format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, again);
    va_end(again);
    std::string text(length > 0 ? static_cast<std::size_t>(length) : 0, '\0');
    if (length > 0) std::vsnprintf(text.data(), text.size() + 1, format, arguments);
    return text;
  }

 private:
  const lw_host& host_;
  lw_session* session_;
};

__attribute__((format(printf, 1, 2))) inline std::string Text(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = Debugger::FormatText(format, arguments);
  va_end(arguments);
  return text;
}

/// A structured row for --json and the text that shows it.
class Row {
 public:
  Row(Debugger& debugger, const char* kind) : debugger_(debugger) {
    debugger_.host().row_begin(debugger_.session(), kind);
  }
  Row& String(const char* name, const std::string& value) {
    debugger_.host().row_string(debugger_.session(), name, value.c_str());
    return *this;
  }
  Row& Hex(const char* name, std::uint64_t value) {
    debugger_.host().row_hex(debugger_.session(), name, value);
    return *this;
  }
  Row& Number(const char* name, std::int64_t value) {
    debugger_.host().row_number(debugger_.session(), name, value);
    return *this;
  }
  void End(const std::string& text) { debugger_.host().row_end(debugger_.session(), text.c_str()); }

 private:
  Debugger& debugger_;
};

/// A structure in the target. Fields are found by name in the symbols; a missing field or unreadable memory
/// gives nullopt, so that a line that needs it can be left out.
class Structure {
 public:
  Structure(Debugger& debugger, std::string type, std::uint64_t address)
      : debugger_(debugger), type_(std::move(type)), address_(address) {}

  std::uint64_t address() const { return address_; }
  std::optional<std::uint64_t> AddressOf(const std::string& path) const {
    std::optional<lw_field_info> field = debugger_.Field(type_, path);
    if (!field) return std::nullopt;
    return address_ + field->offset;
  }
  std::optional<std::uint64_t> Get(const std::string& path) const {
    std::optional<lw_field_info> field = debugger_.Field(type_, path);
    if (!field || field->size == 0 || field->size > 8) return std::nullopt;
    std::optional<std::uint64_t> value = debugger_.ReadUnsigned(address_ + field->offset, field->size);
    if (value && field->bit_count != 0)
      *value = *value >> field->bit_position & ((1ull << field->bit_count) - 1);
    return value;
  }
  std::int64_t GetSigned(const std::string& path, std::int64_t otherwise) const {
    std::optional<lw_field_info> field = debugger_.Field(type_, path);
    std::optional<std::uint64_t> value = Get(path);
    if (!field || !value) return otherwise;
    const unsigned shift = 64 - 8 * static_cast<unsigned>(field->size);
    return static_cast<std::int64_t>(*value << shift) >> shift;
  }
  /// A fixed array of characters that ends at its first NUL.
  std::string GetText(const std::string& path) const {
    std::optional<lw_field_info> field = debugger_.Field(type_, path);
    if (!field || field->size > 4096) return {};
    std::string text(field->size, '\0');
    if (!debugger_.ReadBytes(address_ + field->offset, text.data(), text.size())) return {};
    text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
    return text;
  }

 private:
  Debugger& debugger_;
  std::string type_;
  std::uint64_t address_;
};

}  // namespace lw

#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace longwire {

/// A target address or other number whose natural spelling is hexadecimal; "0x..." in JSON, since JSON
/// numbers lose bits.
struct Hex {
  std::uint64_t value = 0;
};

struct Field;
using Fields = std::vector<Field>;
using FieldValue = std::variant<std::monostate, bool, std::int64_t, Hex, std::string,
                                std::vector<std::string>, std::vector<Fields>>;

struct Field {
  std::string name;
  FieldValue value;
};

/// What one command found. Commands add rows; each row has fields for programs and a line for people, so that
/// text and `--json` are two renderings of one result. Text goes to the sink as it is added (long commands
/// show progress).
class Report {
 public:
  using TextSink = std::function<void(std::string_view)>;
  explicit Report(TextSink sink, TextSink error_sink = {})
      : sink_(std::move(sink)), error_sink_(std::move(error_sink)) {}

  /// A structured row and the text that shows it (without the final newline; may be several lines; empty: no
  /// text).
  void Row(std::string_view kind, Fields fields, std::string_view line);
  /// A line that carries no data of its own (headings, notes).
  void Line(std::string_view line);
  /// Text as it is, newline included by the caller.
  void Text(std::string_view text);

  /// A command failed: one line for the error channel.
  void Error(std::string_view message);

  struct RowData {
    std::string kind;
    Fields fields;
  };
  const std::vector<RowData>& rows() const { return rows_; }
  const std::string& text() const { return text_; }
  const std::string& error() const { return error_; }  ///< lines of Error(), empty if nothing failed

 private:
  TextSink sink_, error_sink_;
  std::vector<RowData> rows_;
  std::string text_;  ///< everything written, at most 16 MiB, for `--json` and captured output
  std::string error_;
};

}  // namespace longwire

#include "client/engine/report.h"

#include <algorithm>

namespace longwire {
namespace {

constexpr std::size_t kMaxKeptText = 16u << 20;
constexpr std::size_t kMaxKeptRows = 1'000'000;

}  // namespace

void Report::Row(std::string_view kind, Fields fields, std::string_view line) {
  if (rows_.size() < kMaxKeptRows) rows_.push_back({std::string(kind), std::move(fields)});
  if (!line.empty()) Line(line);
}

void Report::Line(std::string_view line) {
  std::string text(line);
  text += '\n';
  Text(text);
}

void Report::Text(std::string_view text) {
  text_.append(text.substr(0, kMaxKeptText - std::min(kMaxKeptText, text_.size())));
  if (sink_) sink_(text);
}

void Report::Error(std::string_view message) {
  std::string line(message);
  line += '\n';
  error_.append(line.substr(0, kMaxKeptText - std::min(kMaxKeptText, error_.size())));
  if (error_sink_) error_sink_(line);
}

}  // namespace longwire

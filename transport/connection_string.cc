#include "transport/connection_string.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace longwire {
namespace {

struct BracketPair {
  char open, close;
};
constexpr std::array<BracketPair, 4> kBrackets{{{'{', '}'}, {'<', '>'}, {'(', ')'}, {'[', ']'}}};

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

std::string At(std::size_t position) { return " at position " + std::to_string(position); }

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsKeyCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

const BracketPair* PairOpenedBy(char c) {
  const auto* found =
      std::find_if(kBrackets.begin(), kBrackets.end(), [c](BracketPair p) { return p.open == c; });
  return found == kBrackets.end() ? nullptr : found;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<ConnectionString> Run() {
    if (text_.size() > kMaxConnectionString)
      return UsageError("the connection string is longer than 8192 characters");
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const auto c = static_cast<unsigned char>(text_[i]);
      if (c < 0x20 && c != '\t') return UsageError("control character in the connection string" + At(i + 1));
    }
    ConnectionString result;
    if (auto named = ReadName(result.name); !named) return named.error();
    SkipBlanks();
    if (next_ == text_.size()) return result;
    while (true) {
      Result<ConnectionParameter> parameter = ReadParameter();
      if (!parameter) return parameter.error();
      if (result.Find(parameter->key) != nullptr) {
        return UsageError("key '" + parameter->key + "'" + At(parameter->position) + " is given twice");
      }
      result.parameters.push_back(std::move(*parameter));
      if (next_ == text_.size()) return result;
      ++next_;  // the comma
    }
  }

 private:
  void SkipBlanks() {
    while (next_ < text_.size() && IsBlank(text_[next_])) ++next_;
  }

  Result<void> ReadName(std::string& name) {
    const std::size_t colon = text_.find(':');
    if (colon == std::string_view::npos) {
      return UsageError("no ':' after the protocol name; write for example tcp:port=5005");
    }
    const std::string_view trimmed = TrimBlanks(text_.substr(0, colon));
    if (trimmed.empty() || !std::all_of(trimmed.begin(), trimmed.end(), IsKeyCharacter)) {
      return UsageError("the text before the first ':' is not a protocol name");
    }
    name = LowerCase(trimmed);
    next_ = colon + 1;
    return {};
  }

  Result<ConnectionParameter> ReadParameter() {
    SkipBlanks();
    ConnectionParameter parameter;
    parameter.position = next_ + 1;
    const std::size_t start = next_;
    while (next_ < text_.size() && IsKeyCharacter(text_[next_])) ++next_;
    parameter.key = LowerCase(text_.substr(start, next_ - start));
    SkipBlanks();
    if (parameter.key.empty()) {
      return UsageError("a parameter name is missing" + At(parameter.position));
    }
    if (next_ == text_.size() || text_[next_] == ',') return parameter;
    if (text_[next_] != '=') {
      return UsageError("key '" + parameter.key + "'" + At(parameter.position) +
                        " is followed by a character that is neither '=' nor ','");
    }
    ++next_;
    if (auto value = ReadValue(parameter); !value) return value.error();
    return parameter;
  }

  Result<void> ReadValue(ConnectionParameter& parameter) {
    SkipBlanks();
    if (next_ < text_.size() && text_[next_] == '@') return ReadNested(parameter);
    const std::size_t end = std::min(text_.find(',', next_), text_.size());
    parameter.value = std::string(TrimBlanks(text_.substr(next_, end - next_)));
    next_ = end;
    return {};
  }

  Result<void> ReadNested(ConnectionParameter& parameter) {
    const std::string where = "the value of '" + parameter.key + "'" + At(next_ + 1);
    const BracketPair* pair = next_ + 1 < text_.size() ? PairOpenedBy(text_[next_ + 1]) : nullptr;
    if (pair == nullptr) {
      return UsageError(where + " starts with '@' but no bracket follows; write @{...} inside single quotes");
    }
    const std::size_t body = next_ + 2;
    std::size_t depth = 1;
    for (next_ = body; next_ < text_.size(); ++next_) {
      if (text_[next_] == pair->open) ++depth;
      if (text_[next_] == pair->close && --depth == 0) break;
    }
    if (next_ == text_.size()) {
      return UsageError(where + " is not closed: a '" + std::string(1, pair->close) + "' is missing");
    }
    parameter.value = std::string(text_.substr(body, next_ - body));
    parameter.nested = true;
    ++next_;
    SkipBlanks();
    if (next_ < text_.size() && text_[next_] != ',') {
      return UsageError(where + " is followed by text after its closing bracket; a ',' is missing");
    }
    return {};
  }

  std::string_view text_;
  std::size_t next_ = 0;
};

/// True if the close bracket behind `body` is the one that closes it.
bool Balanced(std::string_view body, BracketPair pair) {
  std::size_t depth = 0;
  for (const char c : body) {
    if (c == pair.open) ++depth;
    if (c == pair.close) {
      if (depth == 0) return false;
      --depth;
    }
  }
  return depth == 0;
}

}  // namespace

const ConnectionParameter* ConnectionString::Find(std::string_view key) const {
  for (const ConnectionParameter& parameter : parameters) {
    if (parameter.key == key) return &parameter;
  }
  return nullptr;
}

Result<ConnectionString> ParseConnectionString(std::string_view text) { return Lexer(text).Run(); }

std::string QuoteValue(std::string_view value) {
  const bool plain = value.find(',') == std::string_view::npos && (value.empty() || value.front() != '@') &&
                     TrimBlanks(value).size() == value.size();
  if (plain) return std::string(value);
  for (const BracketPair pair : kBrackets) {
    if (!Balanced(value, pair)) continue;
    return std::string("@") + pair.open + std::string(value) + pair.close;
  }
  return std::string(value);
}

std::string ShellQuote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  // Not tolower(): the grammar is ASCII whatever the locale is.
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> ParseDecimal(std::string_view text, std::uint64_t limit) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > limit) return std::nullopt;
  return value;
}

std::string_view StripHostSlashes(std::string_view host) {
  if (host.starts_with("\\\\") || host.starts_with("//")) return host.substr(2);
  if (host.starts_with('\\')) return host.substr(1);
  return host;
}

std::optional<std::string> ReadHostName(std::string_view text) {
  std::string_view host = StripHostSlashes(text);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const bool characters_fit = std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
  });
  // A leading '-' would become an option of the ssh that forwards pipes.
  if (host.empty() || host.size() > 255 || !characters_fit || host.front() == '-') return std::nullopt;
  return std::string(host);
}

}  // namespace longwire

#include "transport/command_line.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "transport/connection_string.h"

namespace longwire {
namespace {

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

const OptionRule* FindName(std::span<const OptionRule> rules, std::string_view name) {
  // Where two spellings differ only by case the exact one wins.
  for (const OptionRule& rule : rules) {
    if (rule.argument != OptionRule::Argument::kJoined && rule.name == name) return &rule;
  }
  const std::string lower = LowerCase(name);
  for (const OptionRule& rule : rules) {
    if (rule.argument == OptionRule::Argument::kJoined || rule.exact_case) continue;
    if (LowerCase(rule.name) == lower) return &rule;
  }
  return nullptr;
}

const OptionRule* FindJoined(std::span<const OptionRule> rules, std::string_view body) {
  for (const OptionRule& rule : rules) {
    if (rule.argument != OptionRule::Argument::kJoined || body.size() <= rule.name.size()) continue;
    const std::string_view start = body.substr(0, rule.name.size());
    if (start == rule.name || (!rule.exact_case && LowerCase(start) == LowerCase(rule.name))) return &rule;
  }
  return nullptr;
}

class CommandLine {
 public:
  CommandLine(std::span<const std::string> words, std::span<const OptionRule> rules)
      : words_(words), rules_(rules) {}

  Result<std::vector<CommandLineItem>> Run() {
    for (next_ = 0; next_ < words_.size();) {
      if (auto read = ReadWord(words_[next_]); !read) return read.error();
    }
    return std::move(items_);
  }

 private:
  /// The slash form is an option only when nothing else is left of the word, so that paths stay paths.
  const OptionRule* FindSlashed(const std::string& word) const {
    if (word.size() < 2 || word.front() != '/') return nullptr;
    const OptionRule* rule = FindName(rules_, std::string_view(word).substr(1));
    return rule != nullptr && ::access(word.c_str(), F_OK) != 0 ? rule : nullptr;
  }

  bool LooksLikeOption(const std::string& word) const {
    return (word.size() > 1 && word.front() == '-') || FindSlashed(word) != nullptr;
  }

  Result<void> ReadWord(const std::string& word) {
    if (const OptionRule* slashed = FindSlashed(word)) return Take(*slashed, word);
    if (word.size() < 2 || word.front() != '-') {
      items_.push_back({nullptr, word, std::nullopt, next_++});
      return {};
    }
    if (word.starts_with("--")) return ReadOwn(word);
    const std::string_view body = std::string_view(word).substr(1);
    if (const OptionRule* rule = FindName(rules_, body)) return Take(*rule, word);
    if (TakeLetters(word)) return {};
    if (const OptionRule* joined = FindJoined(rules_, body)) {
      items_.push_back({joined, word, std::string(body.substr(joined->name.size())), next_++});
      return {};
    }
    return Unknown(word);
  }

  Result<void> ReadOwn(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const OptionRule* rule = FindName(rules_, name);
    if (rule == nullptr || !rule->own) return Unknown(word);
    if (equals == std::string::npos) return Take(*rule, word);
    if (rule->argument == OptionRule::Argument::kNone)
      return UsageError("option --" + name + " takes no argument");
    items_.push_back({rule, "--" + name, word.substr(equals + 1), next_++});
    return {};
  }

  Result<void> Take(const OptionRule& rule, const std::string& word) {
    CommandLineItem item{&rule, word, std::nullopt, next_++};
    if (rule.argument == OptionRule::Argument::kNext) {
      if (next_ == words_.size()) return UsageError("option " + word + " needs an argument");
      item.argument = words_[next_++];
    } else if (rule.argument == OptionRule::Argument::kOptional && next_ < words_.size() &&
               !LooksLikeOption(words_[next_])) {
      item.argument = words_[next_++];
    }
    items_.push_back(std::move(item));
    return {};
  }

  /// `-rnv`: one-letter options without arguments, run together.
  bool TakeLetters(const std::string& word) {
    std::vector<CommandLineItem> letters;
    for (std::size_t i = 1; i < word.size(); ++i) {
      const OptionRule* rule = FindName(rules_, std::string_view(word).substr(i, 1));
      if (rule == nullptr || rule->argument != OptionRule::Argument::kNone) return false;
      letters.push_back({rule, "-" + word.substr(i, 1), std::nullopt, next_});
    }
    items_.insert(items_.end(), letters.begin(), letters.end());
    ++next_;
    return true;
  }

  Error Unknown(const std::string& word) const {
    std::string message = "unknown option " + word.substr(0, word.find('='));
    const std::string lower = LowerCase(word);
    for (const OptionRule& rule : rules_) {
      if (rule.exact_case && lower == "-" + LowerCase(rule.name)) {
        message += "; case matters here, write -" + std::string(rule.name);
      }
    }
    return UsageError(message + "; -? shows the options");
  }

  std::span<const std::string> words_;
  std::span<const OptionRule> rules_;
  std::size_t next_ = 0;
  std::vector<CommandLineItem> items_;
};

/// Overwrites what follows each `name` in `text` up to the end of the value.
void ScrubValues(char* text, std::string_view name) {
  const std::string lower = LowerCase(text);
  for (std::size_t at = lower.find(name); at != std::string::npos; at = lower.find(name, at + 1)) {
    const bool whole_key = at == 0 || std::strchr(",:{<([@ \t", lower[at - 1]) != nullptr;
    if (!whole_key) continue;
    for (std::size_t i = at + name.size(); i < lower.size() && std::strchr(",}>)]", lower[i]) == nullptr;
         ++i) {
      text[i] = '*';
    }
  }
}

}  // namespace

Result<std::vector<CommandLineItem>> ParseCommandLine(std::span<const std::string> words,
                                                      std::span<const OptionRule> rules) {
  return CommandLine(words, rules).Run();
}

void ScrubArguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    ScrubValues(argv[i], "password=");
    ScrubValues(argv[i], "key=");
  }
}

void OpenMissingStandardFiles() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    if (open("/dev/null", O_RDWR) < 0) return;  // the lowest free number is this one
  }
}

}  // namespace longwire

#include "client/engine/wildcard.h"

#include <cctype>
#include <string>
#include <vector>

namespace longwire {
namespace {

struct PatternItem {
  enum class Kind { kLiteral, kAny, kSet } kind = Kind::kLiteral;
  std::string characters;  // one literal, or the set spelled out with its ranges
  bool may_be_absent = false, may_repeat = false;
};

unsigned char Lower(char c) {
  return static_cast<unsigned char>(std::tolower(static_cast<unsigned char>(c)));
}

std::vector<PatternItem> ParsePattern(std::string_view pattern) {
  std::vector<PatternItem> items;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if ((c == '#' || c == '+') && !items.empty()) {
      items.back().may_repeat = true;
      if (c == '#') items.back().may_be_absent = true;
    } else if (c == '*') {
      items.push_back({PatternItem::Kind::kAny, {}, true, true});
    } else if (c == '?') {
      items.push_back({PatternItem::Kind::kAny, {}, false, false});
    } else if (c == '[' && pattern.find(']', i) != std::string_view::npos) {
      const std::size_t end = pattern.find(']', i);
      items.push_back(
          {PatternItem::Kind::kSet, std::string(pattern.substr(i + 1, end - i - 1)), false, false});
      i = end;
    } else {
      const bool escaped = c == '\\' && i + 1 < pattern.size();
      items.push_back(
          {PatternItem::Kind::kLiteral, std::string(1, escaped ? pattern[++i] : c), false, false});
    }
  }
  return items;
}

bool Accepts(const PatternItem& item, char c) {
  if (item.kind == PatternItem::Kind::kAny) return true;
  const unsigned char wanted = Lower(c);
  if (item.kind == PatternItem::Kind::kLiteral) return Lower(item.characters[0]) == wanted;
  const std::string& set = item.characters;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      if (Lower(set[i]) <= wanted && wanted <= Lower(set[i + 2])) return true;
      i += 2;
    } else if (Lower(set[i]) == wanted) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool MatchesWildcard(std::string_view pattern, std::string_view text) {
  const std::vector<PatternItem> items = ParsePattern(pattern);
  // state[i]: the items before i are matched, item i may come next.
  std::vector<bool> state(items.size() + 1);
  const auto skip_absent = [&items](std::vector<bool>& reached) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (reached[i] && items[i].may_be_absent) reached[i + 1] = true;
    }
  };
  state[0] = true;
  skip_absent(state);
  for (const char c : text) {
    std::vector<bool> next(items.size() + 1);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!state[i] || !Accepts(items[i], c)) continue;
      next[i + 1] = true;
      // A repeating item that matched may match again: it stays open as an optional one.
      if (items[i].may_repeat) next[i] = true;
    }
    skip_absent(next);
    state = std::move(next);
  }
  return state[items.size()];
}

}  // namespace longwire

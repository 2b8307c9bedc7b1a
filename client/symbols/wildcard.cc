#include "client/symbols/wildcard.h"

#include <cstddef>

#include "client/symbols/folded_name.h"

namespace longwire {

Wildcard::Wildcard(std::string_view pattern, Underscore leading) {
  // A leading underscore stands for however many the compiler put there.
  if (leading == Underscore::kAnyNumber && pattern.starts_with('_')) {
    atoms_.push_back({Atom::Repeat::kAny, false, "_"});
    while (pattern.starts_with('_')) pattern.remove_prefix(1);
  }
  Parse(pattern);
}

void Wildcard::Parse(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '*') {
      atoms_.push_back({Atom::Repeat::kAny, true, {}});
    } else if (c == '?') {
      atoms_.push_back({Atom::Repeat::kOnce, true, {}});
    } else if (c == '#' && !atoms_.empty()) {
      atoms_.back().repeat = Atom::Repeat::kAny;
    } else if (c == '+' && !atoms_.empty()) {
      // "*+" is still any run; one-or-more of a single atom otherwise.
      if (atoms_.back().repeat == Atom::Repeat::kOnce) atoms_.back().repeat = Atom::Repeat::kSome;
    } else if (c == '[' && pattern.find(']', i + 1) != std::string_view::npos) {
      const std::size_t end = pattern.find(']', i + 1);
      Atom atom;
      for (std::size_t k = i + 1; k < end; ++k) {
        const char low = FoldCase(pattern[k]);
        const bool range = k + 2 < end && pattern[k + 1] == '-';
        const char high = range ? FoldCase(pattern[k + 2]) : low;
        for (int set = static_cast<unsigned char>(low); set <= static_cast<unsigned char>(high); ++set)
          atom.set += FoldCase(static_cast<char>(set));
        if (range) k += 2;
      }
      atoms_.push_back(std::move(atom));
      i = end;
    } else {
      if (c == '\\' && i + 1 < pattern.size()) ++i;
      atoms_.push_back({Atom::Repeat::kOnce, false, std::string(1, FoldCase(pattern[i]))});
    }
  }
}

bool Wildcard::Accepts(const Atom& atom, char character) {
  return atom.any_character || atom.set.find(FoldCase(character)) != std::string::npos;
}

// reached[i]: the text so far can end before atom i. All states advance together, so no pattern backtracks.
bool Wildcard::Matches(std::string_view text) const {
  std::vector<char> reached(atoms_.size() + 1, 0), next;
  const auto skip_optional = [this](std::vector<char>& states) {
    for (std::size_t i = 0; i < atoms_.size(); ++i)
      if (states[i] && atoms_[i].repeat == Atom::Repeat::kAny) states[i + 1] = 1;
  };
  reached[0] = 1;
  skip_optional(reached);
  for (char c : text) {
    next.assign(atoms_.size() + 1, 0);
    for (std::size_t i = 0; i < atoms_.size(); ++i) {
      if (!reached[i] || !Accepts(atoms_[i], c)) continue;
      if (atoms_[i].repeat != Atom::Repeat::kOnce) next[i] = 1;
      if (atoms_[i].repeat != Atom::Repeat::kAny) next[i + 1] = 1;
    }
    skip_optional(next);
    reached.swap(next);
  }
  return reached.back() != 0;
}

bool Wildcard::IsPattern(std::string_view text) {
  return text.find_first_of("*?[#+\\") != std::string_view::npos;
}

}  // namespace longwire

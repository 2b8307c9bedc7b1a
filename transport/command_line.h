#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"

namespace longwire {

/// The option grammar every program shares (remote-debugging.md 3.1). What an option means is the program's
/// affair.
struct OptionRule {
  enum class Argument {
    kNone,
    kNext,      ///< the next word, whatever it looks like
    kOptional,  ///< the next word unless it is an option or there is none
    kJoined,    ///< the rest of the same word: -aEXT
  };
  std::string_view name;  ///< without dashes
  Argument argument = Argument::kNone;
  bool exact_case = false;
  bool own = false;  ///< one of ours: two dashes are accepted as well, and `--name=value`
};

/// One option, or one word that is none.
struct CommandLineItem {
  const OptionRule* rule = nullptr;  ///< nullptr: `text` is a stray word
  std::string text;                  ///< the option as typed, or the stray word
  std::optional<std::string> argument;
  std::size_t index = 0;  ///< of the word in `words`
};

/// Cuts `words` (argv without the program's name). `/name` counts as an option only if no file has that path.
/// Errors are kUsage: an unknown option, or a missing argument.
Result<std::vector<CommandLineItem>> ParseCommandLine(std::span<const std::string> words,
                                                      std::span<const OptionRule> rules);

/// Overwrites the values of `password=` and `key=` in the process' own argument list, which other users can
/// read. Call it once every string that is needed has been copied; safe to call again.
void ScrubArguments(int argc, char** argv);

/// Opens /dev/null for each of descriptors 0 to 2 that the process was started without: the next socket would
/// get its number and be taken for the terminal. Call it first in main.
void OpenMissingStandardFiles();

}  // namespace longwire

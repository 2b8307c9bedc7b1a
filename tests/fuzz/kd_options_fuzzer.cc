// The command line and the environment of kd: one word per line of the input; lines NAME=VALUE before a blank
// line are the environment.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "client/options/kd_options.h"
#include "transport/connection_string.h"

using namespace longwire;

namespace {

/// Cuts the next line off; false at the end.
bool TakeLine(std::string_view& text, std::string_view& line) {
  if (text.empty()) return false;
  const std::size_t end = text.find('\n');
  line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  // A file named by the input must not be read: it would make runs differ.
  if (LowerCase(text).find("file:") != std::string::npos || text.find('@') != std::string_view::npos)
    return 0;
  std::map<std::string, std::string> variables;
  std::vector<std::string> words;
  std::string_view line;
  while (TakeLine(text, line) && !line.empty()) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  while (TakeLine(text, line)) words.emplace_back(line);
  const Environment environment = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  const auto options = ParseKdOptions(words, environment);
  if (!options) {
    if (options.error().message.empty()) std::abort();
    return 0;
  }
  if (options->server && options->remote) std::abort();
  (void)RefuseUnsupported(*options);
  return 0;
}

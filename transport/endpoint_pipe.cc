#include "transport/endpoint_pipe.h"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "transport/connection_string.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxPipeName = 64;

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || c == '%';
}

std::string FormatId(char conversion, unsigned long id) {
  std::array<char, 24> text{};
  const char* format = conversion == 'x' ? "%lx" : conversion == 'X' ? "%lX" : "%lu";
  std::snprintf(text.data(), text.size(), format, id);
  return text.data();
}

}  // namespace

Result<void> CheckPipeName(std::string_view name) {
  if (name.empty()) return UsageError("key 'pipe' needs a name");
  if (name.find_first_of(" \t\"'") != std::string_view::npos) {
    return UsageError(
        "the pipe name holds a blank or a quotation mark; use letters, digits, '_', '.' and '-'");
  }
  for (const char c : name) {
    if (!IsNameCharacter(c)) {
      return UsageError(
          "the pipe name holds a character that is not allowed; use letters, digits, '_', '.' and '-'");
    }
  }
  if (name.size() > kMaxPipeName) return UsageError("the pipe name is longer than 64 characters");
  if (name == "." || name == "..") return UsageError("'" + std::string(name) + "' is not a pipe name");
  return {};
}

Result<void> CheckPipePattern(std::string_view pattern) {
  // The widest ids stand in for the real ones, so that a name that can grow too long fails at start.
  Result<std::string> widest = ExpandPipeName(pattern, 4194304, 4194304);
  if (!widest) return widest.error();
  return {};
}

Result<std::string> ExpandPipeName(std::string_view pattern, unsigned long process_id,
                                   unsigned long thread_id) {
  std::string name;
  int codes = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      name += pattern[i];
      continue;
    }
    const char conversion = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    ++i;
    if (conversion == '%') {
      name += '%';
      continue;
    }
    if (conversion == '\0' || std::string_view("duxX").find(conversion) == std::string_view::npos) {
      return UsageError("the pipe name holds a '%' code other than %d, %u, %x, %X and %%");
    }
    if (++codes > 2)
      return UsageError(
          "the pipe name holds more than two '%' codes; there are a process id and a thread id");
    name += FormatId(conversion, codes == 1 ? process_id : thread_id);
  }
  if (auto checked = CheckPipeName(name); !checked) return checked.error();
  return name;
}

std::string PipeDirectory(const Environment& environment) {
  if (const auto runtime = environment("XDG_RUNTIME_DIR"); runtime && runtime->starts_with('/')) {
    return *runtime + "/longwire";
  }
  return "/tmp/longwire-" + std::to_string(geteuid());
}

std::string PipePath(std::string_view name, const Environment& environment) {
  return PipeDirectory(environment) + "/" + LowerCase(name);
}

bool IsThisMachine(std::string_view host) {
  const std::string lower = LowerCase(StripHostSlashes(host));
  if (lower == "." || lower == "localhost" || lower == "127.0.0.1" || lower == "::1") return true;
  std::array<char, 256> own{};
  if (gethostname(own.data(), own.size() - 1) != 0) return false;
  const std::string own_name = LowerCase(own.data());
  return !own_name.empty() && (lower == own_name || lower == own_name.substr(0, own_name.find('.')));
}

}  // namespace longwire

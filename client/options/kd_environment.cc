#include <filesystem>

#include "client/options/kd_options.h"
#include "transport/connection_string.h"

namespace longwire {
namespace {

std::string Value(const Environment& environment, const std::string& name) {
  return environment(name).value_or("");
}

void ReadDebugOptions(std::string_view list, KdOptions& options) {
  while (!list.empty()) {
    const std::size_t end = list.find_first_of(" ,;");
    const std::string word = LowerCase(list.substr(0, end));
    if (word == "noextwarning") options.no_extension_warning = true;
    if (word == "noversioncheck") options.ignore_versions = true;
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
}

Result<void> ReadNumber(const Environment& environment, const std::string& name, std::uint64_t limit,
                        std::uint64_t& out) {
  const std::string text = Value(environment, name);
  if (text.empty()) return {};
  const auto number = ParseDecimal(text, limit);
  if (!number) return Error{Errc::kUsage, "the environment variable " + name + " is not a number"};
  out = *number;
  return {};
}

std::string JoinPaths(const std::string& first, const std::string& second) {
  return first + (first.empty() || second.empty() ? "" : ";") + second;
}

void ReadLog(const Environment& environment, KdOptions& options) {
  if (const std::string path = Value(environment, "_NT_DEBUG_LOG_FILE_APPEND"); !path.empty()) {
    options.log = KdOptions::Log{path, true, false};
  }
  std::string open = Value(environment, "_NT_DEBUG_LOG_FILE_OPEN");
  if (open.empty()) {
    open = Value(environment, "_NT_LOG_FILE_OPEN");
    if (!open.empty()) {
      options.warnings.push_back(
          "_NT_LOG_FILE_OPEN is a known misprint; set _NT_DEBUG_LOG_FILE_OPEN instead");
    }
  }
  if (!open.empty()) options.log = KdOptions::Log{open, false, false};
}

}  // namespace

std::string DropMissingDirectories(std::string_view path) {
  std::string kept;
  while (!path.empty()) {
    const std::size_t end = path.find(';');
    const std::string_view entry = path.substr(0, end);
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
    const bool is_store =
        entry.find('*') != std::string_view::npos || entry.find("://") != std::string_view::npos;
    std::error_code ignored;
    if (entry.empty() || (!is_store && !std::filesystem::is_directory(entry, ignored))) continue;
    kept = JoinPaths(kept, std::string(entry));
  }
  return kept;
}

Result<void> ReadKdEnvironment(const Environment& environment, KdOptions& options) {
  options.symbol_path = JoinPaths(DropMissingDirectories(Value(environment, "_NT_ALT_SYMBOL_PATH")),
                                  DropMissingDirectories(Value(environment, "_NT_SYMBOL_PATH")));
  options.image_path = DropMissingDirectories(Value(environment, "_NT_EXECUTABLE_IMAGE_PATH"));
  options.source_path = DropMissingDirectories(Value(environment, "_NT_SOURCE_PATH"));
  options.extension_path = DropMissingDirectories(Value(environment, "_NT_DEBUGGER_EXTENSION_PATH"));
  options.symbol_proxy = Value(environment, "_NT_SYMBOL_PROXY");
  options.driver_map_file = Value(environment, "_NT_KD_FILES");
  options.quiet = environment("KDQUIET").has_value();
  ReadDebugOptions(Value(environment, "_NT_DEBUG_OPTIONS"), options);
  ReadLog(environment, options);
  std::uint64_t lines = options.history_lines;
  if (auto read = ReadNumber(environment, "_NT_DEBUG_HISTORY_SIZE", 1'000'000, lines); !read) return read;
  options.history_lines = static_cast<std::uint32_t>(lines);
  if (auto read = ReadNumber(environment, "_NT_DEBUG_CACHE_SIZE", 1ull << 32, options.cache_bytes); !read)
    return read;
  if (const std::string evaluator = LowerCase(Value(environment, "_NT_EXPR_EVAL")); !evaluator.empty()) {
    if (evaluator != "masm" && evaluator != "c++") {
      return Error{Errc::kUsage, "the environment variable _NT_EXPR_EVAL takes only masm or c++"};
    }
    options.evaluator = evaluator;
  }
  return {};
}

}  // namespace longwire

#include "transport/endpoint_password.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace longwire {
namespace {

constexpr std::size_t kDocumentedLength = 12;
constexpr std::size_t kMaxPassword = 1024;

Error UsageError(std::string message) { return Error{Errc::kUsage, std::move(message)}; }

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Result<ResolvedPassword> FromVariable(const std::string& name, const Environment& environment) {
  const std::optional<std::string> value = environment(name);
  if (!value || value->empty()) {
    return UsageError("password=env:" + name + ": the environment variable is not set or empty");
  }
  if (value->size() > kMaxPassword) {
    return UsageError("password=env:" + name + ": the password is longer than 1024 characters");
  }
  return ResolvedPassword{Secret(*value), ""};
}

Result<ResolvedPassword> FromFile(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return UsageError("password=file:" + path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return UsageError("password=file:" + path + ": not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return UsageError("password=file:" + path + ": " + std::strerror(errno));
  std::string buffer(kMaxPassword + 2, '\0');
  file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
  Secret line(std::string_view(buffer.data(), static_cast<std::size_t>(file.gcount())));
  std::fill(buffer.begin(), buffer.end(), '\0');
  std::string_view text = line.Reveal();
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) return UsageError("password=file:" + path + ": the first line is empty");
  if (text.size() > kMaxPassword)
    return UsageError("password=file:" + path + ": the first line is longer than 1024 characters");
  ResolvedPassword resolved{Secret(text), ""};
  if ((status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    resolved.warning = "password file " + path + " can be read by other users; run chmod 600 on it";
  }
  return resolved;
}

}  // namespace

Result<ResolvedPassword> ResolvePassword(std::string_view value, const Environment& environment) {
  if (value.empty()) return UsageError("key 'password' needs a value");
  if (value == "*") return ResolvedPassword{};
  if (value.starts_with("env:")) return FromVariable(std::string(value.substr(4)), environment);
  if (value.starts_with("file:")) return FromFile(std::string(value.substr(5)));
  if (value.find_first_of(" \t\"'") != std::string_view::npos) {
    return UsageError(
        "the password holds a blank or a quotation mark; put it into a file and write password=file:PATH");
  }
  if (!std::all_of(value.begin(), value.end(), IsAlphanumeric)) {
    return UsageError(
        "the password holds a character other than letters and digits; write password=file:PATH or "
        "password=env:VAR");
  }
  if (value.size() > kMaxPassword) return UsageError("the password is longer than 1024 characters");
  ResolvedPassword resolved{Secret(value), ""};
  if (value.size() > kDocumentedLength) {
    resolved.warning = "the password is longer than 12 characters; other tools of this kind may refuse it";
  }
  return resolved;
}

}  // namespace longwire

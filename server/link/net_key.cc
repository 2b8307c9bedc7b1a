#include "server/link/net_key.h"

#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

namespace longwire {
namespace {

/// Four parts of 13 digits, three dots, and room to see that a line is longer.
constexpr std::size_t kMostFileBytes = 64;

Result<Secret> FirstLine(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
    return Error{Errc::kUsage,
                 "there is no key file " + path + "; write the key of the target into its first line"};
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Error{Errc::kUsage, "the key file " + path + " cannot be read; check its owner and permissions"};
  std::array<char, kMostFileBytes> buffer{};
  file.read(buffer.data(), buffer.size());
  std::string_view line(buffer.data(), static_cast<std::size_t>(file.gcount()));
  line = line.substr(0, line.find('\n'));
  while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  Secret secret(line);
  buffer.fill('\0');
  return secret;
}

}  // namespace

Result<kdnet::Key> ReadNetKey(const NetLink& link) {
  if (link.key_file.empty()) return kdnet::ParseKey(link.key.Reveal());
  const Result<Secret> line = FirstLine(link.key_file);
  if (!line) return line.error();
  Result<kdnet::Key> key = kdnet::ParseKey(line->Reveal());
  if (key) return key;
  return Error{Errc::kUsage,
               "the first line of the key file " + link.key_file +
                   " is not a key: four groups of 1 to 13 characters a-z 0-9 with dots between"};
}

Result<std::string> MakeNetKey() {
  kdnet::Block bits{};
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bits.data()), static_cast<int>(bits.size())) != 1)
    return Error{Errc::kInternal, "the system gave no random bytes for a key; try again"};
  return kdnet::FormatKey(bits);
}

}  // namespace longwire

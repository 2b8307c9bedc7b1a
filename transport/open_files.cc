#include "transport/open_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <sstream>

namespace longwire {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNamed = 4;

bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// A process may call itself anything.
std::string ProgramOf(const std::string& process) {
  std::string name = ReadProcFile("/proc/" + process + "/comm");
  while (!name.empty() && name.back() == '\n') name.pop_back();
  for (char& c : name) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return name.empty() ? "a program" : name;
}

/// The other processes with a descriptor that `is_it` (given its path below /proc) accepts.
std::string Users(const std::function<bool(const fs::path&)>& is_it) {
  std::string users;
  std::size_t count = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string process = entry.path().filename().string();
    if (!IsNumber(process) || process == std::to_string(::getpid())) continue;
    std::error_code hidden;
    for (fs::directory_iterator at(entry.path() / "fd", hidden), end; !hidden && at != end;
         at.increment(hidden)) {
      if (!is_it(at->path())) continue;
      if (++count <= kMostNamed) {
        users += (users.empty() ? "" : ", ") + ProgramOf(process) + " (process " + process + ")";
      }
      break;
    }
  }
  if (count > kMostNamed) users += ", and others";
  return users;
}

/// Inodes of the sockets that listen on `port`; one line per socket (proc(5), /proc/net/tcp).
void AddListeningInodes(const std::string& table, std::uint16_t port, std::set<std::string>& inodes) {
  std::istringstream lines(table);
  std::string line;
  std::getline(lines, line);  // the head
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, user, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >> inode;
    const std::size_t colon = local.rfind(':');
    if (state != "0A" || colon == std::string::npos) continue;
    if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) inodes.insert("socket:[" + inode + "]");
  }
}

}  // namespace

std::string ReadProcFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string UsersOfDevice(const std::string& path) {
  struct stat wanted {};
  if (::stat(path.c_str(), &wanted) != 0) return {};
  return Users([&wanted](const fs::path& descriptor) {
    struct stat open {};
    return ::stat(descriptor.c_str(), &open) == 0 && S_ISCHR(open.st_mode) && open.st_rdev == wanted.st_rdev;
  });
}

std::string ListenersOnPort(std::uint16_t port) {
  std::set<std::string> inodes;
  AddListeningInodes(ReadProcFile("/proc/net/tcp"), port, inodes);
  AddListeningInodes(ReadProcFile("/proc/net/tcp6"), port, inodes);
  if (inodes.empty()) return {};
  return Users([&inodes](const fs::path& descriptor) {
    std::error_code gone;
    return inodes.contains(fs::read_symlink(descriptor, gone).string());
  });
}

std::size_t ConnectionsOfSocket(std::string_view table, std::string_view path) {
  std::size_t count = 0;
  std::istringstream lines{std::string(table)};
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string number, references, protocol, flags, type, state, inode, name;
    fields >> number >> references >> protocol >> flags >> type >> state >> inode >> std::ws;
    std::getline(fields, name);
    // SS_CONNECTING: not accepted yet; SS_CONNECTED.
    if (name == path && (state == "02" || state == "03")) ++count;
  }
  return count;
}

}  // namespace longwire

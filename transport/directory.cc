#include "transport/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>

#include "transport/endpoint_pipe.h"
#include "transport/server_process.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxEntryBytes = 16 * 1024;
constexpr int kMaxFiles = 4096;
constexpr std::size_t kKeptStaleFiles = 16;
constexpr std::size_t kMaxFreeText = 200;
constexpr std::string_view kSuffix = ".server";

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// What a file says and what its owner is, which the file cannot say itself.
struct FoundEntry {
  std::string name;
  ServerEntry entry;
  uid_t user = 0;
  timespec modified{};
};

/// Opens a directory of the registry. One that neither root nor this user made is not trusted: under /tmp
/// anybody can make one. errno tells why not.
Descriptor OpenDirectory(const std::string& path) {
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat found {};
  if (!directory || ::fstat(directory.get(), &found) != 0) return Descriptor();
  if (found.st_uid != 0 && found.st_uid != ::geteuid()) {
    errno = EPERM;
    return Descriptor();
  }
  return directory;
}

std::string UserName(uid_t user) {
  std::array<char, 4096> buffer{};
  passwd record{};
  passwd* found = nullptr;
  ::getpwuid_r(user, &record, buffer.data(), buffer.size(), &found);
  return found != nullptr ? found->pw_name : std::to_string(user);
}

/// The file `name`, if it is one that a reader may trust to be small and to end. Never waits: a FIFO is no
/// regular file, and opening it without blocking returns at once.
std::optional<FoundEntry> ReadEntry(int directory, const char* name) {
  const Descriptor file(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat found {};
  if (!file || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  if (found.st_size <= 0 || static_cast<std::size_t>(found.st_size) > kMaxEntryBytes) return std::nullopt;
  std::string text(static_cast<std::size_t>(found.st_size), '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size != found.st_size) return std::nullopt;
  std::optional<ServerEntry> entry = ParseServerEntry(text);
  if (!entry) return std::nullopt;
  entry->owner = UserName(found.st_uid);
  return FoundEntry{name, std::move(*entry), found.st_uid, found.st_mtim};
}

void ForEachEntry(int directory, const std::function<void(FoundEntry)>& take) {
  // The stream closes its descriptor and moves its position, so it gets one of its own.
  const int own = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = own >= 0 ? ::fdopendir(own) : nullptr;
  if (stream == nullptr) {
    if (own >= 0) ::close(own);
    return;
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> closer(stream, &::closedir);
  int files = 0;
  while (const dirent* item = ::readdir(stream)) {
    if (!std::string_view(item->d_name).ends_with(kSuffix)) continue;
    if (++files > kMaxFiles) return;
    if (auto found = ReadEntry(directory, item->d_name)) take(std::move(*found));
  }
}

enum class State { kLive, kStale, kForged };

State StateOf(const FoundEntry& found) {
  const auto process = IdentifyProcess(found.entry.pid);
  // Where /proc hides the processes of others, all that can be known is that one with this id exists.
  if (!process) return ProcessExists(found.entry.pid) ? State::kLive : State::kStale;
  if (process->ended || process->start_time != found.entry.start_time) return State::kStale;
  return found.user == process->user || found.user == 0 ? State::kLive : State::kForged;
}

void RemoveOldStaleFiles(int directory) {
  std::vector<FoundEntry> stale;
  ForEachEntry(directory, [&](FoundEntry found) {
    if (found.user == ::geteuid() && StateOf(found) == State::kStale) stale.push_back(std::move(found));
  });
  if (stale.size() <= kKeptStaleFiles) return;
  std::sort(stale.begin(), stale.end(), [](const FoundEntry& a, const FoundEntry& b) {
    return std::tie(a.modified.tv_sec, a.modified.tv_nsec) > std::tie(b.modified.tv_sec, b.modified.tv_nsec);
  });
  for (std::size_t i = kKeptStaleFiles; i < stale.size(); ++i)
    ::unlinkat(directory, stale[i].name.c_str(), 0);
}

bool WriteAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string FallbackDirectory() { return "/tmp/longwire-" + std::to_string(::geteuid()) + "-servers"; }

}  // namespace

DirectoryPaths ServerDirectories(const Environment& environment) {
  DirectoryPaths paths;
  paths.shared = "/run/longwire-servers";
  if (const auto named = environment("LONGWIRE_SERVERS_DIRECTORY"); named && named->starts_with('/')) {
    paths.shared = *named;
  }
  // Beside the directory of the pipes, not in it: there a pipe could have its name.
  paths.own = PipeDirectory(environment) + "-servers";
  const std::string runtime = "/run/user/" + std::to_string(::geteuid()) + "/longwire-servers";
  for (const std::string& other : {runtime, FallbackDirectory()}) {
    if (other != paths.own) paths.also_read.push_back(other);
  }
  return paths;
}

std::optional<ServerEntry> MakeServerEntry(ServerType type, const Endpoint& endpoint, std::string_view pool,
                                           std::string_view note) {
  if (endpoint.hidden || endpoint.clicon) return std::nullopt;
  ServerEntry entry;
  entry.type = type;
  entry.endpoint = FormatEndpoint(endpoint);
  entry.pid = ::getpid();
  if (const auto self = IdentifyProcess(entry.pid)) entry.start_time = self->start_time;
  entry.owner = UserName(::geteuid());
  entry.pool = PrintableText(pool.substr(0, kMaxFreeText));
  entry.note = PrintableText(note.substr(0, kMaxFreeText));
  return entry;
}

std::vector<ServerEntry> ReadServerDirectories(const DirectoryPaths& paths, bool include_stale) {
  std::vector<std::string> places{paths.shared, paths.own};
  places.insert(places.end(), paths.also_read.begin(), paths.also_read.end());
  std::vector<ServerEntry> entries;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (std::find(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(i), places[i]) !=
        places.begin() + static_cast<std::ptrdiff_t>(i)) {
      continue;
    }
    const Descriptor directory = OpenDirectory(places[i]);
    if (!directory) continue;
    ForEachEntry(directory.get(), [&](FoundEntry found) {
      const State state = StateOf(found);
      if (state == State::kForged || (state == State::kStale && !include_stale)) return;
      found.entry.stale = state == State::kStale;
      entries.push_back(std::move(found.entry));
    });
  }
  std::sort(entries.begin(), entries.end(), [](const ServerEntry& a, const ServerEntry& b) {
    return std::tie(a.type, a.start_time, a.pid, a.endpoint) <
           std::tie(b.type, b.start_time, b.pid, b.endpoint);
  });
  return entries;
}

ScopedDirectoryEntry::ScopedDirectoryEntry(const ServerEntry& entry, const DirectoryPaths& paths)
    : process_(::getpid()) {
  const Descriptor shared = OpenDirectory(paths.shared);
  if (shared && WriteTo(shared.get(), entry)) return;
  const std::string reason = std::strerror(errno);
  const std::string remedy = "cannot write " + paths.shared + " (" + reason +
                             "); create it with group debugger and mode 3775, and join that group.";
  if (::mkdir(paths.own.c_str(), 0700) == 0 || errno == EEXIST) {
    const Descriptor own = OpenDirectory(paths.own);
    if (own && WriteTo(own.get(), entry)) {
      notice_ = "Only this user finds the server with -QR: " + remedy;
      return;
    }
  }
  notice_ = "-QR does not list this server, though clients can connect to it: " + remedy;
}

bool ScopedDirectoryEntry::WriteTo(int directory, const ServerEntry& entry) {
  static int sequence = 0;
  const std::string name = std::to_string(entry.pid) + "-" + std::to_string(entry.start_time) + "-" +
                           std::to_string(++sequence) + std::string(kSuffix);
  const std::string temporary = "." + name + ".new";
  ::unlinkat(directory, temporary.c_str(), 0);  // of a process with the same id before the last reboot
  const Descriptor file(
      ::openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return false;
  Descriptor kept(::fcntl(directory, F_DUPFD_CLOEXEC, 0));
  // The umask of a service may be 077, but others are to read this.
  const bool written = kept && ::fchmod(file.get(), 0644) == 0 &&
                       WriteAll(file.get(), FormatServerEntry(entry) + "\n") &&
                       ::renameat(directory, temporary.c_str(), directory, name.c_str()) == 0;
  if (!written) {
    const int error = errno;
    ::unlinkat(directory, temporary.c_str(), 0);
    errno = error;
    return false;
  }
  name_ = name;
  directory_ = kept.release();
  RemoveOldStaleFiles(directory);
  return true;
}

ScopedDirectoryEntry::ScopedDirectoryEntry(ScopedDirectoryEntry&& other) noexcept {
  *this = std::move(other);
}

ScopedDirectoryEntry& ScopedDirectoryEntry::operator=(ScopedDirectoryEntry&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  directory_ = std::exchange(other.directory_, -1);
  name_ = std::move(other.name_);
  process_ = other.process_;
  notice_ = std::move(other.notice_);
  return *this;
}

ScopedDirectoryEntry::~ScopedDirectoryEntry() { Remove(); }

void ScopedDirectoryEntry::Remove() noexcept {
  if (directory_ < 0) return;
  if (process_ == ::getpid()) ::unlinkat(directory_, name_.c_str(), 0);
  ::close(directory_);
  directory_ = -1;
}

}  // namespace longwire

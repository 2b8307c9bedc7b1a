#include "server/kd/link_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace longwire {
namespace {

constexpr std::string_view kJournal = ".journal";
constexpr std::size_t kMaxJournals = 1024;

Error IoError(const std::string& path) {
  const int number = errno;
  return Error{Errc::kIo, "cannot write " + path + ": " + std::strerror(number), 0, number};
}

/// FNV-1a: names files, protects nothing.
std::string HashOf(const std::string& name) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  char text[32];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::string PrefixOf(const std::string& server) { return "kdsrv-" + HashOf(server) + "-"; }

std::string ReadBounded(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(JournalEntry::kMaxBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

}  // namespace

Result<std::unique_ptr<LinkJournal>> LinkJournal::Lock(const std::string& stem) {
  const std::string path = stem + ".lock";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) return IoError(path);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return Error{Errc::kBusy, path + " is locked: another server of this user has that link"};
  }
  // Its last owner may have removed the name between our two calls.
  struct stat ours {
  }, named{};
  if (::fstat(lock, &ours) != 0 || ::stat(path.c_str(), &named) != 0 || ours.st_ino != named.st_ino) {
    ::close(lock);
    return Error{Errc::kBusy, path + " was just given up by another server; try again"};
  }
  return std::unique_ptr<LinkJournal>(new LinkJournal(stem, lock));
}

Result<std::unique_ptr<LinkJournal>> LinkJournal::Open(const std::string& directory,
                                                       const std::string& server, const std::string& device) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(directory, error);
  if (error) return Error{Errc::kIo, "cannot make " + directory + ": " + error.message(), 0, error.value()};
  if (made) std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  return Lock(directory + "/" + PrefixOf(server) + HashOf(device));
}

std::vector<LinkJournal::Found> LinkJournal::TakeOver(
    const std::string& directory, const std::string& server,
    const std::function<void(const std::string&)>& complain) {
  std::vector<Found> all;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    const std::string path = file.path().string();
    const bool ours = file.path().filename().string().starts_with(PrefixOf(server));
    if (!ours || !path.ends_with(kJournal) || all.size() >= kMaxJournals) continue;
    const std::string stem = path.substr(0, path.size() - kJournal.size());
    auto journal = Lock(stem);
    if (!journal) continue;  // its server lives
    const std::string text = ReadBounded(path);
    auto entry = ParseJournalEntry(text);
    if (!entry) {
      complain(path + ": " + entry.error().message + "; removed");
      (*journal)->Remove();
      continue;
    }
    (*journal)->written_ = text;
    all.push_back({std::move(*entry), std::move(*journal)});
  }
  return all;
}

LinkJournal::~LinkJournal() {
  if (written_.empty()) ::unlink((stem_ + ".lock").c_str());  // while it is ours
  ::close(lock_);
}

Result<void> LinkJournal::Write(const JournalEntry& entry) {
  std::string text = FormatJournalEntry(entry);
  if (text == written_) return {};
  const std::string path = stem_ + std::string(kJournal), fresh = stem_ + ".new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return IoError(fresh);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t part = ::write(file, text.data() + done, text.size() - done);
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) break;
    done += static_cast<std::size_t>(part);
  }
  const bool whole = done == text.size();
  const Error failed = whole ? Error{} : IoError(fresh);
  ::close(file);
  if (!whole) return failed;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return IoError(path);
  written_ = std::move(text);
  return {};
}

void LinkJournal::Remove() {
  ::unlink((stem_ + std::string(kJournal)).c_str());
  written_.clear();
}

}  // namespace longwire

#include "client/engine/driver_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace longwire {
namespace {

// NTSTATUS of the answers (kd-protocol.md 4.2).
constexpr std::uint32_t kSuccess = 0, kUnsuccessful = 0xC0000001, kInvalidHandle = 0xC0000008,
                        kNoSuchFile = 0xC000000F, kAccessDenied = 0xC0000022, kDeviceError = 0xC0000185;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

Error BadLine(std::size_t number, const char* what) {
  return Error{Errc::kMalformed, "line " + std::to_string(number) + " of the driver map " + what};
}

}  // namespace

Result<std::vector<DriverFile>> ParseDriverMap(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<DriverFile> map;
  enum class Expect { kMap, kTarget, kHost } expect = Expect::kMap;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (expect == Expect::kMap) {
      if (line.empty() || line.front() == '#') continue;
      if (Lower(line) != "map") return BadLine(number, "should be 'map'");
      if (map.size() >= kMaxDriverFiles) return BadLine(number, "is one too many: 4096 files are the most");
      map.emplace_back();
      expect = Expect::kTarget;
      continue;
    }
    if (line.empty() || line.find('\0') != std::string_view::npos)
      return BadLine(number, expect == Expect::kTarget ? "should name a file of the target"
                                                       : "should name a file of this machine");
    if (expect == Expect::kTarget) {
      map.back().target = std::string(line);
      expect = Expect::kHost;
    } else {
      map.back().host = std::string(line);
      expect = Expect::kMap;
    }
  }
  if (expect != Expect::kMap) return BadLine(number, "is the last, and its block has three");
  return map;
}

Result<void> DriverFiles::Load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxDriverMapBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (!file.eof() && file.gcount() == 0))
    return Error{Errc::kNotFound, "'" + path + "' cannot be read; check the path"};
  if (static_cast<std::size_t>(file.gcount()) > kMaxDriverMapBytes)
    return Error{Errc::kLimitExceeded, "'" + path + "' is larger than 1 MiB"};
  text.resize(static_cast<std::size_t>(file.gcount()));
  Result<std::vector<DriverFile>> map = ParseDriverMap(text);
  if (!map) return map.error();
  map_ = std::move(*map);
  path_ = path;
  return {};
}

Result<void> DriverFiles::Add(DriverFile file) {
  for (DriverFile& known : map_) {
    if (Lower(known.target) != Lower(file.target)) continue;
    known.host = std::move(file.host);
    return {};
  }
  if (map_.size() >= kMaxDriverFiles) return Error{Errc::kLimitExceeded, "4096 driver files are the most"};
  map_.push_back(std::move(file));
  return {};
}

Result<void> DriverFiles::Save(const std::string& path) const {
  std::ofstream file(path, std::ios::binary);
  for (const DriverFile& one : map_) file << "map\n" << one.target << "\n" << one.host << "\n\n";
  file.close();
  if (!file) return Error{Errc::kNotFound, "'" + path + "' cannot be written; check the path"};
  return {};
}

void DriverFiles::Clear() {
  map_.clear();
  path_.clear();
}

const DriverFile* DriverFiles::Find(std::string_view target_name) const {
  const std::string name = Lower(target_name);
  const std::string base = name.substr(name.find_last_of('\\') + 1);
  for (const DriverFile& file : map_) {
    const std::string wanted = Lower(file.target);
    if (wanted == name) return &file;
    if (wanted.find('\\') != std::string::npos) continue;
    if (wanted == base || wanted == base.substr(0, base.find_last_of('.'))) return &file;
  }
  return nullptr;
}

DriverFiles::Answer DriverFiles::Open(const rpc::FileRequested& request) {
  Answer answer;
  answer.answer.request = request.request;
  answer.answer.status = kNoSuchFile;
  const DriverFile* file = Find(request.name);
  if (!file) return answer;
  answer.note = "KD: Accessing '" + file->host + "' (" + request.name + ")\n";
  // A pipe must not hold the debugger up.
  const int descriptor = open(file->host.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (descriptor < 0 || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    const std::string reason = descriptor < 0 ? std::strerror(errno) : "not a plain file";
    answer.note += "KD: '" + file->host + "' cannot be used (" + reason + "); the target takes its own\n";
    if (descriptor >= 0) close(descriptor);
    return answer;
  }
  if (open_.size() >= kMaxOpenFiles) {
    close(open_.begin()->second);
    open_.erase(open_.begin());
  }
  open_[++last_handle_] = descriptor;
  answer.answer.status = kSuccess;
  answer.answer.handle = last_handle_;
  answer.answer.length = static_cast<std::uint64_t>(status.st_size);
  return answer;
}

DriverFiles::Answer DriverFiles::Read(const rpc::FileRequested& request) const {
  Answer answer;
  answer.answer.request = request.request;
  answer.answer.handle = request.handle;
  const auto file = open_.find(request.handle);
  if (file == open_.end() || request.offset > static_cast<std::uint64_t>(INT64_MAX)) {
    answer.answer.status = file == open_.end() ? kInvalidHandle : kUnsuccessful;
    return answer;
  }
  answer.data.resize(std::min<std::size_t>(request.length, kMaxReadBytes));
  const ssize_t got =
      pread(file->second, answer.data.data(), answer.data.size(), static_cast<off_t>(request.offset));
  if (got < 0) answer.answer.status = kDeviceError;
  answer.data.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  answer.answer.length = answer.data.size();
  return answer;
}

DriverFiles::Answer DriverFiles::Serve(const rpc::FileRequested& request) {
  using Operation = rpc::FileRequested::Operation;
  if (request.operation == Operation::kCreate) return Open(request);
  if (request.operation == Operation::kRead) return Read(request);
  Answer answer;
  answer.answer.request = request.request;
  answer.answer.status = kAccessDenied;
  if (request.operation != Operation::kClose) return answer;
  const auto file = open_.find(request.handle);
  answer.answer.status = file == open_.end() ? kInvalidHandle : kSuccess;
  if (file != open_.end()) {
    close(file->second);
    open_.erase(file);
  }
  return answer;
}

void DriverFiles::CloseAll() {
  for (const auto& [handle, descriptor] : open_) close(descriptor);
  open_.clear();
}

}  // namespace longwire

#include "server/replay/recording_port.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <utility>

#include "proto/recording/recording.h"
#include "transport/scoped_descriptor.h"

namespace longwire {
namespace {

/// The files of one link. Shared by the streams that follow one another.
class RecordingFile {
 public:
  RecordingFile(std::string name, RecordingOptions options)
      : name_(std::move(name)), options_(std::move(options)) {}

  void Note(std::string text) {
    recording::Entry entry;
    entry.note = std::move(text);
    Write(std::move(entry));
  }
  void Bytes(recording::Entry::Kind kind, kd::ByteView bytes) {
    if (bytes.empty()) return;
    recording::Entry entry;
    entry.kind = kind;
    entry.bytes.assign(bytes.begin(), bytes.end());
    Write(std::move(entry));
  }

 private:
  std::string Path(unsigned age) const {
    std::string file = RecordingFileName(name_);
    if (age > 0) file.insert(file.rfind('.'), "." + std::to_string(age));
    return options_.directory + "/" + file;
  }

  void Rotate() {
    file_ = {};
    std::error_code ignored;
    std::filesystem::remove(Path(options_.max_files - 1), ignored);
    for (unsigned age = options_.max_files - 1; age > 0; --age)
      std::filesystem::rename(Path(age - 1), Path(age), ignored);
  }

  bool Begin() {
    std::error_code failed;
    std::filesystem::create_directories(options_.directory, failed);
    Rotate();
    file_ = ScopedDescriptor(
        ::open(Path(0).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file_.get() < 0) return false;
    size_ = 0;
    recording::Entry first;
    char when[32];
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
    first.seconds = Seconds();
    first.note = "recording of " + name_ + " at " + when;
    return Append(recording::FormatEntry(first));
  }

  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }

  bool Append(const std::string& line) {
    std::size_t done = 0;
    while (done < line.size()) {
      const ssize_t wrote = ::write(file_.get(), line.data() + done, line.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return false;
      done += static_cast<std::size_t>(wrote);
    }
    size_ += line.size();
    return true;
  }

  void Write(recording::Entry entry) {
    if (given_up_) return;
    entry.seconds = Seconds();
    const std::string line = recording::FormatEntry(entry);
    if ((file_.get() >= 0 && size_ + line.size() <= options_.max_file_bytes) || Begin()) {
      if (Append(line)) return;
    }
    given_up_ = true;
    options_.log("the link " + name_ + " is not recorded any more: " + Path(0) + ": " + std::strerror(errno));
    file_ = {};
  }

  std::string name_;
  RecordingOptions options_;
  ScopedDescriptor file_;
  std::uint64_t size_ = 0;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  bool given_up_ = false;
};

class RecordingStream final : public Stream {
 public:
  RecordingStream(std::unique_ptr<Stream> stream, std::shared_ptr<RecordingFile> file)
      : stream_(std::move(stream)), file_(std::move(file)) {}

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    return Read(stream_, file_, out);
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    file_->Bytes(recording::Entry::Kind::kFromHost, head);
    file_->Bytes(recording::Entry::Kind::kFromHost, body);
    return stream_->WriteAll(head, body);
  }
  Awaitable<Result<void>> ShutdownWrite() override { return stream_->ShutdownWrite(); }
  Result<void> SetBaud(std::uint32_t baud) override {
    const Result<void> set = stream_->SetBaud(baud);
    if (set) file_->Note("the line runs at " + std::to_string(baud) + " baud");
    return set;
  }
  void Close() noexcept override { stream_->Close(); }
  const PeerInfo& peer() const noexcept override { return stream_->peer(); }

 private:
  static Awaitable<Result<std::size_t>> Read(std::shared_ptr<Stream> stream,
                                             std::shared_ptr<RecordingFile> file, std::span<std::byte> out) {
    Result<std::size_t> size = co_await stream->ReadSome(out);
    if (!size) {
      file->Note("the stream ended: " + size.error().message);
    } else if (*size == 0) {
      file->Note("the stream ended");
    } else {
      file->Bytes(recording::Entry::Kind::kFromTarget, out.first(*size));
    }
    co_return size;
  }

  std::shared_ptr<Stream> stream_;
  std::shared_ptr<RecordingFile> file_;
};

class RecordingPort final : public LinkPort {
 public:
  RecordingPort(std::unique_ptr<LinkPort> port, std::shared_ptr<RecordingFile> file)
      : port_(std::move(port)), file_(std::move(file)) {}

  Awaitable<Result<std::unique_ptr<Stream>>> Open() override {
    Result<std::unique_ptr<Stream>> stream = co_await port_->Open();
    if (!stream) co_return stream;
    file_->Note("the stream was opened");
    co_return std::make_unique<RecordingStream>(std::move(*stream), file_);
  }
  void Cancel() noexcept override { port_->Cancel(); }
  bool listens() const noexcept override { return port_->listens(); }
  bool reconnects() const noexcept override { return port_->reconnects(); }
  std::uint32_t bytes_per_second() const noexcept override { return port_->bytes_per_second(); }
  std::uint32_t baud() const noexcept override { return port_->baud(); }
  void SetBaud(std::uint32_t baud) override { port_->SetBaud(baud); }

 private:
  std::unique_ptr<LinkPort> port_;
  std::shared_ptr<RecordingFile> file_;
};

}  // namespace

std::string RecordingFileName(const std::string& name) {
  std::string file;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    file += plain ? c : '_';
  }
  if (file.size() > 200) file.resize(200);
  return file + ".jsonl";
}

std::unique_ptr<LinkPort> MakeRecordingPort(std::unique_ptr<LinkPort> port, const std::string& name,
                                            RecordingOptions options) {
  auto file = std::make_shared<RecordingFile>(name, std::move(options));
  return std::make_unique<RecordingPort>(std::move(port), std::move(file));
}

}  // namespace longwire

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "client/symbols/pe_image.h"

namespace longwire {
namespace {

// Reads with pread, not through a mapping: a file that shrinks under us is then a short read, not a signal.
class PlainPeFile final : public PeFile {
 public:
  PlainPeFile(std::string path, int descriptor, std::uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  ~PlainPeFile() override { ::close(descriptor_); }
  PlainPeFile(const PlainPeFile&) = delete;
  PlainPeFile& operator=(const PlainPeFile&) = delete;

  Result<void> ReadHeaders() {
    auto headers = ParsePeHeaders(
        [this](std::uint32_t offset, std::span<std::byte> out) { return ReadAt(offset, out); });
    if (!headers) return headers.error();
    headers_ = *std::move(headers);
    return {};
  }

  const PeHeaders& headers() const override { return headers_; }
  const std::string& path() const override { return path_; }

  std::size_t Read(std::uint32_t rva, std::span<std::byte> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const std::size_t got = ReadPiece(rva + static_cast<std::uint32_t>(done), out.subspan(done));
      if (got == 0) break;
      done += got;
    }
    return done;
  }

 private:
  std::size_t ReadAt(std::uint64_t offset, std::span<std::byte> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  // The part of the range that lies in one section, or in the headers.
  std::size_t ReadPiece(std::uint32_t rva, std::span<std::byte> out) const {
    std::uint32_t first_section = UINT32_MAX;
    for (const PeSection& section : headers_.sections) {
      first_section = std::min(first_section, section.rva);
      const std::uint32_t extent = section.virtual_size != 0 ? section.virtual_size : section.file_size;
      if (rva < section.rva || rva - section.rva >= extent) continue;
      const std::uint32_t skip = rva - section.rva;
      const std::size_t length = std::min<std::size_t>(out.size(), extent - skip);
      const std::size_t in_file =
          skip < section.file_size ? std::min<std::size_t>(length, section.file_size - skip) : 0;
      const std::size_t got = ReadAt(std::uint64_t{section.file_offset} + skip, out.first(in_file));
      if (got < in_file) return got;
      std::memset(out.data() + in_file, 0, length - in_file);  // the loader zero-fills the rest of a section
      return length;
    }
    if (rva >= std::min<std::uint64_t>(first_section, size_)) return 0;
    return ReadAt(rva, out.first(std::min<std::size_t>(out.size(), first_section - rva)));
  }

  std::string path_;
  int descriptor_;
  std::uint64_t size_;
  PeHeaders headers_;
};

}  // namespace

Result<std::unique_ptr<PeFile>> PeFile::Open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const int error = errno;
  if (descriptor < 0)
    return Error{error == ENOENT || error == ENOTDIR ? Errc::kNotFound : Errc::kIo, "cannot open " + path, 0,
                 error};
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  auto file = std::make_unique<PlainPeFile>(path, descriptor, static_cast<std::uint64_t>(status.st_size));
  if (!regular) return Error{Errc::kMalformed, path + " is not a file"};
  if (auto read = file->ReadHeaders(); !read)
    return Error{read.error().code, path + ": " + read.error().message};
  return std::unique_ptr<PeFile>(std::move(file));
}

}  // namespace longwire

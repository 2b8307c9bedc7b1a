#include "client/symbols/pdb_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "client/symbols/byte_cursor.h"
#include "transport/scoped_descriptor.h"

namespace longwire {
namespace {

constexpr char kMagic[] =
    "Microsoft C/C++ MSF 7.00\r\n\x1a"
    "DS\0\0";  // 32 bytes
constexpr std::size_t kMagicSize = 32, kSuperBlockSize = 56;
constexpr std::uint32_t kMaximumDirectory = 64 << 20, kMaximumStreams = 1 << 20;
constexpr std::size_t kInformationStream = 1, kDebugStream = 3;

/// Multi-stream file: block size, directory, first block of each stream.
class MsfFile {
 public:
  MsfFile(int descriptor, std::uint64_t size) : descriptor_(descriptor), size_(size) {}

  bool Load();
  /// The first bytes of a stream, all within its first block.
  std::vector<std::uint8_t> StreamHead(std::size_t stream, std::size_t count) const;

 private:
  std::vector<std::uint8_t> ReadAt(std::uint64_t offset, std::size_t count) const {
    if (offset > size_ || count > size_ - offset) return {};
    std::vector<std::uint8_t> bytes(count);
    const ssize_t got = ::pread(descriptor_, bytes.data(), count, static_cast<off_t>(offset));
    return got == static_cast<ssize_t>(count) ? bytes : std::vector<std::uint8_t>{};
  }

  int descriptor_;
  std::uint64_t size_;
  std::uint32_t block_size_ = 0;
  std::vector<std::uint8_t> directory_;
};

bool MsfFile::Load() {
  const auto super = ReadAt(0, kSuperBlockSize);
  if (super.empty() || std::memcmp(super.data(), kMagic, kMagicSize) != 0) return false;
  ByteCursor cursor(super);
  cursor.Skip(kMagicSize);
  block_size_ = cursor.U32();
  cursor.Skip(8);
  const std::uint32_t directory_size = cursor.U32();
  cursor.U32();
  const std::uint32_t map_block = cursor.U32();
  if (block_size_ < 512 || block_size_ > 65536 ||
      directory_size > std::min<std::uint64_t>(size_, kMaximumDirectory))
    return false;
  const std::size_t blocks = (directory_size + block_size_ - 1) / block_size_;
  const auto map = ReadAt(std::uint64_t{map_block} * block_size_, blocks * 4);
  ByteCursor numbers(map);
  for (std::size_t i = 0; i < blocks && numbers.remaining() >= 4; ++i) {
    const std::size_t length = std::min<std::size_t>(block_size_, directory_size - directory_.size());
    const auto block = ReadAt(std::uint64_t{numbers.U32()} * block_size_, length);
    if (block.empty()) return false;
    directory_.insert(directory_.end(), block.begin(), block.end());
  }
  return directory_.size() == directory_size && directory_size >= 4;
}

std::vector<std::uint8_t> MsfFile::StreamHead(std::size_t stream, std::size_t count) const {
  ByteCursor cursor(directory_);
  const std::uint32_t streams = cursor.U32();
  if (streams > kMaximumStreams || stream >= streams) return {};
  std::uint64_t blocks_before = 0;
  std::uint32_t size = 0;
  for (std::size_t i = 0; i <= stream; ++i) {
    if (i > 0 && size != UINT32_MAX) blocks_before += (std::uint64_t{size} + block_size_ - 1) / block_size_;
    size = cursor.U32();
  }
  if (size == UINT32_MAX || size < count || count > block_size_) return {};
  const std::uint64_t position = 4 + std::uint64_t{streams} * 4 + blocks_before * 4;
  if (!cursor.ok() || position + 4 > directory_.size()) return {};
  ByteCursor number(std::span<const std::uint8_t>(directory_).subspan(position, 4));
  return ReadAt(std::uint64_t{number.U32()} * block_size_, count);
}

}  // namespace

Result<PdbIdentity> ReadPdbFileIdentity(const std::string& path) {
  const ScopedDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const int error = errno;
  if (file.get() < 0)
    return Error{error == ENOENT || error == ENOTDIR ? Errc::kNotFound : Errc::kIo, "cannot open " + path, 0,
                 error};
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return Error{Errc::kMalformed, path + " is not a file"};
  const Error damaged{Errc::kMalformed, path + " is not a usable PDB"};
  MsfFile msf(file.get(), static_cast<std::uint64_t>(status.st_size));
  if (!msf.Load()) return damaged;
  const auto information = msf.StreamHead(kInformationStream, 28);
  if (information.empty()) return damaged;
  PdbIdentity identity;
  ByteCursor cursor(information);
  cursor.Skip(8);  // version, signature
  identity.age = cursor.U32();
  const auto guid = cursor.Take(16);
  std::copy(guid.begin(), guid.end(), identity.guid.begin());
  if (const auto debug = msf.StreamHead(kDebugStream, 12); !debug.empty()) {
    ByteCursor age(debug);
    age.Skip(8);
    identity.age = age.U32();
  }
  identity.name = path.substr(path.rfind('/') + 1);
  return identity;
}

}  // namespace longwire

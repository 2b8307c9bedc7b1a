#include "server/dump/open_dump.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "server/dump/kernel_space.h"
#include "server/dump/process_space.h"
#include "transport/scoped_descriptor.h"

namespace longwire {
namespace {

/// Reads by pread: a file that is cut while it is open gives short reads, not a signal.
class OpenFile final : public dump::DumpFile {
 public:
  OpenFile(ScopedDescriptor descriptor, std::uint64_t size)
      : descriptor_(std::move(descriptor)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  std::size_t Read(std::uint64_t offset, std::span<std::byte> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(descriptor_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  ScopedDescriptor descriptor_;
  std::uint64_t size_;
};

}  // namespace

Result<std::unique_ptr<DumpSpace>> OpenDump(const std::string& path) {
  ScopedDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &info) != 0) {
    const int error = errno;
    return Error{Errc::kNotFound, "cannot open the dump " + path + ": " + std::strerror(error), 0, error};
  }
  if (!S_ISREG(info.st_mode)) return Error{Errc::kUsage, path + " is not a file"};
  auto file = std::make_unique<OpenFile>(std::move(descriptor), static_cast<std::uint64_t>(info.st_size));
  const auto named = [&](const Error& error) { return Error{error.code, path + ": " + error.message}; };
  std::unique_ptr<DumpSpace> space;
  if (dump::Minidump::Recognizes(*file)) {
    Result<dump::Minidump> dump = dump::Minidump::Open(std::move(file));
    if (!dump) return named(dump.error());
    space = std::make_unique<ProcessSpace>(std::move(*dump));
  } else {
    Result<dump::KernelDump> dump = dump::KernelDump::Open(std::move(file));
    if (!dump) return named(dump.error());
    space = std::make_unique<KernelSpace>(std::move(*dump));
  }
  return space;
}

}  // namespace longwire

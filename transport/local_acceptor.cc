#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <cstring>

#include "transport/acceptor.h"
#include "transport/descriptor_stream.h"
#include "transport/scoped_descriptor.h"
#include "transport/socket_stream.h"

namespace longwire {
namespace {

using Local = boost::asio::local::stream_protocol;

Error OsError(const std::string& what, int number) {
  return {Errc::kIo, what + ": " + std::strerror(number) + ".", 0, number};
}

Error InUse(const std::string& path) {
  return {Errc::kBusy, "Another server listens on " + path + "; choose another name or end that server."};
}

/// The lock that says who owns a socket path: a file beside it, locked while its server lives.
class PathLock {
 public:
  PathLock() = default;
  PathLock(PathLock&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  PathLock& operator=(PathLock&&) = delete;
  ~PathLock() { Release(); }

  static Result<PathLock> Take(const std::string& socket_path) {
    PathLock lock;
    lock.path_ = socket_path + ".lock";
    for (;;) {
      lock.descriptor_ = ::open(lock.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
      if (lock.descriptor_ < 0) return OsError("Cannot create " + lock.path_, errno);
      if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
        ::close(std::exchange(lock.descriptor_, -1));
        return InUse(socket_path);
      }
      // The former owner may have removed the file between open and flock: then this lock guards nothing.
      struct stat opened {
      }, named{};
      if (::fstat(lock.descriptor_, &opened) == 0 && ::stat(lock.path_.c_str(), &named) == 0 &&
          opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
        return lock;
      }
      ::close(std::exchange(lock.descriptor_, -1));
    }
  }

  void Release() noexcept {
    if (descriptor_ < 0) return;
    ::unlink(path_.c_str());
    ::close(std::exchange(descriptor_, -1));
  }

 private:
  std::string path_;
  int descriptor_ = -1;
};

class LocalAcceptor final : public Acceptor {
 public:
  LocalAcceptor(Local::acceptor socket, std::string path, PathLock lock)
      : socket_(std::make_shared<Local::acceptor>(std::move(socket))),
        path_(std::move(path)),
        lock_(std::move(lock)) {}
  ~LocalAcceptor() override { Close(); }

  Awaitable<Result<std::unique_ptr<Stream>>> Accept() override { return AcceptOne(socket_); }
  void Close() noexcept override {
    if (!socket_->is_open()) return;
    boost::system::error_code ignored;
    socket_->close(ignored);
    ::unlink(path_.c_str());
    lock_.Release();
  }

 private:
  static Awaitable<Result<std::unique_ptr<Stream>>> AcceptOne(std::shared_ptr<Local::acceptor> socket) {
    auto [error, peer] = co_await socket->async_accept(kAsTuple);
    if (error) co_return StreamError(error, "a new peer");
    co_return MakeLocalStream(std::move(peer));
  }

  std::shared_ptr<Local::acceptor> socket_;
  std::string path_;
  PathLock lock_;
};

/// With the lock held: removes what a dead server left, but nothing that is not a socket and none that
/// answers.
Result<void> RemoveStale(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return OsError("Cannot look at " + path, errno);
  }
  if (!S_ISSOCK(found.st_mode))
    return Error{Errc::kIo, path + " exists and is not a socket; remove it first."};
  // Without waiting: a server that hangs with a full backlog would hang whoever asks. Only a refusal tells
  // that nobody listens; a socket of another type or of another user is somebody else's.
  const Local::endpoint there(path);
  const ScopedDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.get() < 0) return OsError("Cannot look at " + path, errno);
  if (::connect(probe.get(), there.data(), static_cast<socklen_t>(there.size())) == 0 ||
      errno != ECONNREFUSED) {
    return InUse(path);
  }
  if (::unlink(path.c_str()) != 0) return OsError("Cannot replace the stale socket " + path, errno);
  return {};
}

}  // namespace

Result<std::unique_ptr<Acceptor>> BindLocalSocket(Executor executor, const std::string& path) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error{Errc::kUsage,
                 "The path " + path + " is too long for a local socket (107 characters at most)."};
  }
  auto lock = PathLock::Take(path);
  if (!lock) return lock.error();
  if (const auto removed = RemoveStale(path); !removed) return removed.error();
  Local::acceptor socket(executor);
  boost::system::error_code error;
  socket.open(Local(), error);
  // fchmod before bind gives the file its mode from the first moment (unix(7): the mode of the socket inode
  // is used).
  if (!error && ::fchmod(socket.native_handle(), 0600) != 0) return OsError("Cannot protect " + path, errno);
  if (!error) socket.bind(Local::endpoint(path), error);
  if (!error) socket.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) return OsError("Cannot listen on " + path, error.value());
  return std::make_unique<LocalAcceptor>(std::move(socket), path, std::move(*lock));
}

}  // namespace longwire

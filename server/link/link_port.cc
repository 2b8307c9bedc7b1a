#include "server/link/link_port.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "server/link/firewire_port.h"
#include "server/link/kdnet_port.h"
#include "transport/acceptor.h"
#include "transport/dial_socket.h"
#include "transport/serial_stream.h"

namespace longwire {
namespace {

constexpr std::chrono::seconds kConnectLimit{5};

/// A port whose other side is there or is not: what the kinds have in common.
class ConnectingPort : public LinkPort {
 public:
  ConnectingPort(Executor executor, bool reconnect) : executor_(std::move(executor)), reconnect_(reconnect) {}

  Awaitable<Result<std::unique_ptr<Stream>>> Open() final {
    if (cancelled_) co_return Error{Errc::kCancelled, "the link was closed"};
    Result<std::unique_ptr<Stream>> stream = co_await Connect(executor_);
    if (stream) co_return stream;
    Error error = stream.error();
    const bool says_more =
        error.code == Errc::kLinkInUse || error.code == Errc::kUsage || error.code == Errc::kUnsupported;
    if (!says_more) error.code = Errc::kLinkFailed;
    co_return error;
  }
  void Cancel() noexcept final { cancelled_ = true; }
  bool listens() const noexcept final { return false; }
  bool reconnects() const noexcept final { return reconnect_; }
  std::uint32_t bytes_per_second() const noexcept override { return 0; }

 private:
  virtual Awaitable<Result<std::unique_ptr<Stream>>> Connect(Executor executor) = 0;

  Executor executor_;
  bool reconnect_;
  bool cancelled_ = false;
};

/// A character device or pty.
class SerialPort final : public ConnectingPort {
 public:
  SerialPort(Executor executor, std::string path, std::uint32_t baud, bool reconnect)
      : ConnectingPort(std::move(executor), reconnect), path_(std::move(path)), baud_(baud) {}
  std::uint32_t bytes_per_second() const noexcept override { return baud_ / 10; }
  std::uint32_t baud() const noexcept override { return baud_; }
  void SetBaud(std::uint32_t baud) override { baud_ = baud; }

 private:
  Awaitable<Result<std::unique_ptr<Stream>>> Connect(Executor executor) override {
    co_return OpenSerial(executor, path_, baud_);
  }

  std::string path_;
  std::uint32_t baud_;
};

/// A Unix socket made by a VM, or a pty of that path; looked at anew at each attempt, since VMs re-create
/// them.
class PipePort final : public ConnectingPort {
 public:
  PipePort(Executor executor, std::string path, bool reconnect)
      : ConnectingPort(std::move(executor), reconnect), path_(std::move(path)) {}

 private:
  Awaitable<Result<std::unique_ptr<Stream>>> Connect(Executor executor) override {
    struct stat info {};
    if (::stat(path_.c_str(), &info) != 0) {
      const int error = errno;
      co_return Error{
          Errc::kLinkFailed,
          error == ENOENT
              ? "there is no pipe " + path_ + "; start the virtual machine, or add reconnect to wait for it"
              : "the pipe " + path_ + " cannot be reached: check the permissions of its directory",
          0, error};
    }
    if (S_ISCHR(info.st_mode)) co_return OpenSerial(executor, path_, 0);
    if (!S_ISSOCK(info.st_mode)) {
      co_return Error{Errc::kLinkFailed,
                      path_ +
                          " is neither a Unix socket nor a pty; configure the virtual machine's "
                          "serial port as a socket"};
    }
    co_return co_await DialLocalSocket(executor, path_, kConnectLimit);
  }

  std::string path_;
};

class TcpPort final : public ConnectingPort {
 public:
  TcpPort(Executor executor, std::string host, std::uint16_t port, bool reconnect)
      : ConnectingPort(std::move(executor), reconnect), host_(std::move(host)), port_(port) {}

 private:
  Awaitable<Result<std::unique_ptr<Stream>>> Connect(Executor executor) override {
    co_return co_await DialTcp(executor, host_, port_, std::nullopt, kConnectLimit);
  }

  std::string host_;
  std::uint16_t port_;
};

/// The VM, or the serial server, connects to us.
class ListeningPort final : public LinkPort {
 public:
  explicit ListeningPort(std::unique_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}

  Awaitable<Result<std::unique_ptr<Stream>>> Open() override { return acceptor_->Accept(); }
  void Cancel() noexcept override { acceptor_->Close(); }
  bool listens() const noexcept override { return true; }
  bool reconnects() const noexcept override { return true; }
  std::uint32_t bytes_per_second() const noexcept override { return 0; }

 private:
  std::unique_ptr<Acceptor> acceptor_;
};

Result<std::unique_ptr<LinkPort>> MakeComPort(Executor executor, const ComLink& link) {
  switch (link.kind) {
    case ComLink::Kind::kDevice:
      return std::unique_ptr<LinkPort>(
          std::make_unique<SerialPort>(executor, link.path, link.baud, link.reconnect));
    case ComLink::Kind::kPipe: {
      if (!link.listen)
        return std::unique_ptr<LinkPort>(std::make_unique<PipePort>(executor, link.path, link.reconnect));
      auto acceptor = BindLocalSocket(executor, link.path);
      if (!acceptor) return acceptor.error();
      return std::unique_ptr<LinkPort>(std::make_unique<ListeningPort>(std::move(*acceptor)));
    }
    case ComLink::Kind::kTcp: {
      if (!link.listen) {
        return std::unique_ptr<LinkPort>(
            std::make_unique<TcpPort>(executor, link.host, link.tcp_port, link.reconnect));
      }
      TcpBinding binding;
      binding.address = link.host;
      binding.port = {link.tcp_port, link.tcp_port};
      auto bound = BindTcp(executor, binding);
      if (!bound) return bound.error();
      if (bound->acceptors.empty()) return Error{Errc::kLinkFailed, "no address to listen on for the link"};
      return std::unique_ptr<LinkPort>(std::make_unique<ListeningPort>(std::move(bound->acceptors.front())));
    }
    case ComLink::Kind::kModem: break;
  }
  return Error{Errc::kUnsupported,
               "modem links are not supported; dial with another program and use com:ipport or a pty"};
}

}  // namespace

Result<std::unique_ptr<LinkPort>> MakeLinkPort(Executor executor, const KernelLink& link) {
  if (const auto* com = std::get_if<ComLink>(&link)) return MakeComPort(std::move(executor), *com);
  if (const auto* stub = std::get_if<ExdiLink>(&link)) {
    if (stub->port == 0)
      return std::unique_ptr<LinkPort>(std::make_unique<PipePort>(std::move(executor), stub->host, false));
    return std::unique_ptr<LinkPort>(
        std::make_unique<TcpPort>(std::move(executor), stub->host, stub->port, false));
  }
  if (const auto* net = std::get_if<NetLink>(&link)) return MakeKdnetPort(std::move(executor), *net);
  if (const auto* firewire = std::get_if<FirewireLink>(&link))
    return MakeFirewirePort(executor, *firewire, MakeSystemFirewireBus(executor));
  return Error{Errc::kUnsupported, "usb links are not supported by this build; use a com or net link"};
}

}  // namespace longwire

// Nodes as the kernel's firewire-core shows them: one character device each. Not yet tried with a controller.
#include <fcntl.h>
#include <linux/firewire-cdev.h>
#include <linux/firewire-constants.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <utility>

#include "server/link/firewire_bus.h"
#include "transport/deadline.h"
#include "transport/scoped_descriptor.h"

namespace longwire {
namespace {

namespace asio = boost::asio;
using firewire::BusOutcome;
using firewire::BusRequest;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// The kernel ends a transaction after 0.8 s, unless it was told otherwise.
constexpr std::chrono::seconds kAnswerLimit{2};
constexpr std::uint32_t kInterfaceVersion = 4;
constexpr std::size_t kMostRom = 256;  ///< quadlets
constexpr std::size_t kBusInformation = 2;
constexpr std::size_t kAtS100 = 512, kMostBytes = 4096;
constexpr int kFastest = 3;

std::uint32_t TransactionOf(BusRequest::Kind kind) {
  switch (kind) {
    case BusRequest::Kind::kReadQuadlet: return TCODE_READ_QUADLET_REQUEST;
    case BusRequest::Kind::kReadBlock: return TCODE_READ_BLOCK_REQUEST;
    case BusRequest::Kind::kWriteQuadlet: return TCODE_WRITE_QUADLET_REQUEST;
    case BusRequest::Kind::kWriteBlock: break;
  }
  return TCODE_WRITE_BLOCK_REQUEST;
}

BusOutcome OutcomeOf(std::uint32_t code) {
  switch (code) {
    case RCODE_COMPLETE: return BusOutcome::kComplete;
    case RCODE_SEND_ERROR:
    case RCODE_GENERATION: return BusOutcome::kStale;
    case RCODE_BUSY: return BusOutcome::kBusy;
    case RCODE_ADDRESS_ERROR: return BusOutcome::kAddressError;
    default: return BusOutcome::kFailed;
  }
}

/// What the speed of the way there and the node itself allow.
std::size_t MostBytes(int speed, const std::vector<std::uint32_t>& rom) {
  const std::size_t by_speed = kAtS100 << std::clamp(speed, 0, kFastest);
  const unsigned record = rom.size() > kBusInformation ? rom[kBusInformation] >> 12 & 0xF : 0;
  const std::size_t by_node = record == 0 ? kAtS100 : std::size_t{2} << record;
  return std::min({by_speed, by_node, kMostBytes});
}

class DeviceNode final : public FirewireNode {
 public:
  DeviceNode(Executor executor, std::string path, ScopedDescriptor device)
      : path_(std::move(path)), device_(executor, device.Release()) {}

  Result<View> Look() override {
    View view;
    view.rom.resize(kMostRom);
    fw_cdev_event_bus_reset reset{};
    fw_cdev_get_info info{};
    info.version = kInterfaceVersion;
    info.rom = reinterpret_cast<std::uintptr_t>(view.rom.data());
    info.rom_length = kMostRom * sizeof(std::uint32_t);
    info.bus_reset = reinterpret_cast<std::uintptr_t>(&reset);
    const int speed = ::ioctl(device_.native_handle(), FW_CDEV_IOC_GET_INFO, &info) == 0
                          ? ::ioctl(device_.native_handle(), FW_CDEV_IOC_GET_SPEED)
                          : -1;
    if (speed < 0) {
      const int number = errno;
      return Error{Errc::kLinkFailed, path_ + " is gone: " + std::strerror(number), 0, number};
    }
    view.rom.resize(std::min<std::size_t>(kMostRom, info.rom_length / sizeof(std::uint32_t)));
    view.most_bytes = MostBytes(speed, view.rom);
    generation_ = reset.generation;
    return view;
  }

  Awaitable<Reply> Perform(BusRequest request) override {
    fw_cdev_send_request send{};
    send.tcode = TransactionOf(request.kind);
    send.length = static_cast<std::uint32_t>(std::max(request.length, request.data.size()));
    send.offset = request.address;
    send.closure = ++last_;
    send.data = reinterpret_cast<std::uintptr_t>(request.data.data());
    send.generation = generation_;
    if (::ioctl(device_.native_handle(), FW_CDEV_IOC_SEND_REQUEST, &send) != 0) co_return Reply{};
    const ScopedDeadline deadline(device_.get_executor(), kAnswerLimit, [this] { device_.cancel(); });
    for (;;) {
      auto [error] = co_await device_.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
      if (error || deadline.expired()) co_return Reply{};
      bool answered = false;
      Reply reply = ReadEvent(send.closure, answered);
      if (answered) co_return reply;
    }
  }

  void Close() noexcept override {
    boost::system::error_code ignored;
    device_.close(ignored);
  }

 private:
  /// The answer to request `closure`, a failed one when the device is gone; other events are passed over: a
  /// bus reset shows itself in the next request.
  Reply ReadEvent(std::uint64_t closure, bool& answered) {
    constexpr std::size_t kHead = offsetof(fw_cdev_event_response, data);
    std::vector<std::byte> bytes(kHead + kMostBytes);
    const ssize_t size = ::read(device_.native_handle(), bytes.data(), bytes.size());
    if (size < static_cast<ssize_t>(sizeof(fw_cdev_event_common::closure) + sizeof(std::uint32_t))) {
      answered = true;
      return {};
    }
    fw_cdev_event_response event{};
    std::memcpy(static_cast<void*>(&event), bytes.data(),
                std::min<std::size_t>(kHead, static_cast<std::size_t>(size)));
    answered = event.type == FW_CDEV_EVENT_RESPONSE && event.closure == closure;
    if (!answered || size < static_cast<ssize_t>(kHead)) return {};
    const std::size_t length = std::min<std::size_t>(event.length, static_cast<std::size_t>(size) - kHead);
    Reply reply{OutcomeOf(event.rcode), {}};
    reply.data.assign(bytes.begin() + kHead, bytes.begin() + static_cast<std::ptrdiff_t>(kHead + length));
    return reply;
  }

  std::string path_;
  asio::posix::stream_descriptor device_;
  std::uint32_t generation_ = 0;
  std::uint64_t last_ = 0;
};

class SystemBus final : public FirewireBus {
 public:
  explicit SystemBus(Executor executor) : executor_(std::move(executor)) {}

  Result<std::vector<std::string>> Nodes() override {
    std::vector<std::string> nodes = FirewireDevices();
    if (!nodes.empty()) return nodes;
    return Error{Errc::kLinkFailed,
                 "this machine has no IEEE 1394 controller, there is no /dev/fw*; plug one in and load its "
                 "driver (modprobe firewire-ohci)",
                 0, ENOENT};
  }
  Result<std::unique_ptr<FirewireNode>> Open(const std::string& name) override {
    ScopedDescriptor device(::open(name.c_str(), O_RDWR | O_CLOEXEC));
    const int number = errno;
    if (device.get() < 0) {
      return Error{Errc::kLinkFailed, "it cannot be opened (" + std::string(std::strerror(number)) + ")", 0,
                   number};
    }
    return std::unique_ptr<FirewireNode>(std::make_unique<DeviceNode>(executor_, name, std::move(device)));
  }

 private:
  Executor executor_;
};

}  // namespace

std::vector<std::string> FirewireDevices() {
  std::vector<std::pair<int, std::string>> found;
  std::error_code ignored;
  for (std::filesystem::directory_iterator at("/dev", ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    const std::string name = at->path().filename().string();
    constexpr std::size_t kPrefix = 2, kMostDigits = 4;
    const bool fits = name.starts_with("fw") && name.size() > kPrefix &&
                      name.size() <= kPrefix + kMostDigits &&
                      name.find_first_not_of("0123456789", kPrefix) == std::string::npos;
    if (fits) found.emplace_back(std::stoi(name.substr(kPrefix)), "/dev/" + name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [number, name] : found) names.push_back(std::move(name));
  return names;
}

std::unique_ptr<FirewireBus> MakeSystemFirewireBus(Executor executor) {
  return std::make_unique<SystemBus>(std::move(executor));
}

}  // namespace longwire

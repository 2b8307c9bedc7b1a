#include "transport/serial_stream.h"

#include <boost/asio/posix/stream_descriptor.hpp>

#include "transport/descriptor_stream.h"
#include "transport/serial_line.h"

namespace longwire {
namespace {

class SerialStream final : public DescriptorStream<boost::asio::posix::stream_descriptor> {
 public:
  using DescriptorStream::DescriptorStream;
  Awaitable<Result<void>> ShutdownWrite() override { co_return Result<void>(); }
  Result<void> SetBaud(std::uint32_t baud) override {
    return SetSerialSpeed(socket().native_handle(), peer().address, baud);
  }
};

}  // namespace

Result<std::unique_ptr<Stream>> OpenSerial(Executor executor, const std::string& path, std::uint32_t baud) {
  const auto line = OpenSerialLine(path, baud);
  if (!line) return line.error();
  PeerInfo peer;
  peer.address = path;
  return std::make_unique<SerialStream>(boost::asio::posix::stream_descriptor(executor, *line),
                                        std::move(peer));
}

}  // namespace longwire

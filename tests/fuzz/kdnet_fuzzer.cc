// Datagrams of a peer that knows the key and of one that does not: the session must stay bounded and sound.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "proto/kd/packet.h"
#include "proto/kdnet/frames.h"
#include "proto/kdnet/host_session.h"
#include "tests/support/kdnet_target.h"

using namespace longwire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const kdnet::Key key = *kdnet::ParseKey("1.2.3.4");
  kdnet::HostSession host(key);
  test::KdnetTarget target(key, 4);
  kdnet::Block nonce{};
  kd::ByteView rest(reinterpret_cast<const std::byte*>(data), size);
  while (!rest.empty()) {
    const unsigned action = std::to_integer<unsigned>(rest[0]);
    const std::size_t announced = kd::Load16(rest, 1);
    rest = rest.subspan(std::min<std::size_t>(rest.size(), 3));
    const kd::ByteView body = rest.first(std::min(announced, rest.size()));
    rest = rest.subspan(body.size());
    nonce[0] = static_cast<std::byte>(rest.size());
    kdnet::HostSession::Received received;
    const std::size_t fits = std::min(body.size(), kdnet::kLargestBody);
    switch (action % 4) {
      case 0: received = host.Receive(body, nonce); break;
      case 1:  // a control datagram the key holder made
        received = host.Receive(
            kdnet::Seal({static_cast<std::uint8_t>(action), kdnet::Channel::kControl,
                         kdnet::Direction::kToHost, 3, kd::Bytes(body.begin(), body.begin() + fits)},
                        key.mac, key.control),
            nonce);
        break;
      case 2: received = host.Receive(target.Offer(action > 128 ? 50000 : 0), nonce); break;
      case 3:
        if (target.live()) received = host.Receive(target.Send(body.first(fits)), nonce);
        break;
    }
    if (received.started && !host.live()) std::abort();
    if (!received.answer.empty()) (void)target.Receive(received.answer);
    const kd::Bytes frame = kdnet::FrameOf(received.body);
    kd::ByteView stream = frame;
    if (!frame.empty() && (!kdnet::NextBody(stream) || !stream.empty())) std::abort();
  }
  // What the link machine would write, from anything.
  kd::ByteView stream(reinterpret_cast<const std::byte*>(data), size);
  while (kdnet::NextBody(stream)) {
  }
  (void)kdnet::ParseKey({reinterpret_cast<const char*>(data), size});
  return 0;
}

// What the link machine does differently on KDNET (kd-protocol.md 6.7, 6.9).
#include <cstdint>
#include <utility>

#include "proto/kd/link_machine.h"
#include "proto/kd/manipulate.h"

namespace longwire::kd {
namespace {

/// Ids that rise and may wrap around.
bool IsAfter(std::uint32_t id, std::uint32_t other) { return static_cast<std::int32_t>(id - other) > 0; }

}  // namespace

void LinkMachine::OnKdnetData(TimePoint now, Framer::Item item) {
  if (rx_known_ && IsAfter(item.id, expect_rx_)) {
    OnGap(now, item);
    return;
  }
  Write(EncodeControlPacket(PacketType::kAcknowledge, item.id));
  if ((rx_known_ && item.id != expect_rx_) || (delivered_ && !IsAfter(item.id, *delivered_))) {
    ++counters_.duplicates;
    return;
  }
  delivered_ = item.id;
  Align(item.id);
  Take(now, std::move(item));
}

/// A packet is missing that the target counts as acknowledged (6.9). The RESET has it send the newer one
/// again.
void LinkMachine::OnGap(TimePoint now, const Framer::Item& item) {
  if (resetting_) return;
  if (outstanding_ && outstanding_->expect == Expect::kAcknowledge) {
    OnAcknowledge(now, next_tx_);
  } else if (outstanding_ &&
             !(item.type == PacketType::kStateManipulate && Answers(item.payload, outstanding_->payload))) {
    Fail(Errc::kLinkFailed, "a packet of the target was lost while this was in flight; ask again");
  }
  BeginReset(now);
}

/// Where the target's numbers stand, by the RESET it sent.
void LinkMachine::AdoptReset(std::uint32_t id) {
  if (Kdnet()) {
    // Of a packet we have, only our acknowledge was lost.
    expect_rx_ = delivered_ && !IsAfter(id, *delivered_) ? After(*delivered_) : id;
  } else {
    next_tx_ = expect_rx_ = kInitialPacketId;
  }
  rx_known_ = true;
  realigned_ = true;
}

}  // namespace longwire::kd

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/gdb/hex.h"
#include "proto/gdb/packet.h"
#include "proto/gdb/packet_stream.h"

namespace longwire::gdb {
namespace {

using Kind = Frame::Kind;

std::deque<Frame> Feed(Framer& framer, std::string_view text) {
  std::deque<Frame> frames;
  framer.Feed(std::as_bytes(std::span(text)), frames);
  return frames;
}

std::deque<Frame> FeedAll(std::string_view text, std::size_t limit = kMaxPayload) {
  Framer framer(limit);
  return Feed(framer, text);
}

TEST(Hex, NumbersAndBytesComeBack) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{0x1F}, ~std::uint64_t{0}}) {
    EXPECT_EQ(DecodeNumber(EncodeNumber(value)), value);
  }
  EXPECT_EQ(EncodeNumber(0xfffff80000000000), "fffff80000000000");
  EXPECT_EQ(DecodeNumber("1ffffffffffffffff"), std::nullopt);
  EXPECT_EQ(DecodeNumber("12g"), std::nullopt);
  EXPECT_EQ(DecodeNumber(""), std::nullopt);
  const auto bytes = DecodeHex("00fFa5");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(EncodeHex(*bytes), "00ffa5");
  EXPECT_FALSE(DecodeHex("0"));
  EXPECT_FALSE(DecodeHex("0x"));
}

TEST(Hex, FieldsAreTakenInOrder) {
  std::string_view text = "a,b";
  EXPECT_EQ(TakeField(text, ','), "a");
  EXPECT_EQ(TakeField(text, ','), "b");
  EXPECT_EQ(TakeField(text, ','), "");
}

TEST(Packet, CarriesTheDocumentedChecksum) {
  EXPECT_EQ(EncodePacket("OK"), "$OK#9a");
  EXPECT_EQ(EncodePacket(""), "$#00");
  EXPECT_EQ(EncodeNotification("Stop:T05").front(), '%');
}

TEST(Packet, EveryByteSurvivesTheFrame) {
  std::string payload;
  for (int i = 0; i < 256; ++i) payload += static_cast<char>(i);
  const auto frames = FeedAll(EncodePacket(payload));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].kind, Kind::kPacket);
  EXPECT_EQ(frames[0].payload, payload);
}

TEST(Packet, ArrivesInPieces) {
  Framer framer;
  const std::string text = "+" + EncodePacket("m0,4") + "\x03";
  std::vector<Kind> kinds;
  for (const char c : text) {
    for (const Frame& frame : Feed(framer, {&c, 1})) kinds.push_back(frame.kind);
  }
  EXPECT_THAT(kinds, testing::ElementsAre(Kind::kAck, Kind::kPacket, Kind::kInterrupt));
}

/// `0* ` is four zeros (the manual's example), and a run repeats the raw byte, here the second half of an
/// escape.
TEST(Packet, RunsAreExpanded) {
  EXPECT_EQ(FeedAll("$0* #7a")[0].payload, "0000");
  std::string raw = std::string("}\x03*") + '!';
  std::uint8_t sum = 0;
  for (const char c : raw) sum = static_cast<std::uint8_t>(sum + c);
  const std::byte byte{sum};
  const auto frames = FeedAll("$" + raw + "#" + EncodeHex({&byte, 1}));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "#\x03\x03\x03\x03");
}

TEST(Packet, BrokenOnesAreReported) {
  EXPECT_EQ(FeedAll("$OK#9b")[0].kind, Kind::kBroken);
  EXPECT_EQ(FeedAll("$OK#zz")[0].kind, Kind::kBroken);
  EXPECT_EQ(FeedAll("$* #4a")[0].kind, Kind::kBroken) << "a run of nothing";
  EXPECT_EQ(FeedAll("$a}#de")[0].kind, Kind::kBroken) << "an escape of nothing";
  const auto cut = FeedAll("$m0,4" + EncodePacket("OK"));
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_EQ(cut[0].kind, Kind::kBroken);
  EXPECT_EQ(cut[1].payload, "OK");
  EXPECT_TRUE(FeedAll("%Stop#00").empty());
}

TEST(Packet, LongOnesAreRefusedAndTheNextIsRead) {
  const auto frames = FeedAll(EncodePacket(std::string(100, 'a')) + EncodePacket("OK"), 16);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].kind, Kind::kBroken);
  EXPECT_EQ(frames[1].payload, "OK");
  // A few bytes must not become many.
  std::string bomb = "$a";
  for (int i = 0; i < 12; ++i) bomb += "*~";
  EXPECT_EQ(FeedAll(bomb + "#00", 16)[0].kind, Kind::kBroken);
}

class Pair : public testing::Test {
 protected:
  void Deliver(PacketStream& from, PacketStream& to) { to.Receive(from.TakeOutput()); }
  void Say(PacketStream& to, std::string_view text) { to.Receive(std::as_bytes(std::span(text))); }
  static std::string Output(PacketStream& stream) { return ToText(stream.TakeOutput()); }
  PacketStream host_, stub_;
};

TEST_F(Pair, AcknowledgesUntilBothStop) {
  host_.Send("QStartNoAckMode");
  Deliver(host_, stub_);
  ASSERT_EQ(stub_.Next()->payload, "QStartNoAckMode");
  stub_.Send("OK");
  stub_.StopAcknowledging();
  Deliver(stub_, host_);
  ASSERT_EQ(host_.Next()->payload, "OK");
  host_.StopAcknowledging();
  EXPECT_EQ(Output(host_), "+");
  host_.Send("?");
  EXPECT_EQ(Output(host_), "$?#3f");
  Say(stub_, "+$?#3f");
  EXPECT_EQ(stub_.Next()->payload, "?");
  EXPECT_EQ(Output(stub_), "");
}

TEST_F(Pair, SendsAgainWhenAskedButNotForEver) {
  host_.Send("g");
  const std::string sent = Output(host_);
  for (unsigned i = 0; i < PacketStream::kMaxRetransmissions; ++i) {
    Say(host_, "-");
    EXPECT_FALSE(host_.Next());
    EXPECT_EQ(Output(host_), sent);
  }
  EXPECT_FALSE(host_.failed());
  Say(host_, "-");
  EXPECT_FALSE(host_.Next());
  EXPECT_TRUE(host_.failed());
  EXPECT_EQ(Output(host_), "");
}

TEST_F(Pair, AsksForABrokenPacketAgain) {
  Say(host_, "$OK#00");
  EXPECT_FALSE(host_.Next());
  EXPECT_EQ(Output(host_), "-");
  Say(host_, "$OK#9a");
  EXPECT_EQ(host_.Next()->payload, "OK");
  EXPECT_EQ(Output(host_), "+");
  EXPECT_EQ(host_.checksum_errors(), 1u);
}

TEST_F(Pair, NotificationsAndInterruptsPassUnacknowledged) {
  host_.Interrupt();
  Deliver(host_, stub_);
  EXPECT_EQ(stub_.Next()->kind, Kind::kInterrupt);
  stub_.Notify("Stop:T05thread:1;");
  EXPECT_EQ(stub_.acknowledges(), true);
  Deliver(stub_, host_);
  EXPECT_EQ(host_.Next()->payload, "Stop:T05thread:1;");
  EXPECT_EQ(Output(host_), "");
}

}  // namespace
}  // namespace longwire::gdb

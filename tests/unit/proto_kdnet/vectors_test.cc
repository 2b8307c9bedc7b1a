// The datagrams of kd-protocol.md section 9: E22 is of a real target, E23 a whole handshake.
#include <gtest/gtest.h>

#include <array>

#include "proto/kd/packet.h"
#include "proto/kdnet/frames.h"
#include "proto/kdnet/host_session.h"
#include "tests/support/kdnet_target.h"
#include "tests/unit/proto_kdnet/hex.h"

namespace longwire::kdnet {
namespace {

constexpr std::string_view kRealBreakIn =
    "4d 44 42 47 02 00 3d 90 53 43 a5 07 a8 05 cb 06 ff 69 76 ef 1f 3c 15 d4 c9 04 a9 3f c1 c2 83 e6"
    "b3 64 c8 4d 3d 09";
constexpr std::string_view kRealDataKey = "6d41dd0561a9f887afd8e82b2527e19ff800011075ff2ee6904553abbec778f2";

Block BlockOf(std::string_view hex) {
  const Bytes bytes = FromHex(hex);
  Block block{};
  std::copy_n(bytes.begin(), block.size(), block.begin());
  return block;
}

std::string TagOf(const Bytes& datagram) { return ToHex(ByteView(datagram).last(kTagSize)); }
std::string HashOf(const Bytes& datagram) { return ToHex(Sha256(datagram, {})); }

TEST(Kdnet, KeysOfTheWorkedSession) {
  const Key key = *ParseKey("1.2.3.4");
  EXPECT_EQ(ToHex(key.control), "0100000000000000020000000000000003000000000000000400000000000000");
  EXPECT_EQ(ToHex(key.mac), "fefffffffffffffffdfffffffffffffffcfffffffffffffffbffffffffffffff");
}

TEST(Kdnet, OfferOfTheWorkedSession) {
  test::KdnetTarget target(*ParseKey("1.2.3.4"), 4);
  const Bytes offer = target.Offer();
  EXPECT_EQ(offer.size(), 374u);
  EXPECT_EQ(TagOf(offer), "fe98b2ba3375687420444c12b346994a");
  EXPECT_EQ(HashOf(offer), "3af82dff78f8108466dc2dd82df2ed76a7d6965d01db51e66e2cc3147c2b16a4");
}

TEST(Kdnet, N01_AnswerAndDataKey) {
  test::KdnetTarget target(*ParseKey("1.2.3.4"), 4);
  HostSession host(*ParseKey("1.2.3.4"));
  const auto received = host.Receive(target.Offer(), Filled<32>(0x80));
  EXPECT_TRUE(received.ours);
  ASSERT_EQ(received.answer.size(), 358u);
  EXPECT_EQ(TagOf(received.answer), "0ce6182032730c1a015d7287137a45b6");
  EXPECT_EQ(HashOf(received.answer), "eb92c735a84d5b874bb8debcfa0ea93452048390a46c38dbe314c9ffbd40ec9a");
  ASSERT_TRUE(target.Receive(received.answer).began);
  EXPECT_EQ(ToHex(*target.data_key()), "e45c3b2f1c897b34df50b670b8af5ae539507100f524a149abe63d01c7bd332a");
}

TEST(Kdnet, DataOfTheWorkedSession) {
  test::KdnetTarget target(*ParseKey("1.2.3.4"), 4);
  HostSession host(*ParseKey("1.2.3.4"));
  (void)target.Receive(host.Receive(target.Offer(), Filled<32>(0x80)).answer);
  (void)host.Receive(target.Send(kd::EncodeControlPacket(kd::PacketType::kReset, 0)), {});
  ASSERT_TRUE(host.live());
  EXPECT_EQ(
      host.Send({kd::kBreakInByte}),
      FromHex("4d 44 42 47 04 00 0a 39 a0 6d ae 4c 1f 73 c1 43 37 99 62 f9 ab e5 5a 74 57 67 9c 37 15 dc db "
              "82 3b 8b 91 c4 ef 43"));
  EXPECT_EQ(
      host.Send(kd::EncodeControlPacket(kd::PacketType::kAcknowledge, 2)),
      FromHex("4d 44 42 47 04 00 0c f1 40 fa aa e4 7b 15 53 95 55 e9 c9 22 70 fe c7 db b5 8e ae ec 07 a4 ed "
              "49 bf 95 8b 80 3d 6b 29 81 94 bc 95 7b 17 e3 55 97 06 08 3b 66 21 9f"));
}

TEST(Kdnet, N02_RealBreakIn) {
  const Key key = *ParseKey("1.1.1.1");
  const auto datagram = Open(FromHex(kRealBreakIn), key.mac, BlockOf(kRealDataKey), Direction::kToTarget);
  ASSERT_TRUE(datagram);
  EXPECT_EQ(datagram->version, 2);
  EXPECT_EQ(datagram->channel, Channel::kData);
  EXPECT_EQ(datagram->sequence, 2u);
  EXPECT_EQ(ToHex(datagram->body), "62");
  EXPECT_EQ(Seal(*datagram, key.mac, BlockOf(kRealDataKey)), FromHex(kRealBreakIn));
}

TEST(Kdnet, N03_EveryFlippedBitIsRefused) {
  const Key key = *ParseKey("1.1.1.1");
  const Bytes good = FromHex(kRealBreakIn);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    EXPECT_FALSE(Open(bad, key.mac, BlockOf(kRealDataKey), Direction::kToTarget)) << bit;
  }
}

TEST(Kdnet, N17_KeyTexts) {
  for (const char* text : {"1.2.3", "1.2.3.4.5", "1..3.4", "3w5e11264sgsg.1.1.1", "", "1.2.3.", "1.2.3.4 ",
                           "1.2.3.00000000000004", "1.2.3.-4"}) {
    const auto key = ParseKey(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, Errc::kUsage);
  }
  EXPECT_TRUE(ParseKey("3w5e11264sgsf.1.1.1"));
  EXPECT_EQ(ToHex(ParseKey("A.b.C.d")->control),
            "0a000000000000000b000000000000000c000000000000000d00000000000000");
}

TEST(Kdnet, KeyTextsOfAnyBits) {
  EXPECT_EQ(FormatKey(Block{}), "0.0.0.0");
  Block most{};
  most.fill(std::byte{0xFF});
  EXPECT_EQ(FormatKey(most), "3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf");
  const Block some = Filled<32>(0x71);
  EXPECT_EQ(ParseKey(FormatKey(some))->control, some);
}

TEST(Kdnet, N20_NotADatagram) {
  const Bytes good = FromHex(kRealBreakIn);
  EXPECT_TRUE(ChannelOf(good));
  EXPECT_FALSE(ChannelOf(ByteView(good).first(37)));
  Bytes large = good;
  large.resize(2000);
  EXPECT_FALSE(ChannelOf(large));
  large.resize(1478);  // a whole number of blocks, beyond what a link carries
  EXPECT_FALSE(ChannelOf(large));
  Bytes other = good;
  other[0] = std::byte{'X'};
  EXPECT_FALSE(ChannelOf(other));
  Bytes channel = good;
  channel[5] = std::byte{2};
  EXPECT_FALSE(ChannelOf(channel));
  EXPECT_FALSE(ChannelOf({}));
}

TEST(Kdnet, LargestBodyFits) {
  const Key key = *ParseKey("1.2.3.4");
  const Datagram datagram{5, Channel::kData, Direction::kToTarget, (1ull << 56) - 1, Bytes(kLargestBody)};
  const Bytes bytes = Seal(datagram, key.mac, key.control);
  EXPECT_LE(bytes.size(), kLargestDatagram);
  const auto opened = Open(bytes, key.mac, key.control, Direction::kToTarget);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->sequence, datagram.sequence);
  EXPECT_EQ(opened->body, datagram.body);
}

TEST(Kdnet, N15_TrailingByteIsIgnoredAndNeverSent) {
  const Bytes frame = kd::EncodeDataPacket(kd::PacketType::kDebugIo, 6, Bytes(20, std::byte{7}));
  EXPECT_EQ(FrameOf(frame), frame);
  EXPECT_EQ(FrameOf(ByteView(frame).first(frame.size() - 1)), frame);
  ByteView stream = frame;
  const auto body = NextBody(stream);
  ASSERT_TRUE(body);
  EXPECT_EQ(*body, Bytes(frame.begin(), frame.end() - 1));
  EXPECT_TRUE(stream.empty());
}

TEST(Kdnet, N16_SecondPacketOfADatagramIsIgnored) {
  const Bytes first = kd::EncodeControlPacket(kd::PacketType::kAcknowledge, 0x80000000);
  Bytes both = first;
  const Bytes second = kd::EncodeControlPacket(kd::PacketType::kResend, 0);
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(FrameOf(both), first);
}

TEST(Kdnet, ABodyThatIsNoPacketGivesNothing) {
  EXPECT_TRUE(FrameOf({}).empty());
  EXPECT_TRUE(FrameOf(Bytes(16)).empty());
  const Bytes frame = kd::EncodeDataPacket(kd::PacketType::kDebugIo, 6, Bytes(20, std::byte{7}));
  EXPECT_TRUE(FrameOf(ByteView(frame).first(30)).empty());  // announces more than there is
}

TEST(Kdnet, WrittenPacketsAreCutApart) {
  Bytes written{kd::kBreakInByte};
  const Bytes reset = kd::EncodeControlPacket(kd::PacketType::kReset, 0x80000000);
  const Bytes data =
      kd::EncodeDataPacket(kd::PacketType::kStateManipulate, 0x80000000, Bytes(56, std::byte{1}));
  for (const Bytes* part : {&reset, &data, &reset}) written.insert(written.end(), part->begin(), part->end());
  ByteView stream = written;
  EXPECT_EQ(NextBody(stream), Bytes{kd::kBreakInByte});
  EXPECT_EQ(NextBody(stream), reset);
  EXPECT_EQ(NextBody(stream), Bytes(data.begin(), data.end() - 1));
  EXPECT_EQ(NextBody(stream), reset);
  EXPECT_FALSE(NextBody(stream));
}

}  // namespace
}  // namespace longwire::kdnet

#include "proto/kdnet/host_session.h"

#include <gtest/gtest.h>

#include "proto/kd/packet.h"
#include "proto/kdnet/frames.h"
#include "tests/support/kdnet_target.h"
#include "tests/unit/proto_kdnet/hex.h"

namespace longwire::kdnet {
namespace {

using test::KdnetTarget;

constexpr std::uint16_t kOtherHostPort = 50000;

struct Pair {
  explicit Pair(std::uint8_t version = 4, const char* key = "1.2.3.4")
      : target(*ParseKey(key), version), host(*ParseKey(key)) {}

  HostSession::Received Hear(const Bytes& datagram) {
    nonce[0] = static_cast<std::byte>(++datagrams);
    return host.Receive(datagram, nonce);
  }
  /// Offers until a session is live.
  void Begin() {
    ASSERT_TRUE(target.Receive(Hear(target.Offer()).answer).began);
    const auto first = Hear(target.Greeting());
    ASSERT_TRUE(first.started);
    (void)target.Receive(first.answer);
  }
  HostSession::Received Print(std::uint64_t sequence) { return Hear(target.SendAs(sequence, packet)); }

  KdnetTarget target;
  HostSession host;
  Block nonce{};
  int datagrams = 0;
  Bytes packet = kd::EncodeControlPacket(kd::PacketType::kAcknowledge, 0x80000000);
};

TEST(KdnetHost, N03_DamageChangesNothing) {
  Pair pair;
  pair.Begin();
  const Bytes good = pair.target.Send(pair.packet);
  for (const std::size_t at : {std::size_t{10}, std::size_t{4}, good.size() - 1}) {
    Bytes bad = good;
    bad[at] ^= std::byte{1};
    EXPECT_FALSE(pair.Hear(bad).ours);
  }
  EXPECT_EQ(pair.Hear(good).body, pair.packet);
}

TEST(KdnetHost, N04_SequencesRise) {
  Pair pair;
  pair.Begin();
  EXPECT_EQ(pair.Print(5).body, pair.packet);
  EXPECT_EQ(pair.Print(7).body, pair.packet);
  for (const std::uint64_t old : {6u, 7u, 5u}) {
    const auto received = pair.Print(old);
    EXPECT_TRUE(received.ours);
    EXPECT_FALSE(received.current);
    EXPECT_TRUE(received.body.empty());
  }
  EXPECT_EQ(pair.Print(8).body, pair.packet);
}

TEST(KdnetHost, N05_ReflectedDatagram) {
  Pair pair;
  pair.Begin();
  EXPECT_FALSE(pair.Hear(pair.host.Send(pair.packet)).ours);
  const Bytes answer = Pair().Hear(pair.target.Offer()).answer;
  EXPECT_FALSE(pair.Hear(answer).ours);
}

TEST(KdnetHost, N06_PaddingBeyondTheBody) {
  // Metadata and 8 bytes behind it, of which 9 claim to be padding.
  const Key key = *ParseKey("1.2.3.4");
  const Bytes header = FromHex("4d4442470401");
  const Bytes text = FromHex("00000000000003 09 0000000000000000");
  const Tag tag = Authenticate(key.mac, header, text);
  Bytes datagram = header;
  const Bytes cipher = Encrypt(key.control, tag, text);
  datagram.insert(datagram.end(), cipher.begin(), cipher.end());
  datagram.insert(datagram.end(), tag.begin(), tag.end());
  EXPECT_FALSE(Open(datagram, key.mac, key.control, Direction::kToHost));
  EXPECT_FALSE(HostSession(key).Receive(datagram, {}).ours);
}

TEST(KdnetHost, N07_FreshHostAnswersAnyOffer) {
  Pair pair;
  EXPECT_FALSE(pair.Hear(pair.target.Offer(kOtherHostPort)).answer.empty());
}

TEST(KdnetHost, N08_LiveSessionIsNotRekeyed) {
  Pair pair;
  pair.Begin();
  const auto received = pair.Hear(pair.target.Offer(kOtherHostPort));
  EXPECT_TRUE(received.ours);
  EXPECT_TRUE(received.answer.empty());
  EXPECT_EQ(pair.Hear(pair.target.Send(pair.packet)).body, pair.packet);
}

TEST(KdnetHost, N09_TargetWithoutSessionGetsANewOne) {
  Pair pair;
  pair.Begin();
  pair.target.Reboot();
  const auto answered = pair.Hear(pair.target.Offer());
  ASSERT_TRUE(pair.target.Receive(answered.answer).began);
  const auto first = pair.Hear(pair.target.Greeting());
  EXPECT_TRUE(first.started);
  EXPECT_TRUE(first.current);
  const auto heard = pair.target.Receive(first.answer);
  ASSERT_TRUE(heard.body);
  EXPECT_EQ(*heard.body, kd::EncodeControlPacket(kd::PacketType::kResend, 0));
}

TEST(KdnetHost, OldKeyCountsUntilTheNewOneIsProven) {
  Pair pair;
  pair.Begin();
  const Bytes replayed = pair.target.Offer();
  EXPECT_FALSE(pair.Hear(replayed).answer.empty());
  const auto received = pair.Hear(pair.target.Send(pair.packet));
  EXPECT_FALSE(received.started);
  EXPECT_EQ(received.body, pair.packet);
  EXPECT_TRUE(pair.Hear(pair.target.Offer(kOtherHostPort)).answer.empty());
}

TEST(KdnetHost, OfferTwiceGetsTheSameAnswer) {
  Pair pair;
  const Bytes offer = pair.target.Offer();
  const Bytes answer = pair.Hear(offer).answer;
  EXPECT_EQ(pair.Hear(offer).answer, answer);
  ASSERT_TRUE(pair.target.Receive(answer).began);
  EXPECT_TRUE(pair.Hear(pair.target.Greeting()).started);
  // A copy that comes late does not begin another session.
  EXPECT_TRUE(pair.Hear(offer).answer.empty());
}

TEST(KdnetHost, AnswersThatAreLate) {
  Pair pair;
  const Bytes first = pair.target.Offer();
  const Bytes answer = pair.Hear(first).answer;
  ASSERT_TRUE(pair.target.Receive(answer).began);
  // Offers sent before the answer arrived are answered too; the session is the one the target took.
  KdnetTarget other(*ParseKey("1.2.3.4"), 4);
  for (int i = 0; i < 3; ++i) (void)other.Offer();
  EXPECT_FALSE(pair.Hear(other.Offer()).answer.empty());
  EXPECT_TRUE(pair.Hear(pair.target.Greeting()).started);
}

TEST(KdnetHost, LostGreetingIsRecoveredByTheNextOffer) {
  Pair pair;
  pair.Begin();
  pair.target.Reboot();
  ASSERT_TRUE(pair.target.Receive(pair.Hear(pair.target.Offer()).answer).began);
  (void)pair.target.Greeting();  // lost; the target runs and says nothing else but offers
  const auto again = pair.Hear(pair.target.Offer(kOtherHostPort));
  ASSERT_FALSE(again.answer.empty());
  ASSERT_TRUE(pair.target.Receive(again.answer).began);
  EXPECT_TRUE(pair.Hear(pair.target.Greeting()).started);
}

TEST(KdnetHost, ManyForgedOffersStayBounded) {
  Pair pair;
  KdnetTarget flood(*ParseKey("1.2.3.4"), 4);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(pair.Hear(flood.Offer()).answer.empty());
  for (int i = 0; i < 101; ++i) (void)pair.target.Offer();
  ASSERT_TRUE(pair.target.Receive(pair.Hear(pair.target.Offer()).answer).began);
  EXPECT_TRUE(pair.Hear(pair.target.Greeting()).started);
}

TEST(KdnetHost, N10_VersionIsEchoed) {
  for (const std::uint8_t version : {2, 4, 5, 9}) {
    Pair pair(version);
    const Bytes answer = pair.Hear(pair.target.Offer()).answer;
    ASSERT_GT(answer.size(), 5u);
    EXPECT_EQ(answer[4], static_cast<std::byte>(version));
    (void)pair.target.Receive(answer);
    EXPECT_EQ(pair.Hear(pair.target.Greeting()).answer[4], static_cast<std::byte>(version));
    EXPECT_EQ(pair.host.Send(pair.packet)[4], static_cast<std::byte>(version));
    EXPECT_EQ(pair.host.Poke(7)[4], static_cast<std::byte>(version));
  }
}

TEST(KdnetHost, N11_GreetingIsAnsweredWithResend) {
  Pair pair;
  (void)pair.target.Receive(pair.Hear(pair.target.Offer()).answer);
  const auto greeting = pair.Hear(pair.target.Greeting());
  EXPECT_TRUE(greeting.body.empty());
  const auto heard = pair.target.Receive(greeting.answer);
  ASSERT_TRUE(heard.body);
  EXPECT_EQ(ToHex(*heard.body), "69696969050000000000000000000000");
}

TEST(KdnetHost, PokeMakesATargetOffer) {
  Pair pair;
  const Bytes poke = pair.host.Poke(5);
  EXPECT_EQ(poke.size(), 38u);
  EXPECT_EQ(poke[4], std::byte{5});
  EXPECT_TRUE(pair.target.Receive(poke).poked);
}

TEST(KdnetHost, TargetsAreToldApartByKey) {
  Pair one(4, "1.2.3.4"), two(4, "5.6.7.8");
  const Bytes offer = two.target.Offer();
  EXPECT_FALSE(one.Hear(offer).ours);
  EXPECT_TRUE(two.Hear(offer).ours);
  one.Begin();
  two = Pair(4, "5.6.7.8");
  two.Begin();
  EXPECT_FALSE(one.Hear(two.target.Send(two.packet)).ours);
}

}  // namespace
}  // namespace longwire::kdnet

#include "server/kd/line_witness.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace longwire {
namespace {

Finding Judge(const LineWitness& witness) {
  Diagnosis diagnosis;
  witness.Report(diagnosis);
  return diagnosis.failed() ? static_cast<Finding>(diagnosis.failure()->finding) : Finding::kNone;
}

kd::Bytes BytesOf(const std::string& text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

TEST(LineWitness, KnowsKdPacketsAmongNoise) {
  LineWitness witness;
  const kd::TimePoint now{};
  witness.Receive(now, BytesOf("some boot text"));
  witness.Receive(now, kd::EncodeDataPacket(kd::PacketType::kStateChange64, 0x80800800, BytesOf("payload")));
  EXPECT_EQ(witness.packets(), 1u);
  EXPECT_FALSE(witness.IsHopeless());
  EXPECT_EQ(Judge(witness), Finding::kNone);
}

TEST(LineWitness, TellsTextFromGarbage) {
  LineWitness text, garbage;
  const kd::TimePoint now{};
  for (int i = 0; i < 12; ++i)
    text.Receive(now, BytesOf("[   0.1] a boot log that goes on and on and on for a while\r\n"));
  EXPECT_TRUE(text.IsHopeless());
  EXPECT_EQ(Judge(text), Finding::kTextOnLine);
  std::mt19937 random(7);
  kd::Bytes noise(2 * kd::kMaxFrame);
  for (std::byte& byte : noise) byte = static_cast<std::byte>(random());
  garbage.Receive(now, noise);
  EXPECT_TRUE(garbage.IsHopeless());
  EXPECT_EQ(Judge(garbage), Finding::kGarbage);
}

TEST(LineWitness, HalfAPacketAndTheRestOfAnotherSayNothingYet) {
  LineWitness witness;
  const kd::Bytes packet =
      kd::EncodeDataPacket(kd::PacketType::kStateChange64, 0x80800800, kd::Bytes(4000, std::byte{7}));
  const kd::ByteView whole(packet);
  witness.Receive({}, whole.subspan(100));
  EXPECT_FALSE(witness.IsHopeless());
  witness.Receive({}, whole.first(200));
  EXPECT_FALSE(witness.IsHopeless());
  witness.Receive({}, whole.subspan(200));
  EXPECT_EQ(witness.packets(), 1u);
}

}  // namespace
}  // namespace longwire

#include "proto/mux/frame.h"

#include <gtest/gtest.h>

namespace longwire::mux {
namespace {

Frame Data(std::size_t size, unsigned step) {
  Frame frame;
  frame.channel = 254;
  frame.session = 0x00010200;
  frame.position = 0xFFFFFFF0;
  frame.from_opener = true;
  for (std::size_t i = 0; i < size; ++i) frame.payload.push_back(static_cast<std::byte>(i * step));
  return frame;
}

std::vector<Frame> Read(FrameReader& reader, std::span<const std::byte> bytes) {
  std::vector<Frame> frames;
  reader.Feed(bytes, [&](const Frame& frame) { frames.push_back(frame); });
  return frames;
}

TEST(MuxFrame, EveryPayloadSizeComesBack) {
  FrameReader reader;
  for (std::size_t size = 0; size <= kMaxPayload; ++size) {
    for (const unsigned step : {0u, 1u, 7u, 255u}) {
      const Frame sent = Data(size, step);
      const auto bytes = EncodeFrame(sent);
      for (std::size_t i = 1; i + 1 < bytes.size(); ++i) ASSERT_NE(bytes[i], std::byte{0});
      const auto frames = Read(reader, bytes);
      ASSERT_EQ(frames.size(), 1u) << size << " " << step;
      EXPECT_EQ(frames[0].payload, sent.payload);
      EXPECT_EQ(frames[0].channel, sent.channel);
      EXPECT_EQ(frames[0].session, sent.session);
      EXPECT_EQ(frames[0].position, sent.position);
      EXPECT_TRUE(frames[0].from_opener);
    }
  }
  EXPECT_EQ(reader.damaged(), 0u);
}

TEST(MuxFrame, AnyLostOrChangedByteLosesThatFrameOnly) {
  const auto first = EncodeFrame(Data(40, 3)), second = EncodeFrame(Data(5, 1));
  for (std::size_t i = 1; i + 1 < first.size(); ++i) {
    auto lost = first, changed = first;
    lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(i));
    changed[i] ^= std::byte{0x10};
    for (auto& line : {&lost, &changed}) {
      FrameReader reader;
      EXPECT_TRUE(Read(reader, *line).empty()) << i;
      const auto frames = Read(reader, second);
      ASSERT_EQ(frames.size(), 1u) << i;
      EXPECT_EQ(frames[0].payload.size(), 5u);
      EXPECT_GE(reader.damaged(), 1u);
    }
  }
}

TEST(MuxFrame, NoiseWithoutEndIsSkippedAndHoldsNothing) {
  FrameReader reader;
  const std::vector<std::byte> noise(100'000, std::byte{0x55});
  EXPECT_TRUE(Read(reader, noise).empty());
  EXPECT_EQ(Read(reader, EncodeFrame(Data(5, 1))).size(), 1u) << "the leading zero ends the noise";
  EXPECT_EQ(reader.damaged(), 1u);
}

}  // namespace
}  // namespace longwire::mux

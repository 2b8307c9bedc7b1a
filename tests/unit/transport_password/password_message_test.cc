#include "transport/password_message.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

using std::chrono::milliseconds;

std::vector<std::byte> Bytes(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

template <class T>
T RoundTrip(const T& message) {
  const auto bytes = EncodePasswordMessage(message);
  const auto decoded = DecodePasswordMessage(bytes);
  EXPECT_TRUE(decoded && decoded->has_value());
  EXPECT_EQ((*decoded)->size, bytes.size());
  return std::get<T>((*decoded)->message);
}

TEST(PasswordMessage, RoundTrips) {
  PasswordShare share;
  share.point.fill(std::byte{7});
  EXPECT_EQ(RoundTrip(share).point, share.point);
  PasswordConfirm confirm;
  confirm.tag.fill(std::byte{8});
  EXPECT_EQ(RoundTrip(confirm).tag, confirm.tag);
  EXPECT_EQ(RoundTrip(PasswordHold{milliseconds(30'000)}).time, milliseconds(30'000));
  EXPECT_EQ(RoundTrip(PasswordRefused{"no"}).text, "no");
  EXPECT_FALSE(RoundTrip(PasswordRefused{"no"}).later);
  EXPECT_EQ(RoundTrip(PasswordRefused{"not now", true}).text, "not now");
  EXPECT_TRUE(RoundTrip(PasswordRefused{std::string(1000, 'x'), true}).later);
  EXPECT_EQ(RoundTrip(PasswordRefused{std::string(1000, 'x')}).text, std::string(kMaxPasswordBodyBytes, 'x'));
}

TEST(PasswordMessage, WaitsForEveryByte) {
  const auto bytes = EncodePasswordMessage(PasswordConfirm{});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = DecodePasswordMessage(std::span(bytes).first(size));
    ASSERT_TRUE(decoded);
    EXPECT_FALSE(decoded->has_value());
  }
}

TEST(PasswordMessage, RefusesWhatItIsNot) {
  EXPECT_FALSE(DecodePasswordMessage(Bytes({9, 0, 0})));
  EXPECT_FALSE(DecodePasswordMessage(Bytes({1, 1, 0, 4})));
  EXPECT_FALSE(DecodePasswordMessage(Bytes({2, 0, 0})));
  EXPECT_FALSE(DecodePasswordMessage(Bytes({1, 0xFF, 0xFF}))) << "the size is refused before the body comes";
  EXPECT_FALSE(DecodePasswordMessage(Bytes({3, 4, 0, 0xFF, 0xFF, 0xFF, 0xFF}))) << "a hold of 49 days";
}

}  // namespace
}  // namespace longwire

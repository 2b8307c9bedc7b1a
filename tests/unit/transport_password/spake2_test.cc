#include "transport/spake2.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

struct Vector {
  const char *a, *b, *w, *x, *share_a, *y, *share_b, *shared, *confirm_a, *confirm_b;
};

// RFC 9382 appendix B, SPAKE2-P256-SHA256-HKDF-HMAC.
constexpr Vector kVectors[] = {
    {"server", "client", "2ee57912099d31560b3a44b1184b9b4866e904c49d12ac5042c97dca461b1a5f",
     "43dd0fd7215bdcb482879fca3220c6a968e66d70b1356cac18bb26c84a78d729",
     "04a56fa807caaa53a4d28dbb9853b9815c61a411118a6fe516a8798434751470f9010153ac33d0d5f2047ffdb1a3e42c9b4e6be"
     "662766e1eeb4116988ede5f912c",
     "dcb60106f276b02606d8ef0a328c02e4b629f84f89786af5befb0bc75b6e66be",
     "0406557e482bd03097ad0cbaa5df82115460d951e3451962f1eaf4367a420676d09857ccbc522686c83d1852abfa8ed6e4a1155"
     "cf8f1543ceca528afb591a1e0b7",
     "0e0672dc86f8e45565d338b0540abe69", "58ad4aa88e0b60d5061eb6b5dd93e80d9c4f00d127c65b3b35b1b5281fee38f0",
     "d3e2e547f1ae04f2dbdbf0fc4b79f8ecff2dff314b5d32fe9fcef2fb26dc459b"},
    {"", "client", "0548d8729f730589e579b0475a582c1608138ddf7054b73b5381c7e883e2efae",
     "403abbe3b1b4b9ba17e3032849759d723939a27a27b9d921c500edde18ed654b",
     "04a897b769e681c62ac1c2357319a3d363f610839c4477720d24cbe32f5fd85f44fb92ba966578c1b712be6962498834078262c"
     "aa5b441ecfa9d4a9485720e918a",
     "903023b6598908936ea7c929bd761af6039577a9c3f9581064187c3049d87065",
     "04e0f816fd1c35e22065d5556215c097e799390d16661c386e0ecc84593974a61b881a8c82327687d0501862970c64565560cb5"
     "671f696048050ca66ca5f8cc7fc",
     "642f05c473c2cd79909f9a841e2f30a7", "47d29e6666af1b7dd450d571233085d7a9866e4d49d2645e2df975489521232b",
     "3313c5cefc361d27fb16847a91c2a73b766ffa90a4839122a9b70a2f6bd1d6df"},
    {"server", "", "626e0cdc7b14c9db3e52a0b1b3a768c98e37852d5db30febe0497b14eae8c254",
     "07adb3db6bc623d3399726bfdbfd3d15a58ea776ab8a308b00392621291f9633",
     "04f88fb71c99bfffaea370966b7eb99cd4be0ff1a7d335caac4211c4afd855e2e15a873b298503ad8ba1d9cbb9a392d2ba309b4"
     "8bfd7879aefd0f2cea6009763b0",
     "b6a4fc8dbb629d4ba51d6f91ed1532cf87adec98f25dd153a75accafafedec16",
     "040c269d6be017dccb15182ac6bfcd9e2a14de019dd587eaf4bdfd353f031101e7cca177f8eb362a6e83e7d5e729c0732e1b528"
     "879c086f39ba0f31a9661bd34db",
     "005184ff460da2ce59062c87733c299c", "bc9f9bbe99f26d0b2260e6456e05a86196a3307ec6663a18bf6ac825736533b2",
     "c2370e1bf813b086dff0d834e74425a06e6390f48f5411900276dcccc5a297ec"},
    {"", "", "7bf46c454b4c1b25799527d896508afd5fc62ef4ec59db1efb49113063d70cca",
     "8cef65df64bb2d0f83540c53632de911b5b24b3eab6cc74a97609fd659e95473",
     "04a65b367a3f613cf9f0654b1b28a1e3a8a40387956c8ba6063e8658563890f46ca1ef6a676598889fc28de2950ab8120b79a5e"
     "f1ea4c9f44bc98f585634b46d66",
     "d7a66f64074a84652d8d623a92e20c9675c61cb5b4f6a0063e4648a2fdc02d53",
     "04589f13218822710d98d8b2123a079041052d9941b9cf88c6617ddb2fcc0494662eea8ba6b64692dc318250030c6af045cb738"
     "bc81ba35b043c3dcb46adf6f58d",
     "fc6374762ba5cf11f4b2caa08b2cd1b9", "dfb4db8d48ae5a675963ea5e6c19d98d4ea028d8e898dad96ea19a80ade95dca",
     "d0f0609d1613138d354f7e95f19fb556bf52d751947241e8c7118df5ef0ae175"},
};

std::vector<std::byte> FromHex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

Spake2::Scalar ScalarFromHex(std::string_view hex) {
  Spake2::Scalar scalar{};
  const auto bytes = FromHex(hex);
  std::copy(bytes.begin(), bytes.end(), scalar.begin());
  return scalar;
}

template <class Bytes>
std::vector<std::byte> ToVector(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

TEST(Spake2, AgreesWithTheVectorsOfTheRfc) {
  for (const Vector& vector : kVectors) {
    const auto w = ScalarFromHex(vector.w);
    const auto a =
        Spake2::MakeWithScalar({Spake2::Side::kA, vector.a, vector.b, w, {}}, ScalarFromHex(vector.x));
    const auto b =
        Spake2::MakeWithScalar({Spake2::Side::kB, vector.a, vector.b, w, {}}, ScalarFromHex(vector.y));
    ASSERT_TRUE(a);
    ASSERT_TRUE(b);
    EXPECT_EQ(ToVector(a->share()), FromHex(vector.share_a));
    EXPECT_EQ(ToVector(b->share()), FromHex(vector.share_b));
    for (const auto& keys : {a->Finish(b->share()), b->Finish(a->share())}) {
      ASSERT_TRUE(keys);
      EXPECT_EQ(ToVector(keys->shared), FromHex(vector.shared));
      EXPECT_EQ(ToVector(keys->a), FromHex(vector.confirm_a));
      EXPECT_EQ(ToVector(keys->b), FromHex(vector.confirm_b));
    }
  }
}

Spake2::Setup SetupFor(Spake2::Side side, std::byte password, std::byte binding) {
  Spake2::Setup setup{side, "client", "server", {}, {binding}};
  setup.w.back() = password;
  return setup;
}

Spake2::Keys KeysOf(const Result<Spake2>& own, const Result<Spake2>& peer) {
  const auto keys = own->Finish(peer->share());
  EXPECT_TRUE(keys);
  return keys ? *keys : Spake2::Keys{};
}

TEST(Spake2, DifferentPasswordsGiveDifferentConfirmations) {
  const auto a = Spake2::Make(SetupFor(Spake2::Side::kA, std::byte{1}, std::byte{9}));
  const auto b = Spake2::Make(SetupFor(Spake2::Side::kB, std::byte{2}, std::byte{9}));
  EXPECT_FALSE(EqualConfirmations(KeysOf(a, b).a, KeysOf(b, a).a));
  EXPECT_FALSE(EqualConfirmations(KeysOf(a, b).b, KeysOf(b, a).b));
}

TEST(Spake2, DifferentBindingsGiveDifferentConfirmations) {
  const auto a = Spake2::Make(SetupFor(Spake2::Side::kA, std::byte{1}, std::byte{9}));
  const auto b = Spake2::Make(SetupFor(Spake2::Side::kB, std::byte{1}, std::byte{8}));
  EXPECT_EQ(KeysOf(a, b).shared, KeysOf(b, a).shared);
  EXPECT_FALSE(EqualConfirmations(KeysOf(a, b).a, KeysOf(b, a).a));
}

TEST(Spake2, EqualSetupsAgreeAndSharesAreFresh) {
  const auto a = Spake2::Make(SetupFor(Spake2::Side::kA, std::byte{1}, std::byte{9}));
  const auto again = Spake2::Make(SetupFor(Spake2::Side::kA, std::byte{1}, std::byte{9}));
  const auto b = Spake2::Make(SetupFor(Spake2::Side::kB, std::byte{1}, std::byte{9}));
  EXPECT_NE(a->share(), again->share());
  EXPECT_TRUE(EqualConfirmations(KeysOf(a, b).a, KeysOf(b, a).a));
  EXPECT_TRUE(EqualConfirmations(KeysOf(a, b).b, KeysOf(b, a).b));
  EXPECT_NE(KeysOf(a, b).a, KeysOf(a, b).b) << "a reflected confirmation must not be accepted";
}

TEST(Spake2, RefusesInvalidPoints) {
  const auto b = Spake2::Make(SetupFor(Spake2::Side::kB, std::byte{1}, std::byte{9}));
  Spake2::Share off_curve = b->share();
  off_curve.back() ^= std::byte{1};
  EXPECT_FALSE(b->Finish(off_curve));
  const std::byte infinity[] = {std::byte{0}};
  EXPECT_FALSE(b->Finish(infinity));
  EXPECT_FALSE(b->Finish({}));
  const std::vector<std::byte> zeros(Spake2::kShareBytes);
  EXPECT_FALSE(b->Finish(zeros));
  // A compressed point, which is a valid encoding elsewhere.
  auto compressed = std::vector<std::byte>(b->share().begin(), b->share().begin() + 33);
  compressed[0] = std::byte{2};
  EXPECT_FALSE(b->Finish(compressed));
}

TEST(Spake2, RefusesAShareThatCancelsTheMask) {
  // pA = w*M makes x*(...) the point at infinity, whatever y is: the key would be known to everybody who
  // guesses w.
  Spake2::Setup setup = SetupFor(Spake2::Side::kA, std::byte{1}, std::byte{9});
  const auto mask_only = Spake2::MakeWithScalar(setup, Spake2::Scalar{});
  const auto b = Spake2::Make(SetupFor(Spake2::Side::kB, std::byte{1}, std::byte{9}));
  ASSERT_TRUE(b);
  ASSERT_TRUE(mask_only);
  EXPECT_FALSE(b->Finish(mask_only->share()));
}

}  // namespace
}  // namespace longwire

#include <sys/stat.h>

#include <filesystem>

#include "tests/contract/transport/lab.h"
#include "tests/contract/transport/stream_pairs.h"
#include "tests/support/coro_test.h"
#include "transport/acceptor.h"
#include "transport/certificate_store.h"
#include "transport/dial_socket.h"
#include "transport/listener.h"

namespace longwire {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class CertificateTest : public testing::Test {
 protected:
  void SetUp() override {
    lab_ = test::Lab::Get();
    if (!lab_) GTEST_SKIP() << "no openssl program to make certificates with";
  }

  Executor executor() { return context_.get_executor(); }

  template <class Body>
  void Run(Body body) {
    test::RunTest(context_, std::move(body));
  }

  Result<std::unique_ptr<Listener>> Start(const std::string& text) {
    ListenOptions options;
    options.warn = [this](const std::string& line) { warnings_ += line + "\n"; };
    return Listen(executor(), test::Server("ssl:port=0," + text), options);
  }

  static std::string At(const Listener& listener) {
    return "ssl:server=localhost,port=" + std::to_string(listener.endpoint().port.first) + ",";
  }

  Awaitable<Result<std::unique_ptr<Stream>>> To(std::string text) {
    return Dial(executor(), test::Client(text));
  }

  /// A copy of the store's files under another name.
  std::string Copy(const std::string& from, const std::string& to) {
    const std::string path = lab_->Path(to);
    fs::copy_file(lab_->Path(from), path, fs::copy_options::overwrite_existing);
    return path;
  }

  CertificateDirectories stores() const { return {lab_->store(), lab_->store() + "/none"}; }

  Error ServerError(const std::string& name) {
    const auto found = FindServerCertificate({name, false}, stores());
    EXPECT_FALSE(found) << name;
    return found ? Error{} : found.error();
  }

  const test::Lab* lab_ = nullptr;
  boost::asio::io_context context_{1};
  std::string warnings_;
};

TEST_F(CertificateTest, FoundByPathNameThumbprintAndCommonName) {
  const auto by_name = FindServerCertificate({"localhost", false}, stores());
  ASSERT_TRUE(by_name) << by_name.error().message;
  const x509_st& certificate = *by_name->identity.chain.front();
  const std::string sha256 = Thumbprint(certificate), sha1 = Thumbprint(certificate, true);
  std::string spelled;
  for (std::size_t i = 0; i < sha1.size(); i += 2) spelled += sha1.substr(i, 2) + (i % 4 ? " " : ":");
  spelled.pop_back();
  Copy("localhost.pem", "renamed.pem");
  Copy("localhost.key", "renamed.key");
  for (const std::string& name : {lab_->Path("localhost.pem"), sha256, spelled, std::string("LocalHost")}) {
    const auto found = FindServerCertificate({name, false}, stores());
    ASSERT_TRUE(found) << name << ": " << found.error().message;
    EXPECT_EQ(Thumbprint(*found->identity.chain.front()), sha256) << name;
  }
  fs::remove(lab_->Path("renamed.pem"));
  EXPECT_FALSE(FindServerCertificate({"localhost", true}, stores())) << "it is in the user store only";
}

TEST_F(CertificateTest, WhatIsWrongWithAServersFilesIsSaid) {
  EXPECT_EQ(ServerError("nosuch").code, Errc::kNotFound);
  EXPECT_EQ(ServerError("../localhost").code, Errc::kNotFound);
  EXPECT_EQ(ServerError("lab-ca").code, Errc::kNotFound) << "its key is not in the store";
  EXPECT_NE(ServerError("lab-ca").message.find("lab-ca.key"), std::string::npos);
  EXPECT_EQ(ServerError("old").code, Errc::kAuthentication);
  EXPECT_NE(ServerError("old").message.find("expired on"), std::string::npos);

  Copy("localhost.pem", "mixed.pem");
  Copy("other.key", "mixed.key");
  EXPECT_NE(ServerError("mixed").message.find("another certificate"), std::string::npos);
  ::chmod(lab_->Path("mixed.key").c_str(), 0644);
  EXPECT_NE(ServerError("mixed").message.find("chmod 600"), std::string::npos);
  test::Store(lab_->Path("text.pem"), "no certificate\n");
  EXPECT_EQ(ServerError(lab_->Path("text.pem")).code, Errc::kMalformed);
  EXPECT_FALSE(FindServerCertificate({"tech.client", false}, stores())) << "made for clients";
  for (const char* file : {"mixed.pem", "mixed.key", "text.pem"}) fs::remove(lab_->Path(file));
}

TEST_F(CertificateTest, ThumbprintsAreReadWithBlanksAndColonsOnly) {
  const std::string digits(40, 'A');
  EXPECT_EQ(ParseThumbprint(digits), std::string(40, 'a'));
  EXPECT_EQ(ParseThumbprint("0f 9c:11" + std::string(34, '0')), "0f9c11" + std::string(34, '0'));
  EXPECT_FALSE(ParseThumbprint(digits + "a"));
  EXPECT_FALSE(ParseThumbprint(std::string(39, 'a') + "g"));
  EXPECT_FALSE(ParseThumbprint(std::string(66, 'a')));
}

TEST_F(CertificateTest, ClientPinsOrVerifiesOrSaysThatItDoesNot) {
  Run([this]() -> Awaitable<void> {
    const auto listener = Start("proto=tls1.3,certuser=localhost");
    CO_ASSERT_OK(listener);
    const auto mine = FindExpectedServer({"localhost", false}, stores());
    CO_ASSERT_OK(mine);
    const std::string sha256 = Thumbprint(*mine->certificates.front());
    const std::string sha1 = Thumbprint(*mine->certificates.front(), true);
    const std::string authority = lab_->Path("lab-ca.pem");
    const std::vector<std::string> ways{"certuser=localhost", "certuser=lab-ca",       "machuser=" + sha256,
                                        "certuser=" + sha1,   "certuser=" + authority, "verify=none"};
    for (const std::string& how : ways) {
      const auto client = co_await To(At(**listener) + "proto=tls1," + how);
      CO_ASSERT_OK(client);
      EXPECT_EQ((*client)->peer().certificate, sha256) << how;
    }
  });
}

TEST_F(CertificateTest, WrongCertificateIsRefusedWithItsCause) {
  Run([this]() -> Awaitable<void> {
    const auto listener = Start("proto=tls1,certuser=other,password=Sesame42");
    CO_ASSERT_OK(listener);
    const std::pair<std::string, std::string> cases[] = {
        {"certuser=localhost", "it is other, SHA-256 "},
        {"certuser=" + std::string(64, '0'), "not the one that"},
        {"certuser=stranger-ca", "unable to get local issuer certificate"},
        {"certuser=lab-ca", "hostname mismatch"},
    };
    for (const auto& [how, cause] : cases) {
      const auto client = co_await To(At(**listener) + "proto=tls1,password=Sesame42," + how);
      CO_EXPECT_ERROR(client, Errc::kAuthentication);
      if (!client) {
        EXPECT_NE(client.error().message.find(cause), std::string::npos) << client.error().message;
      }
    }
  });
}

TEST_F(CertificateTest, ServerThatAsksForACertificateGetsOne) {
  Run([this]() -> Awaitable<void> {
    for (const char* suffix : {".pem", ".key"})
      Copy(std::string("localhost") + suffix, std::string("strict") + suffix);
    Copy("lab-ca.pem", "strict.clients.pem");
    const auto listener = Start("proto=tls1.3,certuser=strict");
    CO_ASSERT_OK(listener);
    auto without = co_await To(At(**listener) + "proto=tls1,certuser=lab-ca");
    if (without) {
      // In TLS 1.3 the client hears of it when it first reads.
      std::array<std::byte, 1> byte{};
      const auto read = co_await (*without)->ReadSome(byte);
      CO_EXPECT_ERROR(read, Errc::kAuthentication);
    }
    Copy("tech.client.pem", "lab-ca.client.pem");
    Copy("tech.client.key", "lab-ca.client.key");
    const auto with = co_await To(At(**listener) + "proto=tls1,certuser=lab-ca");
    fs::remove(lab_->Path("lab-ca.client.pem"));
    CO_ASSERT_OK(with);
    const auto server = co_await (*listener)->Accept();
    CO_ASSERT_OK(server);
    EXPECT_TRUE((*server)->peer().certificate);
    EXPECT_NE(warnings_.find("showed no certificate"), std::string::npos) << warnings_;
  });
}

TEST_F(CertificateTest, VersionsThatDoNotMeetAreNamed) {
  Run([this]() -> Awaitable<void> {
    const auto listener = Start("proto=tls1.3,certuser=localhost");
    CO_ASSERT_OK(listener);
    CO_EXPECT_ERROR(co_await To(At(**listener) + "proto=tls1.2,certuser=localhost"), Errc::kVersionMismatch);
    const auto older = Start("proto=tls1,certuser=localhost");
    CO_ASSERT_OK(older);
    CO_ASSERT_OK(co_await To(At(**older) + "proto=tls1.2,certuser=localhost"));
    CO_EXPECT_ERROR(Start("proto=tls1.2,certuser=localhost,password=Sesame42"), Errc::kUsage);
  });
}

TEST_F(CertificateTest, WithoutProofOfTheClientOnlyLoopbackIsBound) {
  const auto open = Start("proto=tls1,certuser=localhost");
  ASSERT_TRUE(open) << open.error().message;
  EXPECT_NE(warnings_.find("this machine only"), std::string::npos) << warnings_;
  warnings_.clear();
  const auto closed = Start("proto=tls1,certuser=localhost,password=Sesame42");
  ASSERT_TRUE(closed) << closed.error().message;
  EXPECT_EQ(warnings_, "");
}

/// Against the openssl program, whose TLS is the same library but whose use of it is not ours.
class InteropTest : public CertificateTest {
 protected:
  test::Program SClient(const Listener& listener, std::vector<std::string> more) {
    test::Store(Output("input"), "hello\n");
    std::vector<std::string> words{"openssl", "s_client", "-quiet", "-connect",
                                   "127.0.0.1:" + std::to_string(listener.endpoint().port.first)};
    words.insert(words.end(), more.begin(), more.end());
    return test::Program(words, Output("input"), Output("output"));
  }
  static std::string Output(const std::string& name) { return test::ScratchDirectory() + "/openssl-" + name; }

  /// Starts `openssl s_server`, which sends every line back reversed, and finds the port it took.
  Awaitable<std::uint16_t> SServer(std::unique_ptr<test::Program>& program, std::string certificate) {
    test::Store(Output("nothing"), "");
    const std::vector<std::string> words{"openssl",
                                         "s_server",
                                         "-rev",
                                         "-naccept",
                                         "1",
                                         "-accept",
                                         "127.0.0.1:0",
                                         "-cert",
                                         lab_->Path(certificate + ".pem"),
                                         "-key",
                                         lab_->Path(certificate + ".key")};
    program = std::make_unique<test::Program>(words, Output("nothing"), Output("server"));
    for (int i = 0; i < 1000; ++i) {
      const std::string said = test::Content(Output("server"));
      const std::size_t at = said.find("ACCEPT 127.0.0.1:");
      if (at != std::string::npos && said.find('\n', at) != std::string::npos) {
        co_return static_cast<std::uint16_t>(std::stoi(said.substr(at + 17)));
      }
      co_await test::Pause(milliseconds(3));
    }
    ADD_FAILURE() << "openssl s_server did not start: " << test::Content(Output("server"));
    co_return std::uint16_t{0};
  }
};

TEST_F(InteropTest, SClientVerifiesOurServerAndTalks) {
  Run([this]() -> Awaitable<void> {
    for (const std::string version : {"-tls1_3", "-tls1_2"}) {
      const auto listener = Start("proto=tls1,certuser=localhost");
      CO_ASSERT_OK(listener);
      auto program = SClient(**listener, {version, "-CAfile", lab_->Path("lab-ca.pem"),
                                          "-verify_return_error", "-verify_hostname", "localhost"});
      auto stream = co_await (*listener)->Accept();
      CO_ASSERT_OK(stream);
      std::array<std::byte, 64> bytes{};
      const auto count = co_await (*stream)->ReadSome(bytes);
      CO_ASSERT_OK(count);
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), *count), "hello\n");
      const std::string answer = "welcome\n";
      CO_ASSERT_OK(co_await (*stream)->WriteAll(std::as_bytes(std::span(answer))));
      CO_ASSERT_OK(co_await (*stream)->ShutdownWrite());
      EXPECT_EQ(co_await program.Exit(), 0);
      EXPECT_NE(test::Content(Output("output")).find("welcome"), std::string::npos);
    }
  });
}

TEST_F(InteropTest, NoDowngradeBelowWhatTheServerAsks) {
  Run([this]() -> Awaitable<void> {
    const auto secret = Start("proto=tls1,certuser=localhost,password=Sesame42");
    CO_ASSERT_OK(secret);
    const auto newest = Start("proto=tls1.3,certuser=localhost");
    CO_ASSERT_OK(newest);
    for (const Listener* listener : {secret->get(), newest->get()}) {
      warnings_.clear();
      auto program = SClient(*listener, {"-tls1_2"});
      const auto exit = co_await program.Exit();
      EXPECT_TRUE(exit && *exit != 0);
      EXPECT_NE(warnings_.find("No TLS version in common"), std::string::npos) << warnings_;
    }
    const auto floor = Start("proto=tls1,certuser=localhost");
    CO_ASSERT_OK(floor);
    auto program = SClient(**floor, {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"});
    const auto exit = co_await program.Exit();
    EXPECT_TRUE(exit && *exit != 0);
  });
}

TEST_F(InteropTest, OurClientTalksToSServer) {
  Run([this]() -> Awaitable<void> {
    std::unique_ptr<test::Program> program;
    const auto port = co_await SServer(program, "localhost");
    const auto client =
        co_await To("ssl:server=localhost,port=" + std::to_string(port) + ",proto=tls1,certuser=lab-ca");
    CO_ASSERT_OK(client);
    const std::string text = "abc\n";
    CO_ASSERT_OK(co_await (*client)->WriteAll(std::as_bytes(std::span(text))));
    std::string answer;
    while (answer.find('\n') == std::string::npos) {
      std::array<std::byte, 64> bytes{};
      const auto count = co_await (*client)->ReadSome(bytes);
      CO_ASSERT_OK(count);
      CO_ASSERT_TRUE(*count > 0);
      answer.append(reinterpret_cast<const char*>(bytes.data()), *count);
    }
    EXPECT_EQ(answer, "cba\n");
  });
}

TEST_F(InteropTest, ExpiredCertificateIsRefusedThoughItIsTheOneNamed) {
  Run([this]() -> Awaitable<void> {
    for (const std::string how : {"certuser=old", "certuser=lab-ca"}) {
      std::unique_ptr<test::Program> program;
      const auto port = co_await SServer(program, "old");
      const auto client =
          co_await To("ssl:server=localhost,port=" + std::to_string(port) + ",proto=tls1," + how);
      CO_EXPECT_ERROR(client, Errc::kAuthentication);
      if (!client) {
        EXPECT_NE(client.error().message.find("expired on"), std::string::npos) << client.error().message;
      }
    }
  });
}

}  // namespace
}  // namespace longwire

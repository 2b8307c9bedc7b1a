#include <sys/stat.h>

#include <boost/asio/detached.hpp>
#include <set>
#include <span>

#include "tests/contract/transport/lab.h"
#include "tests/contract/transport/stream_pairs.h"
#include "tests/support/coro_test.h"
#include "transport/listener.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using std::chrono::milliseconds;

/// Every server form against every client form, with every combination of passwords: what must come of it.

enum class Way { kPipe, kForward, kReverse, kSerial };

struct Form {
  const char* name;
  Way way;
  bool secure;             ///< ssl, spipe
  bool elsewhere = false;  ///< a client on another machine, which comes through ssh
};
constexpr Form kForms[] = {
    {"Npipe", Way::kPipe, false},         {"Tcp", Way::kForward, false},
    {"TcpReverse", Way::kReverse, false}, {"Spipe", Way::kPipe, true},
    {"Ssl", Way::kForward, true},         {"SslReverse", Way::kReverse, true},
    {"Com", Way::kSerial, false},         {"NpipeElsewhere", Way::kPipe, false, true},  // only as a client
};
constexpr std::span<const Form> kServerForms(kForms, std::size(kForms) - 1);

struct Passwords {
  const char* name;
  const char* server;
  const char* client;
};
constexpr Passwords kPasswords[] = {
    {"without", "", ""},
    {"right", ",password=Sesame42", ",password=Sesame42"},
    {"wrong", ",password=Sesame42", ",password=sesame42"},
    {"missing", ",password=Sesame42", ""},
    {"unasked", "", ",password=Sesame42"},
};

struct Outcome {
  std::set<Errc> codes;  ///< empty: connects
  std::string text;      ///< of the message
};

const Outcome kConnects{};
const Outcome kNobodyThere{{Errc::kUnreachable}, ""};
const Outcome kNobodyDials{{Errc::kTimedOut}, "needs clicon="};
const Outcome kNobodyAnswers{{Errc::kTimedOut}, "Nobody answers on"};
const Outcome kNumber{{Errc::kAuthentication}, "0x80004005"};
const Outcome kCertificate{{Errc::kAuthentication}, "certificate"};
const Outcome kSpeaksTls{{Errc::kAuthentication}, "addressed without TLS"};
/// The server understands nothing and hangs up; what the client sees of that depends on what was under way.
const Outcome kAskPassword{{Errc::kClosed, Errc::kMalformed, Errc::kIo}, "with a password?"};

Outcome Expected(const Form& server, const Form& client, const Passwords& passwords) {
  if (server.way != client.way) {
    if (client.way == Way::kReverse) return kNobodyDials;
    return client.way == Way::kSerial ? kNobodyAnswers : kNobodyThere;
  }
  const std::string_view mode = passwords.name;
  if (mode == "unasked") return kAskPassword;
  if (server.secure == client.secure) {
    return mode == "without" || mode == "right" ? kConnects : kNumber;
  }
  if (server.secure) {
    // A password proves both sides whatever the certificate, so plain tcp: with one is at home here.
    if (mode == "right") return kConnects;
    return mode == "wrong" ? kNumber : kSpeaksTls;
  }
  return mode == "without" ? kAskPassword : kCertificate;
}

std::string Head(const Form& form, bool server) {
  const std::string certificate = server ? "localhost" : "lab-ca";
  if (form.way == Way::kSerial) return "com:baud=1500000,channel=7,";
  std::string text = form.way == Way::kPipe ? "npipe:" : "tcp:";
  if (form.secure)
    text = (form.way == Way::kPipe ? "spipe:" : "ssl:") + ("proto=tls1,certuser=" + certificate + ",");
  return text;
}

/// A port of this machine on which nobody listens.
constexpr std::uint16_t kDeadPort = 1;

class PairTable : public testing::TestWithParam<Form> {
 protected:
  struct Cell {
    const Form& client;
    const Passwords& passwords;
    std::string name;
    test::Cable cable{};  ///< of the cells with a serial line
  };

  void SetUp() override {
    if (!test::Lab::Get()) GTEST_SKIP() << "no openssl program to make certificates with";
    // In place of ssh: a script that runs the words for the other machine, kdsrv --connect-pipe NAME, here.
    const std::string shell = test::ScratchDirectory() + "/rsh";
    test::Store(shell, std::string("#!/bin/sh\nshift 2\nexec '") + LONGWIRE_KDSRV + "' \"$@\"\n");
    ASSERT_EQ(::chmod(shell.c_str(), 0755), 0);
    ::setenv("_DBG_PIPE_RSH", shell.c_str(), 1);
  }
  static void TearDownTestSuite() { ::unsetenv("_DBG_PIPE_RSH"); }

  Executor executor() { return context_.get_executor(); }

  std::unique_ptr<Listener> MakeListener(const Cell& cell, std::uint16_t reverse_port) {
    const Form& form = GetParam();
    std::string text = Head(form, true);
    if (form.way == Way::kPipe) text += "pipe=" + cell.name;
    if (form.way == Way::kForward) text += "port=0";
    if (form.way == Way::kReverse) text += "clicon=localhost,port=" + std::to_string(reverse_port);
    if (form.way == Way::kSerial) text += "port=" + cell.cable.far;
    ListenOptions options;
    options.reverse.first = options.reverse.longest = milliseconds(50);
    auto listener = Listen(executor(), test::Server(text + cell.passwords.server), options);
    EXPECT_TRUE(listener) << cell.name << ": " << listener.error().message;
    return listener ? std::move(*listener) : nullptr;
  }

  static std::string ClientText(const Cell& cell, const Listener* listener) {
    std::string text = Head(cell.client, false);
    if (cell.client.way == Way::kPipe)
      text += (cell.client.elsewhere ? "server=elsewhere" : "server=.") + (",pipe=" + cell.name);
    if (cell.client.way == Way::kSerial) text += "port=" + cell.cable.near;
    const bool there = cell.client.way == Way::kForward && GetParam().way == Way::kForward;
    const std::uint16_t port = there ? listener->endpoint().port.first : kDeadPort;
    if (cell.client.way == Way::kForward) text += "server=localhost,port=" + std::to_string(port);
    // What is printed of a server on a range: the first number counts.
    if (there) text += ":65535";
    if (cell.client.way == Way::kReverse) text += "clicon=localhost,port=20100:29999";
    return text + cell.passwords.client;
  }

  /// Serves whoever comes: a welcome and one more message.
  static Awaitable<void> Serve(Executor executor, std::shared_ptr<Listener> listener) {
    for (;;) {
      auto stream = co_await listener->Accept();
      if (!stream) co_return;
      const auto channel = RpcChannel::Make(executor, std::move(*stream));
      rpc::Welcome welcome;
      if (!co_await GreetClient(*channel, std::move(welcome))) continue;
      rpc::Envelope envelope{0, rpc::Goodbye{Errc::kCancelled, "served"}, {}};
      (void)channel->Enqueue(std::move(envelope));
      (void)co_await channel->Drain(milliseconds(5000));
    }
  }

  static Awaitable<Result<std::string>> Talk(Executor executor, Result<std::unique_ptr<Stream>> stream) {
    if (!stream) co_return stream.error();
    const auto channel = RpcChannel::Make(executor, std::move(*stream));
    rpc::Hello hello;
    const auto welcome = co_await GreetServer(*channel, std::move(hello));
    if (!welcome) co_return welcome.error();
    const auto message = co_await channel->Receive();
    if (!message) co_return message.error();
    const auto* goodbye = std::get_if<rpc::Goodbye>(&message->message);
    co_return goodbye ? goodbye->text : "another message";
  }

  Awaitable<void> RunCell(Cell cell) {
    if (GetParam().way == Way::kSerial || cell.client.way == Way::kSerial) {
      auto cable = test::LayCable(executor());
      CO_ASSERT_OK(cable);
      cell.cable = std::move(*cable);
    }
    std::shared_ptr<Listener> listener;
    const auto serve = [&](std::uint16_t reverse_port) {
      listener = MakeListener(cell, reverse_port);
      if (listener) boost::asio::co_spawn(context_, Serve(executor(), listener), boost::asio::detached);
    };
    DialOptions options;
    const bool meet = GetParam().way == Way::kReverse && cell.client.way == Way::kReverse;
    if (!meet) serve(kDeadPort);
    if (!meet && !listener) co_return;
    if (meet) {
      options.notice = [&](const std::string& line) {
        const std::size_t at = line.find("on port ");
        if (!listener && at != std::string::npos)
          serve(static_cast<std::uint16_t>(std::stoi(line.substr(at + 8))));
      };
    } else if (cell.client.way != GetParam().way &&
               (cell.client.way == Way::kReverse || cell.client.way == Way::kSerial)) {
      options.limit = milliseconds(100);
    }
    auto stream =
        co_await Dial(executor(), test::Client(ClientText(cell, listener.get())), std::move(options));
    const auto told = co_await Talk(executor(), std::move(stream));
    Judge(cell, told);
    if (listener) listener->Close();
  }

  void Judge(const Cell& cell, const Result<std::string>& told) {
    const Outcome expected = Expected(GetParam(), cell.client, cell.passwords);
    if (expected.codes.empty()) {
      EXPECT_TRUE(told) << cell.name << ": " << told.error().message;
      if (told) {
        EXPECT_EQ(*told, "served") << cell.name;
      }
      return;
    }
    if (told) {
      ADD_FAILURE() << cell.name << " connects";
      return;
    }
    EXPECT_TRUE(expected.codes.contains(told.error().code))
        << cell.name << ": " << ErrcName(told.error().code) << ": " << told.error().message;
    EXPECT_NE(told.error().message.find(expected.text), std::string::npos)
        << cell.name << ": " << told.error().message << " lacks: " << expected.text;
  }

  boost::asio::io_context context_{1};
};

TEST_P(PairTable, ConnectsOrIsRefusedAsDocumented) {
  for (const Form& client : kForms) {
    // Few at a time: each proves passwords, which costs so much time that many at once would run into limits.
    int left = 0;
    for (const Passwords& passwords : kPasswords) {
      Cell cell{client, passwords, std::string(GetParam().name) + "-" + client.name + "-" + passwords.name};
      ++left;
      boost::asio::co_spawn(context_, RunCell(std::move(cell)), [&](std::exception_ptr failure) {
        EXPECT_FALSE(failure);
        if (--left == 0) context_.stop();
      });
    }
    context_.run_for(std::chrono::seconds(60));
    ASSERT_EQ(left, 0) << client.name << " not finished within 60 s";
    context_.restart();
    context_.poll();
    context_.restart();
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, PairTable, testing::ValuesIn(kServerForms.begin(), kServerForms.end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace longwire

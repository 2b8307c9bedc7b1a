#include "transport/connection_doctor.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>

#include "transport/client_security.h"
#include "transport/doctor_reach.h"
#include "transport/listener.h"
#include "transport/recording_stream.h"
#include "transport/server_security.h"

namespace longwire {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHandshakeLimit{4000}, kGreetingLimit{4000}, kSecondTryLimit{3000};
/// A server whose peer left dials again after a second.
constexpr milliseconds kRedialLimit{8000}, kRemoteLimit{45'000};
constexpr std::uint64_t kDiagnoseId = 1;

/// The middle of the walk: from a bare stream to a greeted server.
class ConnectionDoctor {
 public:
  ConnectionDoctor(Executor executor, Endpoint endpoint, rpc::Hello hello, bool open, Diagnosis& diagnosis)
      : executor_(std::move(executor)),
        endpoint_(std::move(endpoint)),
        hello_(std::move(hello)),
        open_(open),
        diagnosis_(diagnosis) {}

  Awaitable<ExaminedConnection> Run() {
    ExaminedConnection examined;
    std::unique_ptr<Stream> stream = co_await ReachServer(executor_, endpoint_, open_, diagnosis_);
    if (stream) {
      dialled_in_ = stream->peer().address;
      slowness_ = stream->peer().slowness;
      stream = co_await Secure(std::move(stream));
    }
    if (stream) examined = co_await Greet(std::move(stream));
    co_return examined;
  }

 private:
  std::string Place() const {
    if (endpoint_.clicon) return dialled_in_ + ", which dialled in";
    switch (endpoint_.protocol) {
      case Protocol::kNamedPipe:
      case Protocol::kSecurePipe: return "the pipe " + endpoint_.pipe;
      case Protocol::kCom: return endpoint_.device + " channel " + std::to_string(endpoint_.channel);
      case Protocol::kTcp:
      case Protocol::kSsl: break;
    }
    return endpoint_.server + " port " + std::to_string(endpoint_.port.first);
  }

  Awaitable<std::unique_ptr<Stream>> Secure(std::unique_ptr<Stream> bare) {
    auto stream = MakeRecordingStream(std::move(bare), heard_);
    const auto security = ClientSecurity::Make(endpoint_);
    if (!security) {
      diagnosis_.Fail(DoctorStep::kTls, Finding::kCertificateUnusable, security.error().message);
      co_return nullptr;
    }
    if (!security->acts()) {
      diagnosis_.Skip(DoctorStep::kTls, "not asked for: no password, and not ssl: or spipe:");
      diagnosis_.Skip(DoctorStep::kPassword, "none is given");
      co_return stream;
    }
    Stream* const below = stream.get();
    ScopedDeadline deadline(executor_, kHandshakeLimit + slowness_, [below] { below->Close(); });
    auto tls = co_await security->ShakeHands(executor_, std::move(stream), finding_);
    if (!tls) {
      co_await JudgeHandshake(tls.error(), deadline.expired());
      co_return nullptr;
    }
    const auto& shown = (*tls)->peer().certificate;
    tls_text_ = security->authenticates() && IsSecure(endpoint_.protocol) && shown
                    ? "encrypted; the server's certificate is accepted, SHA-256 " + *shown
                    : "encrypted; what proves the server is the password";
    if (endpoint_.verify_none && !endpoint_.password) tls_text_ = "encrypted; nothing proves the server";
    const auto proved = co_await security->Prove(**tls, deadline);
    if (!proved) {
      co_await JudgePassword(proved.error(), deadline.expired());
      co_return nullptr;
    }
    password_proved_ = endpoint_.password.has_value();
    co_return MakeRecordingStream(std::move(*tls), inner_heard_ = std::make_shared<std::string>());
  }

  /// With TLS 1.3 a server refuses the client's certificate after the client's handshake is over, so that
  /// step is only told when the server answered.
  void TellTls() {
    if (tls_text_.empty()) return;
    diagnosis_.Ok(DoctorStep::kTls, std::exchange(tls_text_, {}));
    if (password_proved_)
      diagnosis_.Ok(DoctorStep::kPassword, "both sides know it");
    else if (!endpoint_.password)
      diagnosis_.Skip(DoctorStep::kPassword, "none is given");
  }

  static bool IsAboutTls(Finding finding) {
    return finding != Finding::kNone && finding != Finding::kTlsFailed;
  }

  /// Whether a server welcomes the client at an endpoint that says less than the one examined.
  Awaitable<bool> IsWelcome(Endpoint other) {
    DialOptions options;
    options.limit = (other.clicon ? kRedialLimit : kSecondTryLimit) + slowness_;
    options.open = true;  // nothing is told to who answers
    auto stream = co_await Dial(executor_, std::move(other), options);
    if (!stream) co_return false;
    const auto channel = RpcChannel::Make(executor_, std::move(*stream));
    const ScopedDeadline deadline(executor_, kSecondTryLimit + slowness_, [&channel] { channel->Close(); });
    const auto welcome = co_await GreetServer(*channel, hello_);
    co_return welcome.has_value() || welcome.error().code == Errc::kVersionMismatch;
  }

  Awaitable<void> JudgeHandshake(Error error, bool expired) {
    if (expired && heard_->empty()) {
      diagnosis_.Fail(DoctorStep::kTls, Finding::kServerSilent,
                      Place() + " accepts connections and says nothing");
      co_return;
    }
    if (IsAboutTls(*finding_) && LooksLikeTls(*heard_)) {
      diagnosis_.Fail(DoctorStep::kTls, *finding_, error.message);
      co_return;
    }
    if (LooksLikeTls(*heard_)) {
      diagnosis_.Fail(DoctorStep::kTls, Finding::kTlsFailed, error.message);
      co_return;
    }
    Endpoint plain = endpoint_;
    plain.password.reset();
    if (plain.protocol == Protocol::kSsl) plain.protocol = Protocol::kTcp;
    if (plain.protocol == Protocol::kSecurePipe) plain.protocol = Protocol::kNamedPipe;
    if (!co_await IsWelcome(std::move(plain))) {
      FailForeign(DoctorStep::kTls, *heard_);
    } else if (IsSecure(endpoint_.protocol)) {
      diagnosis_.Fail(DoctorStep::kTls, Finding::kServerWithoutTls,
                      Place() + " is a longwire server that speaks no TLS: its string is tcp: or npipe:");
    } else {
      diagnosis_.Skip(DoctorStep::kTls, "the server speaks none");
      diagnosis_.Fail(DoctorStep::kPassword, Finding::kPasswordNotWanted,
                      "a password is given, but the server at " + Place() + " was started without one");
    }
  }

  Awaitable<void> JudgePassword(Error error, bool expired) {
    if (IsAboutTls(*finding_)) {
      diagnosis_.Fail(DoctorStep::kTls, *finding_, error.message);
      co_return;
    }
    TellTls();
    if (expired) {
      diagnosis_.Fail(DoctorStep::kPassword, Finding::kServerSilent,
                      Place() + " does not answer in the password exchange");
    } else if (error.code == Errc::kAuthentication) {
      diagnosis_.Fail(DoctorStep::kPassword, Finding::kPasswordWrong, error.message);
    } else {
      Endpoint without = endpoint_;
      without.password.reset();
      const bool welcome = IsSecure(endpoint_.protocol) && co_await IsWelcome(std::move(without));
      diagnosis_.Fail(DoctorStep::kPassword, welcome ? Finding::kPasswordNotWanted : Finding::kPasswordFailed,
                      welcome
                          ? "a password is given, but the server at " + Place() + " was started without one"
                          : error.message);
    }
  }

  void FailForeign(DoctorStep step, const std::string& heard) {
    const std::string guess = GuessService(heard);
    diagnosis_.Fail(step, Finding::kNotLongwire,
                    heard.empty()   ? Place() + " ends the connection without a word"
                    : guess.empty() ? Place() + " is no longwire server: it answers something else"
                                    : Place() + " is no longwire server but " + guess);
  }

  Awaitable<ExaminedConnection> Greet(std::unique_ptr<Stream> stream) {
    ExaminedConnection examined;
    auto channel = RpcChannel::Make(executor_, std::move(stream));
    bool expired = false;
    Result<rpc::Welcome> welcome = Error{};
    {
      const ScopedDeadline deadline(executor_, kGreetingLimit + slowness_, [&channel] { channel->Close(); });
      welcome = co_await GreetServer(*channel, hello_);
      expired = deadline.expired();
    }
    if (!welcome) {
      JudgeGreeting(welcome.error(), expired);
      co_return examined;
    }
    TellTls();
    diagnosis_.Ok(DoctorStep::kVersion,
                  (welcome->software.empty() ? "a longwire server" : welcome->software) +
                      ", protocol version " + std::to_string(welcome->protocol));
    examined.channel = std::move(channel);
    examined.welcome = std::move(*welcome);
    co_return examined;
  }

  void JudgeGreeting(const Error& error, bool expired) {
    if (IsAboutTls(*finding_)) return diagnosis_.Fail(DoctorStep::kTls, *finding_, error.message);
    TellTls();
    const std::string& heard = inner_heard_ ? *inner_heard_ : *heard_;
    if ((expired || error.code == Errc::kTimedOut) && heard.empty()) {
      return diagnosis_.Fail(DoctorStep::kVersion, Finding::kServerSilent,
                             Place() + " accepts connections and says nothing");
    }
    switch (error.code) {
      case Errc::kVersionMismatch:
        return diagnosis_.Fail(DoctorStep::kVersion, Finding::kVersionMismatch, error.message);
      case Errc::kAuthentication: {
        // The two refusals of a server that was greeted without TLS; only the text tells them apart.
        const bool tls = error.message.find("without TLS") != std::string::npos;
        return diagnosis_.Fail(tls ? DoctorStep::kTls : DoctorStep::kPassword,
                               tls ? Finding::kServerWantsTls : Finding::kPasswordWanted, error.message);
      }
      case Errc::kMalformed:
      case Errc::kLimitExceeded:
      case Errc::kUnsupported:
      case Errc::kTimedOut:
      case Errc::kCancelled: return FailForeign(DoctorStep::kVersion, heard);
      case Errc::kClosed:
      case Errc::kIo: return FailForeign(DoctorStep::kVersion, heard);
      default: return diagnosis_.Fail(DoctorStep::kVersion, Finding::kServerRefuses, error.message);
    }
  }

  Executor executor_;
  Endpoint endpoint_;
  rpc::Hello hello_;
  bool open_;
  Diagnosis& diagnosis_;
  std::shared_ptr<std::string> heard_ = std::make_shared<std::string>();  ///< on the bare stream
  std::shared_ptr<std::string> inner_heard_;                              ///< inside TLS; null without
  std::shared_ptr<Finding> finding_ = std::make_shared<Finding>(Finding::kNone);
  std::string dialled_in_;  ///< clicon: the address of who did
  milliseconds slowness_{0};
  std::string tls_text_;  ///< of the step that is not told yet
  bool password_proved_ = false;
};

}  // namespace

Awaitable<ExaminedConnection> ExamineConnection(Executor executor, Endpoint endpoint, rpc::Hello hello,
                                                bool open, Diagnosis& diagnosis) {
  ConnectionDoctor doctor(std::move(executor), std::move(endpoint), std::move(hello), open, diagnosis);
  ExaminedConnection examined = co_await doctor.Run();
  co_return examined;
}

Awaitable<void> ExamineRemoteLink(RpcChannel& channel, rpc::Welcome welcome, std::string link,
                                  Diagnosis& diagnosis) {
  const auto& offered = welcome.capabilities;
  if (std::find(offered.begin(), offered.end(), rpc::kDiagnoseCapability) == offered.end()) {
    diagnosis.Fail(DoctorStep::kDevice, Finding::kServerCannotDiagnose,
                   "the server (" + welcome.software + ") is too old to examine its link");
    co_return;
  }
  const Executor executor = co_await boost::asio::this_coro::executor;
  const ScopedDeadline deadline(executor, kRemoteLimit, [&channel] { channel.Close(); });
  rpc::Envelope request{kDiagnoseId, rpc::Request(rpc::Diagnose{std::move(link)}), {}};
  (void)channel.Enqueue(std::move(request));
  diagnosis.set_on_cancel([&channel] {
    (void)channel.Enqueue(rpc::Envelope{0, rpc::Cancel{kDiagnoseId}, {}}, RpcChannel::Lane::kUrgent);
  });
  for (;;) {
    auto envelope = co_await channel.Receive();
    if (!envelope) {
      if (!diagnosis.cancelled())
        diagnosis.Fail(
            DoctorStep::kDevice, Finding::kConnectionLost,
            "the connection ended while the server examined its link: " + envelope.error().message);
      break;
    }
    if (auto* event = std::get_if<rpc::Event>(&envelope->message)) {
      if (auto* step = std::get_if<DiagnosedStep>(event)) diagnosis.Add(std::move(*step));
      continue;
    }
    const auto* response = std::get_if<rpc::Response>(&envelope->message);
    if (!response || envelope->id != kDiagnoseId) continue;
    if (const auto* error = std::get_if<Error>(&response->answer); error && !diagnosis.cancelled())
      diagnosis.Fail(DoctorStep::kDevice, Finding::kServerRefuses, error->message);
    break;
  }
  diagnosis.set_on_cancel({});
}

}  // namespace longwire

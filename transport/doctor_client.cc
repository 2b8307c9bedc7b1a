#include "transport/doctor_client.h"

#include <cerrno>

#include "transport/dial_socket.h"
#include "transport/doctor_way.h"
#include "transport/recording_stream.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectLimit{4000}, kHandshakeLimit{6000}, kHelloLimit{4000}, kFarewellLimit{2000};

/// From the port to the hello of a client that waits.
class ClientDoctor {
 public:
  ClientDoctor(Executor executor, Endpoint endpoint, ServerSecurity security, Diagnosis& diagnosis)
      : executor_(std::move(executor)),
        endpoint_(std::move(endpoint)),
        security_(std::move(security)),
        diagnosis_(diagnosis),
        where_(*endpoint_.clicon + " port " + std::to_string(endpoint_.port.first)) {}

  Awaitable<void> Run() {
    const auto here = co_await ExamineWay(executor_, *endpoint_.clicon, endpoint_.port.first,
                                          endpoint_.ip_version, diagnosis_);
    if (!here) co_return;
    auto stream = co_await DialTcp(executor_, *endpoint_.clicon, endpoint_.port.first, endpoint_.ip_version,
                                   kConnectLimit);
    if (!stream) co_return FailPort(stream.error(), *here);
    diagnosis_.Ok(DoctorStep::kPort, where_ + " accepts connections");
    auto heard = MakeRecordingStream(std::move(*stream), heard_);
    if (security_.asks()) heard = co_await Secure(std::move(heard));
    if (heard) co_await HearHello(std::move(heard));
  }

 private:
  void FailPort(const Error& error, const std::string& here) {
    const Finding finding = PortFinding(error);
    if (finding != Finding::kPortRefused)
      return diagnosis_.Fail(DoctorStep::kPort, finding, PortText(finding, where_, error));
    const bool ssl = endpoint_.protocol == Protocol::kSsl;
    diagnosis_.Fail(DoctorStep::kPort, Finding::kNoClientWaits,
                    "no client waits at " + where_ +
                        " (connection refused); type there: kd -k 'kdsrv:server=@{" +
                        (ssl ? "ssl:proto=tls1,certuser=CERTIFICATE," : "tcp:") + "clicon=" + here +
                        ",port=" + std::to_string(endpoint_.port.first) +
                        (endpoint_.password ? ",password=..." : "") + "},trans=@{LINK}'");
  }

  void FailForeign(DoctorStep step) {
    const std::string guess = GuessService(*heard_);
    diagnosis_.Fail(step, Finding::kNotLongwire,
                    heard_->empty() ? where_ + " ends the connection without a word"
                    : guess.empty() ? where_ + " is no longwire client: it says something else"
                                    : where_ + " is no longwire client but " + guess);
  }

  Awaitable<std::unique_ptr<Stream>> Secure(std::unique_ptr<Stream> stream) {
    Stream* raw = stream.get();
    bool over = false;
    ScopedDeadline deadline(executor_, kHandshakeLimit, [&raw, &over] {
      if (!over) raw->Close();
    });
    ServerSecurity::Hooks none;
    auto secured = co_await security_.Secure(executor_, std::move(stream), deadline, std::move(none));
    over = true;
    if (!secured) {
      JudgeRefusal(secured.error(), deadline.expired());
      co_return nullptr;
    }
    diagnosis_.Ok(DoctorStep::kTls, "encrypted");
    if (endpoint_.password) {
      diagnosis_.Ok(DoctorStep::kPassword, "both sides know it");
    } else {
      diagnosis_.Skip(DoctorStep::kPassword, "none is given");
    }
    co_return std::move(*secured);
  }

  void JudgeRefusal(const Error& error, bool expired) {
    if (expired && heard_->empty()) {
      return diagnosis_.Fail(DoctorStep::kTls, Finding::kServerSilent,
                             where_ + " accepts connections and says nothing, as a client never does");
    }
    if (error.code == Errc::kAuthentication) {
      diagnosis_.Ok(DoctorStep::kTls, "encrypted");
      return diagnosis_.Fail(DoctorStep::kPassword, Finding::kPasswordWrong, error.message);
    }
    const bool tls = LooksLikeTls(*heard_);
    // Inside TLS, a client without a password says hello at once; only the text tells.
    const bool wanted = tls && endpoint_.password && error.message.find("got none") != std::string::npos;
    if (tls && !wanted) return diagnosis_.Fail(DoctorStep::kTls, Finding::kTlsFailed, error.message);
    if (wanted) {
      diagnosis_.Ok(DoctorStep::kTls, "encrypted");
      return FailWithoutPassword();
    }
    if (heard_->empty() || !GuessService(*heard_).empty()) return FailForeign(DoctorStep::kTls);
    if (IsSecure(endpoint_.protocol)) {
      return diagnosis_.Fail(DoctorStep::kTls, Finding::kServerWithoutTls,
                             "the client at " + where_ + " speaks no TLS: its string is tcp:, not ssl:");
    }
    diagnosis_.Skip(DoctorStep::kTls, "the client speaks none");
    FailWithoutPassword();
  }

  void FailWithoutPassword() {
    diagnosis_.Fail(DoctorStep::kPassword, Finding::kPasswordWanted,
                    "the client at " + where_ + " gives no password");
  }

  Awaitable<void> HearHello(std::unique_ptr<Stream> stream) {
    const auto channel = RpcChannel::Make(executor_, std::move(stream));
    const ScopedDeadline deadline(executor_, kHelloLimit, [&channel] { channel->Close(); });
    auto envelope = co_await channel->Receive();
    const auto* hello = envelope ? std::get_if<rpc::Hello>(&envelope->message) : nullptr;
    if (!hello) {
      const bool silent = deadline.expired() || (!envelope && envelope.error().code == Errc::kTimedOut);
      co_return JudgeSilence(silent);
    }
    const std::string who = hello->software.empty() ? "a longwire client" : hello->software;
    if (hello->protocol_minimum > rpc::kProtocolMaximum || hello->protocol_maximum < rpc::kProtocolMinimum) {
      diagnosis_.Fail(DoctorStep::kVersion, Finding::kVersionMismatch,
                      who + " waits, and has no protocol version in common with this server");
    } else {
      diagnosis_.Ok(DoctorStep::kVersion, who + " waits; it has to be started again now");
    }
    rpc::Envelope farewell{
        0, rpc::Reject{Errc::kBusy, "the server was only examined (kdsrv -doctor); wait for it again"}, {}};
    if (channel->Enqueue(std::move(farewell))) (void)co_await channel->Drain(kFarewellLimit);
  }

  void JudgeSilence(bool silent) {
    if (silent && heard_->empty()) {
      return diagnosis_.Fail(DoctorStep::kVersion, Finding::kServerSilent,
                             where_ + " accepts connections and says nothing, as a client never does");
    }
    if (security_.asks() || !LooksLikeTls(*heard_)) return FailForeign(DoctorStep::kVersion);
    diagnosis_.Skip(DoctorStep::kTls, "the string asks for none");
    diagnosis_.Fail(DoctorStep::kPassword, Finding::kPasswordNotWanted,
                    "the client at " + where_ + " speaks TLS: it has a password, or its string is ssl:");
  }

  Executor executor_;
  Endpoint endpoint_;
  ServerSecurity security_;
  Diagnosis& diagnosis_;
  std::string where_;
  std::shared_ptr<std::string> heard_ = std::make_shared<std::string>();
};

}  // namespace

Awaitable<void> ExamineWaitingClient(Executor executor, Endpoint endpoint, ServerSecurity security,
                                     Diagnosis& diagnosis) {
  ClientDoctor doctor(std::move(executor), std::move(endpoint), std::move(security), diagnosis);
  co_await doctor.Run();
}

}  // namespace longwire

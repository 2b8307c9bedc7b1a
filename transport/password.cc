#include "transport/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "transport/password_message.h"

namespace longwire {
namespace {

// The salt is fixed: both sides must get the same w from the password alone. It separates this use from
// others.
constexpr std::string_view kSalt = "longwire SPAKE2 P-256 password v1";
constexpr std::string_view kExporterLabel = "EXPORTER-longwire-password-v1";
constexpr std::string_view kClientName = "longwire client", kServerName = "longwire server";
constexpr std::string_view kWrongPassword = "The password is wrong (Error 0x80004005).";
constexpr std::uint64_t kScryptN = 1u << 14, kScryptR = 8, kScryptP = 1, kScryptMemory = 64u << 20;
constexpr std::size_t kHashBytes = 48;  ///< 128 bits more than the order, so that the reduction is even

/// Reads one message at a time; both sides send one and wait, so what is left over belongs to the next
/// message.
class Conversation {
 public:
  explicit Conversation(TlsStream& stream) : stream_(stream) {}

  Awaitable<Result<void>> Say(PasswordMessage message) {
    const std::vector<std::byte> bytes = EncodePasswordMessage(message);
    co_return co_await stream_.WriteAll(bytes, {});
  }

  /// Reads byte-exactly, because frames follow the last message in the same stream.
  Awaitable<Result<PasswordMessage>> Hear() {
    std::vector<std::byte> bytes;
    std::size_t missing = kPasswordHeaderBytes;
    for (;;) {
      const std::size_t have = bytes.size();
      bytes.resize(have + missing);
      const auto count = co_await stream_.ReadSome(std::span(bytes).subspan(have));
      if (!count) co_return count.error();
      if (*count == 0) {
        co_return Error{Errc::kClosed,
                        stream_.peer().address + " closed the connection in the password exchange."};
      }
      bytes.resize(have + *count);
      missing -= *count;
      auto decoded = DecodePasswordMessage(bytes);
      if (!decoded) co_return decoded.error();
      if (*decoded) co_return std::move((*decoded)->message);
      if (missing == 0) missing = BodyBytes(bytes);
    }
  }

 private:
  static std::size_t BodyBytes(const std::vector<std::byte>& header) {
    return std::to_integer<std::size_t>(header[1]) | std::to_integer<std::size_t>(header[2]) << 8;
  }

  TlsStream& stream_;
};

Result<Spake2> Begin(const TlsStream& stream, const PasswordKey& key, Spake2::Side side) {
  const auto binding = stream.ExportKey(kExporterLabel);
  if (!binding) return binding.error();
  return Spake2::Make(
      {side, std::string(kClientName), std::string(kServerName), key.w, {binding->begin(), binding->end()}});
}

Error Unexpected() {
  return {Errc::kMalformed, "The password exchange went out of order; is the other side longwire?"};
}

Error Refused(std::string text) { return {Errc::kAuthentication, std::move(text)}; }

template <class T>
Result<T> ExpectOfClient(Result<PasswordMessage> message) {
  if (!message) return message.error();
  if (const T* wanted = std::get_if<T>(&*message)) return *wanted;
  return Unexpected();
}

/// A refusal is an error of its own. Its text is that of somebody who proved nothing, for a terminal.
template <class T>
Result<T> ExpectOfServer(Result<PasswordMessage> message) {
  if (message && std::holds_alternative<PasswordRefused>(*message)) {
    auto& refused = std::get<PasswordRefused>(*message);
    for (char& c : refused.text) {
      if (c < 0x20 || c > 0x7E) c = '?';
    }
    return Error{refused.later ? Errc::kBusy : Errc::kAuthentication, std::move(refused.text)};
  }
  return ExpectOfClient<T>(std::move(message));
}

}  // namespace

Result<PasswordKey> DerivePasswordKey(const Secret& password) {
  const std::string_view text = password.Reveal();
  std::array<std::byte, kHashBytes> hash{};
  if (EVP_PBE_scrypt(text.data(), text.size(), reinterpret_cast<const unsigned char*>(kSalt.data()),
                     kSalt.size(), kScryptN, kScryptR, kScryptP, kScryptMemory,
                     reinterpret_cast<unsigned char*>(hash.data()), hash.size()) != 1) {
    return Error{Errc::kInternal, "The password could not be hashed; is there too little memory?"};
  }
  const auto w = ReduceToScalar(hash);
  OPENSSL_cleanse(hash.data(), hash.size());
  if (!w) return w.error();
  return PasswordKey{*w};
}

Awaitable<Result<void>> ProvePassword(TlsStream& stream, PasswordKey key,
                                      std::function<void(std::chrono::milliseconds)> on_hold) {
  Conversation conversation(stream);
  const auto exchange = Begin(stream, key, Spake2::Side::kA);
  if (!exchange) co_return exchange.error();
  if (const auto said = co_await conversation.Say(PasswordShare{exchange->share()}); !said)
    co_return said.error();
  auto heard = co_await conversation.Hear();
  if (heard && std::holds_alternative<PasswordHold>(*heard)) {
    on_hold(std::get<PasswordHold>(*heard).time);
    heard = co_await conversation.Hear();
  }
  const auto share = ExpectOfServer<PasswordShare>(std::move(heard));
  if (!share) co_return share.error();
  const auto keys = exchange->Finish(share->point);
  if (!keys) co_return keys.error();
  if (const auto said = co_await conversation.Say(PasswordConfirm{keys->a}); !said) co_return said.error();
  const auto confirm = ExpectOfServer<PasswordConfirm>(co_await conversation.Hear());
  if (!confirm) co_return confirm.error();
  if (!EqualConfirmations(confirm->tag, keys->b)) {
    co_return Refused(
        "The server does not know the password (Error 0x80004005); it may not be the server you mean.");
  }
  co_return Result<void>();
}

Awaitable<Result<Spake2::Share>> HearGuess(TlsStream& stream) {
  Conversation conversation(stream);
  const auto share = ExpectOfClient<PasswordShare>(co_await conversation.Hear());
  if (!share) co_return share.error();
  co_return share->point;
}

Awaitable<Result<void>> JudgeGuess(Executor executor, TlsStream& stream, PasswordKey key, Spake2::Share guess,
                                   std::chrono::milliseconds hold) {
  Conversation conversation(stream);
  if (hold.count() > 0) {
    if (const auto said = co_await conversation.Say(PasswordHold{hold}); !said) co_return said.error();
    boost::asio::steady_timer timer(executor, hold);
    co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  const auto exchange = Begin(stream, key, Spake2::Side::kB);
  if (!exchange) co_return exchange.error();
  const auto keys = exchange->Finish(guess);
  if (!keys) co_return keys.error();
  if (const auto said = co_await conversation.Say(PasswordShare{exchange->share()}); !said)
    co_return said.error();
  const auto confirm = ExpectOfClient<PasswordConfirm>(co_await conversation.Hear());
  if (!confirm) co_return confirm.error();
  if (!EqualConfirmations(confirm->tag, keys->a)) {
    (void)co_await RefusePassword(stream, std::string(kWrongPassword), false);
    co_return Refused(std::string(kWrongPassword));
  }
  co_return co_await conversation.Say(PasswordConfirm{keys->b});
}

Awaitable<Result<void>> RefusePassword(TlsStream& stream, std::string text, bool later) {
  Conversation conversation(stream);
  PasswordMessage refused = PasswordRefused{std::move(text), later};
  co_return co_await conversation.Say(std::move(refused));
}

}  // namespace longwire

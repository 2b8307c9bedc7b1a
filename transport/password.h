#pragma once

#include <chrono>
#include <functional>

#include "transport/secret.h"
#include "transport/spake2.h"
#include "transport/tls_stream.h"

namespace longwire {

/// What a password is turned into once per endpoint (scrypt, some 50 ms), so that a connection costs little.
struct PasswordKey {
  Spake2::Scalar w{};
};
Result<PasswordKey> DerivePasswordKey(const Secret& password);

/// The two sides of the exchange inside TLS: SPAKE2 bound to this TLS session, so that nothing can be
/// relayed; the client confirms first, so that a fake server learns nothing. The caller bounds the time by
/// closing the stream.
///
/// Client. kAuthentication with 0x80004005 when either side does not know the password. `on_hold` hears that
/// the server makes the client wait.
Awaitable<Result<void>> ProvePassword(TlsStream& stream, PasswordKey key,
                                      std::function<void(std::chrono::milliseconds)> on_hold);

/// Server: the client's share. Nothing of ours was shown until then, so whoever stops here has guessed
/// nothing. kMalformed: something else than a password exchange.
Awaitable<Result<Spake2::Share>> HearGuess(TlsStream& stream);
/// Server: goes on. `hold` is announced and waited for before the guess is looked at. kAuthentication: it was
/// wrong, and the client was told.
Awaitable<Result<void>> JudgeGuess(Executor executor, TlsStream& stream, PasswordKey key, Spake2::Share guess,
                                   std::chrono::milliseconds hold);
/// Tells a client that it is refused without looking at its guess.
Awaitable<Result<void>> RefusePassword(TlsStream& stream, std::string text, bool later);

}  // namespace longwire

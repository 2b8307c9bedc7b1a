#pragma once

#include <memory>
#include <string>

#include "transport/stream.h"

namespace longwire {

/// Passes everything through and keeps the first `most` bytes the peer sent in `*heard`, which tell what it
/// is when it is not what was expected.
std::unique_ptr<Stream> MakeRecordingStream(std::unique_ptr<Stream> inner, std::shared_ptr<std::string> heard,
                                            std::size_t most = 64);

/// What a service that begins with `heard` seems to be: "an HTTP server", "an SSH server", ...; empty:
/// unknown.
std::string GuessService(std::string_view heard);
/// `heard` begins like a TLS record.
bool LooksLikeTls(std::string_view heard);

}  // namespace longwire

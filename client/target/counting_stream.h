#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "transport/stream.h"

namespace longwire {

/// A stream that counts what passes. The counters must outlive it.
std::unique_ptr<Stream> CountBytes(std::unique_ptr<Stream> inner, std::atomic<std::uint64_t>& received,
                                   std::atomic<std::uint64_t>& sent);

}  // namespace longwire

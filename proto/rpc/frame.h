#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "proto/error.h"
#include "proto/rpc/messages.h"

namespace longwire::rpc {

/// A frame on the stream: u32 size of the protobuf envelope, u32 size of the bulk part (both little-endian),
/// the envelope, the bulk bytes.
inline constexpr std::size_t kFrameHeaderBytes = 8;
inline constexpr std::size_t kMaxEnvelopeBytes = 4u << 20;
inline constexpr std::size_t kMaxBulkBytes = 32u << 20;
/// Before the Welcome a peer may send this much and no more.
inline constexpr std::size_t kMaxHelloBytes = 4096;

struct FrameHeader {
  std::uint32_t envelope_bytes = 0, bulk_bytes = 0;
};

std::array<std::byte, kFrameHeaderBytes> EncodeFrameHeader(FrameHeader header);
/// `authenticated` false applies kMaxHelloBytes and no bulk.
Result<FrameHeader> DecodeFrameHeader(std::span<const std::byte, kFrameHeaderBytes> bytes,
                                      bool authenticated);

/// The protobuf part of an envelope (everything but Envelope::bulk).
std::vector<std::byte> EncodeEnvelope(const Envelope& envelope);
/// Frame header and protobuf part in one piece; the caller sends Envelope::bulk behind it.
std::vector<std::byte> EncodeFrameHead(const Envelope& envelope);
/// Checks shapes, ranges and enum values. An envelope of an unknown kind (a newer peer) gives kUnsupported
/// with its id in Error::address, so that a request can be answered; the stream stays usable. A response
/// whose answer is of an unknown kind is decoded as a response with that error. Plans still need
/// plan::Validate.
Result<Envelope> DecodeEnvelope(std::span<const std::byte> bytes);

}  // namespace longwire::rpc

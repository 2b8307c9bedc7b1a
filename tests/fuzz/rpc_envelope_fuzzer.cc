#include <cstdlib>

#include "proto/rpc/frame.h"

/// Whatever a peer sends decodes or is refused; what decodes survives being encoded again.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace longwire;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  if (size >= rpc::kFrameHeaderBytes) {
    const auto header = bytes.first<rpc::kFrameHeaderBytes>();
    (void)rpc::DecodeFrameHeader(header, true);
    (void)rpc::DecodeFrameHeader(header, false);
  }
  const auto first = rpc::DecodeEnvelope(bytes);
  if (!first) return 0;
  const auto encoded = rpc::EncodeEnvelope(*first);
  const auto second = rpc::DecodeEnvelope(encoded);
  if (!second || rpc::EncodeEnvelope(*second) != encoded) std::abort();
  return 0;
}

#include "server/kd/target_registers.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace longwire {
namespace {

Error Refused(const char* what, std::uint32_t status) {
  char text[16];
  std::snprintf(text, sizeof(text), "%08X", status);
  return Error{Errc::kTargetRefused, std::string("the target refused ") + what + " (status " + text + ")"};
}

}  // namespace

/// The whole reply packet, its status checked.
Task<Result<kd::Bytes>> TargetRegisters::Reply(kd::Bytes request, const char* what) {
  Result<kd::Bytes> reply = co_await line_.Exchange(std::move(request));
  if (!reply) co_return reply.error();
  const auto decoded = kd::DecodeReply(*reply);
  if (!decoded) co_return decoded.error();
  if (!decoded->Succeeded()) co_return Refused(what, decoded->status);
  co_return std::move(*reply);
}

Task<Result<void>> TargetRegisters::Ask(kd::Bytes request, const char* what) {
  Result<kd::Bytes> reply = co_await Reply(std::move(request), what);
  if (!reply) co_return reply.error();
  co_return Result<void>{};
}

Task<Result<kd::Bytes>> TargetRegisters::GetContext(std::uint16_t processor) {
  if (const auto known = contexts_.find(processor); known != contexts_.end()) co_return known->second;
  const kd::ContextLayout* layout = facts_.layout();
  if (!facts_.context_ex_refused && layout != nullptr) {
    Result<kd::Bytes> reply = co_await line_.Exchange(kd::EncodeGetContextEx(processor, 0, layout->size));
    if (!reply) co_return reply.error();
    const auto decoded = kd::DecodeReply(*reply);
    if (!decoded) co_return decoded.error();
    const kd::ReadResult read = kd::DecodeContextEx(*decoded, layout->size);
    if (read.complete) {
      kd::Bytes context(read.data.begin(), read.data.end());
      contexts_[processor] = context;
      co_return context;
    }
    facts_.context_ex_refused = true;
  }
  Result<kd::Bytes> reply = co_await Reply(kd::EncodeGetContext(processor), "to give the registers");
  if (!reply) co_return reply.error();
  const auto decoded = kd::DecodeReply(*reply);
  kd::Bytes context(decoded->data.begin(), decoded->data.end());
  if (layout != nullptr && context.size() > layout->size) context.resize(layout->size);
  if (layout != nullptr && context.size() < layout->size) {
    co_return Error{Errc::kMalformed, "the target sent a CONTEXT record that is too short"};
  }
  contexts_[processor] = context;
  co_return context;
}

Task<Result<void>> TargetRegisters::SetContext(std::uint16_t processor, kd::Bytes context) {
  const kd::ContextLayout* layout = facts_.layout();
  if (layout == nullptr) co_return Error{Errc::kUnsupported, "registers of this machine type are not known"};
  if (context.size() != layout->size) {
    co_return Error{Errc::kUsage,
                    "a CONTEXT record of this machine has " + std::to_string(layout->size) + " bytes"};
  }
  if (!contexts_.contains(processor)) {
    Result<kd::Bytes> current = co_await GetContext(processor);
    if (!current) co_return current.error();
  }
  const std::uint32_t flags = kd::Load32(context, layout->flags_offset);
  Result<void> set = co_await Ask(kd::EncodeSetContext(processor, flags, context), "to change the registers");
  if (!set) {
    contexts_.erase(processor);
    co_return set;
  }
  contexts_[processor] = std::move(context);
  co_return Result<void>{};
}

Task<Result<kd::Bytes>> TargetRegisters::ReadControlSpace(std::uint16_t processor, std::uint64_t selector,
                                                          std::uint32_t size) {
  size = std::min<std::uint32_t>(size, kd::kMaxManipulateData);
  Result<kd::Bytes> reply =
      co_await Reply(kd::EncodeReadControlSpace(processor, selector, size), "to read its control space");
  if (!reply) co_return reply.error();
  const auto decoded = kd::DecodeReply(*reply);
  const kd::ReadResult read = kd::DecodeRead(*decoded, size);
  co_return kd::Bytes(read.data.begin(), read.data.end());
}

Task<Result<void>> TargetRegisters::WriteControlSpace(std::uint16_t processor, std::uint64_t selector,
                                                      kd::Bytes data) {
  if (data.size() > kd::kMaxManipulateData)
    co_return Error{Errc::kUsage, "too many bytes for one control space write"};
  co_return co_await Ask(kd::EncodeWriteControlSpace(processor, selector, data),
                         "to write its control space");
}

Task<Result<std::uint64_t>> TargetRegisters::ReadMsr(std::uint16_t processor, std::uint32_t number) {
  Result<kd::Bytes> reply =
      co_await Reply(kd::EncodeReadMsr(processor, number), "to read that model-specific register");
  if (!reply) co_return reply.error();
  co_return kd::DecodeMsr(*kd::DecodeReply(*reply));
}

Task<Result<void>> TargetRegisters::WriteMsr(std::uint16_t processor, std::uint32_t number,
                                             std::uint64_t value) {
  co_return co_await Ask(kd::EncodeWriteMsr(processor, number, value),
                         "to write that model-specific register");
}

Task<Result<std::uint32_t>> TargetRegisters::ReadIo(std::uint64_t port, std::uint32_t size) {
  Result<kd::Bytes> reply = co_await Reply(kd::EncodeReadIoSpace(port, size), "to read that port");
  if (!reply) co_return reply.error();
  co_return kd::DecodeIoValue(*kd::DecodeReply(*reply));
}

Task<Result<void>> TargetRegisters::WriteIo(std::uint64_t port, std::uint32_t size, std::uint32_t value) {
  co_return co_await Ask(kd::EncodeWriteIoSpace(port, size, value), "to write that port");
}

}  // namespace longwire

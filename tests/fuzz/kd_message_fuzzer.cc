// Decoders of manipulate replies, state changes, debug, file, trace and control I/O. The first byte picks the
// decoder.
#include <cstdlib>

#include "proto/kd/control_request.h"
#include "proto/kd/debug_io.h"
#include "proto/kd/file_io.h"
#include "proto/kd/manipulate.h"
#include "proto/kd/state_change.h"
#include "proto/kd/trace_io.h"

using namespace longwire::kd;

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

/// Touches every byte, so that the sanitizer sees a view that leaves its packet.
void Touch(ByteView bytes) {
  static volatile unsigned sum;
  for (std::byte b : bytes) sum = sum + std::to_integer<unsigned>(b);
}

void FuzzReply(ByteView payload, std::uint32_t requested) {
  const auto reply = DecodeReply(payload);
  if (!reply) return;
  for (const ReadResult& read : {DecodeRead(*reply, requested), DecodeBusData(*reply, requested),
                                 DecodeContextEx(*reply, requested)}) {
    Require(read.data.size() <= requested);
    Require(!read.complete || read.data.size() == requested);
    Touch(read.data);
  }
  Require(DecodeWritten(*reply, requested) <= requested);
  Require(DecodeBreakpointsEx(*reply, requested).size() <= requested);
  Require(DecodeRestoredEx(*reply, requested).size() <= requested);
  Require(DecodeSpecialCalls(*reply).size() <= payload.size());
  DecodeVersion(*reply);
  DecodeMsr(*reply);
  DecodeFound(*reply);
  DecodeQueryMemory(*reply);
  DecodeInternalBreakpoint(*reply);
  DecodeIoExtendedValue(*reply);
}

void FuzzStateChange(ByteView payload) {
  const auto change = DecodeStateChange(payload);
  if (!change) return;
  for (const Machine machine : {Machine::kAmd64, Machine::kX86, Machine::kArm64, Machine::kUnknown}) {
    Require(DecodeControlReport(machine, *change).instruction_count <= 16);
  }
  if (const auto* load = std::get_if<LoadSymbolsReport>(&change->report))
    Require(load->path.size() <= payload.size());
}

void FuzzFile(ByteView payload) {
  const auto file = DecodeFileRequest(payload);
  if (!file) return;
  if (const auto* write = std::get_if<FileWrite>(&file->request)) Touch(write->data);
  Require(EncodeFileStatus(*file, kStatusNoSuchFile).size() == kFileIoSize);
  Require(EncodeFileCreated(*file, 1, 2).size() == kFileIoSize);
  Require(EncodeFileData(*file, payload).size() <= 4000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const ByteView input = std::as_bytes(std::span(data, size));
  // A copy of exactly the payload's size, so that reading one byte more is caught.
  const Bytes payload(input.begin() + 3, input.end());
  switch (data[0] % 6) {
    case 0: FuzzReply(payload, Load16(input, 1)); break;
    case 1: FuzzStateChange(payload); break;
    case 2:
      if (const auto io = DecodeDebugIo(payload)) {
        Require(io->text.size() <= payload.size());
        Require(EncodePromptAnswer(*io, std::string(data[1] * 40, 'x')).size() <= 4000);
      }
      break;
    case 3: FuzzFile(payload); break;
    case 4:
      if (const auto trace = DecodeTraceIo(payload)) Touch(trace->data);
      break;
    default:
      if (const auto request = DecodeControlRequest(payload)) EncodeControlAnswer(*request, true);
      break;
  }
  return 0;
}

// KDDEBUGGER_DATA64 from hostile memory, plain and through the decoding of the encoded form.
#include <cstdlib>

#include "proto/kd/debugger_data.h"

using namespace longwire::kd;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = std::as_bytes(std::span(data, size));
  const Bytes block(input.begin(), input.end());
  const auto check = [](const Bytes& bytes) {
    const auto parsed = DebuggerData::Parse(bytes);
    if (!parsed) return;
    for (const DebuggerDataField& field : DebuggerDataFields()) {
      const auto value = parsed->Get(field);
      if (value.has_value() != (field.offset + field.size <= parsed->bytes().size())) std::abort();
    }
    parsed->PaeEnabled();
    parsed->Get(~std::size_t{0}, 8);
  };
  check(block);
  if (size >= 24) {
    const DebuggerDataKeys keys{Load64(input, 0), Load64(input, 8), Load64(input, 16)};
    check(DecodeDebuggerData(input.subspan(24), keys));
  }
  return 0;
}

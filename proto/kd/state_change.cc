#include "proto/kd/state_change.h"

#include <algorithm>
#include <cstdio>

namespace longwire::kd {
namespace {

constexpr std::uint32_t kStateException = 0x3030;
constexpr std::uint32_t kStateLoadSymbols = 0x3031;
constexpr std::uint32_t kStateCommandString = 0x3032;
constexpr std::uint32_t kAlternateState = 0x10000;
constexpr std::size_t kControlReportOffset = 0xC0;

std::string TextUntilNul(ByteView bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
  return std::string(reinterpret_cast<const char*>(bytes.data()),
                     static_cast<std::size_t>(end - bytes.begin()));
}

ExceptionReport DecodeException(ByteView payload) {
  ExceptionReport report;
  report.code = Load32(payload, 0x20);
  report.flags = Load32(payload, 0x24);
  report.nested_record = Load64(payload, 0x28);
  report.address = Load64(payload, 0x30);
  report.parameter_count =
      std::min(Load32(payload, 0x38), static_cast<std::uint32_t>(report.parameters.size()));
  for (std::size_t i = 0; i < report.parameter_count; ++i)
    report.parameters[i] = Load64(payload, 0x40 + 8 * i);
  report.first_chance = Load32(payload, 0xB8) != 0;
  return report;
}

LoadSymbolsReport DecodeLoadSymbols(ByteView payload) {
  LoadSymbolsReport report;
  const ByteView rest = payload.subspan(kStateChangeSize);
  report.path = TextUntilNul(rest.first(std::min<std::size_t>(Load32(payload, 0x20), rest.size())));
  report.base = Load64(payload, 0x28);
  report.process = Load64(payload, 0x30);
  report.checksum = Load32(payload, 0x38);
  report.size = Load32(payload, 0x3C);
  report.unload = Load8(payload, 0x40) != 0;
  return report;
}

CommandStringReport DecodeCommandString(ByteView payload) {
  CommandStringReport report;
  report.flags = Load32(payload, 0x20);
  ByteView rest = payload.subspan(kStateChangeSize);
  report.name = TextUntilNul(rest);
  if (report.name.size() < rest.size()) report.command = TextUntilNul(rest.subspan(report.name.size() + 1));
  return report;
}

}  // namespace

Result<StateChange> DecodeStateChange(ByteView payload) {
  if (payload.size() < kStateChangeSize) {
    return Error{Errc::kMalformed, "the target sent a state change of " + std::to_string(payload.size()) +
                                       " bytes instead of 240"};
  }
  StateChange change;
  change.new_state = Load32(payload, 0x00) & ~kAlternateState;
  change.processor_level = Load16(payload, 0x04);
  change.processor = Load16(payload, 0x06);
  change.processor_count = Load32(payload, 0x08);
  change.thread = Load64(payload, 0x10);
  change.program_counter = Load64(payload, 0x18);
  std::copy_n(payload.begin() + kControlReportOffset, change.control_report.size(),
              change.control_report.begin());
  switch (change.new_state) {
    case kStateException: change.report = DecodeException(payload); return change;
    case kStateLoadSymbols: change.report = DecodeLoadSymbols(payload); return change;
    case kStateCommandString: change.report = DecodeCommandString(payload); return change;
    default: break;
  }
  char state[16];
  std::snprintf(state, sizeof state, "0x%X", change.new_state);
  return Error{Errc::kUnsupported, std::string("the target reported the unknown state change ") + state};
}

void MakePlain(Machine machine, StateChange& change) {
  change.thread = PlainAddress(machine, change.thread);
  change.program_counter = PlainAddress(machine, change.program_counter);
  if (auto* exception = std::get_if<ExceptionReport>(&change.report)) {
    exception->nested_record = PlainAddress(machine, exception->nested_record);
    exception->address = PlainAddress(machine, exception->address);
    for (std::uint64_t& parameter : exception->parameters) parameter = PlainAddress(machine, parameter);
  }
  auto* symbols = std::get_if<LoadSymbolsReport>(&change.report);
  if (symbols != nullptr && !symbols->UnloadsAll()) symbols->base = PlainAddress(machine, symbols->base);
}

ControlReport DecodeControlReport(Machine machine, const StateChange& change) {
  ControlReport report;
  const ByteView raw(change.control_report);
  std::size_t stream = 0, segments = 0;
  constexpr std::size_t stream_size = 16;
  switch (machine) {
    case Machine::kAmd64:
      report.dr6 = Load64(raw, 0x00);
      report.dr7 = Load64(raw, 0x08);
      report.eflags = Load32(raw, 0x10);
      report.instruction_count = Load16(raw, 0x14);
      report.flags = Load16(raw, 0x16);
      stream = 0x18;
      segments = 0x28;
      break;
    case Machine::kX86:
      report.dr6 = Load32(raw, 0x00);
      report.dr7 = Load32(raw, 0x04);
      report.instruction_count = Load16(raw, 0x08);
      report.flags = Load16(raw, 0x0A);
      report.eflags = Load32(raw, 0x24);
      stream = 0x0C;
      segments = 0x1C;
      break;
    default: return report;
  }
  report.valid = true;
  report.instruction_count =
      static_cast<std::uint16_t>(std::min<std::size_t>(report.instruction_count, stream_size));
  std::copy_n(raw.begin() + static_cast<std::ptrdiff_t>(stream), stream_size, report.instructions.begin());
  report.cs = Load16(raw, segments);
  report.ds = Load16(raw, segments + 2);
  report.es = Load16(raw, segments + 4);
  report.fs = Load16(raw, segments + 6);
  return report;
}

}  // namespace longwire::kd

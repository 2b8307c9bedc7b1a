#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>

#include "proto/error.h"
#include "proto/kd/bytes.h"
#include "proto/kd/machine.h"

namespace longwire::kd {

/// State changes, packet type 7 (kd-protocol.md 2). 240 fixed bytes, variable data behind; longer packets are
/// accepted.
inline constexpr std::size_t kStateChangeSize = 0xF0;

/// Exception codes a host must know (2.2).
inline constexpr std::uint32_t kExceptionBreakpoint = 0x80000003;
inline constexpr std::uint32_t kExceptionSingleStep = 0x80000004;
inline constexpr std::uint32_t kExceptionWakeDebugger = 0x80000007;
inline constexpr std::uint32_t kExceptionAccessViolation = 0xC0000005;
inline constexpr std::uint32_t kExceptionAssertion = 0xC0000420;

struct ExceptionReport {
  std::uint32_t code = 0;
  std::uint32_t flags = 0;
  std::uint64_t nested_record = 0;
  std::uint64_t address = 0;
  std::uint32_t parameter_count = 0;  ///< clipped to 15
  std::array<std::uint64_t, 15> parameters{};
  bool first_chance = false;
};

struct LoadSymbolsReport {
  std::string path;  ///< 8-bit text as sent, without NUL; may be empty
  std::uint64_t base = 0;
  std::uint64_t process = 0;
  std::uint32_t checksum = 0;
  std::uint32_t size = 0;
  bool unload = false;

  /// The special forms before a restart: every symbol and module is void (2.3, H53).
  bool UnloadsAll() const { return unload && path.empty() && process == 0 && base >= ~std::uint64_t{1}; }
};

struct CommandStringReport {
  std::uint32_t flags = 0;
  std::string name;
  std::string command;
};

struct StateChange {
  std::uint32_t new_state = 0;  ///< as sent, "alternate" bit masked
  std::uint16_t processor_level = 0;
  std::uint16_t processor = 0;
  std::uint32_t processor_count = 0;
  std::uint64_t thread = 0;
  std::uint64_t program_counter = 0;
  std::variant<ExceptionReport, LoadSymbolsReport, CommandStringReport> report;
  std::array<std::byte, 0x30> control_report{};  ///< bytes C0..EF, see DecodeControlReport
};

/// Errors: kMalformed (shorter than 240 bytes), kUnsupported (unknown NewState).
Result<StateChange> DecodeStateChange(ByteView payload);

/// Takes the sign extension out of every address of a 32-bit machine's report; the special bases that unload
/// all stay.
void MakePlain(Machine machine, StateChange& change);

/// The control report (2.5). On ARM64 and unknown machines nothing but the raw bytes is trusted: `valid` is
/// false.
struct ControlReport {
  bool valid = false;
  std::uint64_t dr6 = 0;
  std::uint64_t dr7 = 0;
  std::uint32_t eflags = 0;
  std::uint16_t instruction_count = 0;  ///< clipped to the stream
  std::uint16_t flags = 0;              ///< 1 segments included, 2 standard kernel code segment
  std::array<std::byte, 16> instructions{};
  std::uint16_t cs = 0, ds = 0, es = 0, fs = 0;
};
ControlReport DecodeControlReport(Machine machine, const StateChange& change);

}  // namespace longwire::kd

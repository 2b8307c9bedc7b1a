#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/engine/report.h"
#include "client/engine/session.h"
#include "client/engine/unwinder.h"

namespace longwire {

/// Columns of the `k` family (engine.md 3.5).
struct StackColumns {
  bool numbers = false;          ///< n
  bool distances = false;        ///< f: bytes to the next frame
  bool arguments = false;        ///< b, v: four words
  bool no_stack = false;         ///< b on x64: no Child-SP
  bool names_only = false;       ///< c
  bool parameters = false;       ///< p, P: typed parameters behind the name
  bool parameter_lines = false;  ///< P: each on a line of its own
  bool verbose = false;          ///< v: trap frames
  bool source = true;            ///< false: L
};

/// Frames with what their lines need. Reads all argument words in one round trip.
class StackText {
 public:
  StackText(Session& session, const StackColumns& columns) : session_(session), columns_(columns) {}

  std::string Header() const;
  /// Line of frames[index], with its row of kind "frame". kCancelled.
  Result<void> Write(const std::vector<StackFrame>& frames, std::size_t index, Report& report);
  void Prepare(const std::vector<StackFrame>& frames, std::size_t shown);
  /// "nt!KiPageFault+0x443"; a caller's name is that of the call, not of what follows it.
  std::string SiteName(const std::vector<StackFrame>& frames, std::size_t index);

 private:
  std::uint64_t ArgumentsAddress(const std::vector<StackFrame>& frames, std::size_t index) const;
  std::string ArgumentWords(std::uint64_t address, std::vector<std::string>& words);
  std::string Parameters(const StackFrame& frame);
  std::string SourceSuffix(const std::vector<StackFrame>& frames, std::size_t index);

  Session& session_;
  StackColumns columns_;
};

/// Two digits, as frame numbers are shown: hexadecimal.
std::string FrameNumber(std::size_t number);

}  // namespace longwire

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/commands/command.h"
#include "tests/support/fake_target.h"

namespace longwire {

/// A halted target that holds two images with symbols, a stack of three frames and some data; and the
/// commands.
class DebuggedSample : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kInspected = 0xfffff80612340000, kSample = 0xfffff80656780000;
  static constexpr std::uint64_t kStack = 0xffff850429890e00;  ///< rsp, in SampleHandler
  static constexpr std::uint64_t kData =
      0xffffe00e0e4bc4a0;  ///< "Hello World", 20 bytes before an unreadable page
  static constexpr std::uint64_t kObject = 0xffffc08bde9e1640;  ///< a _CONTEXT_EXT
  static constexpr std::uint64_t kName = 0xffffc08bde9e2000;

  DebuggedSample();

  /// Text of a command, errors included.
  std::string Run(const std::string& line);
  Report Reported(const std::string& line);
  void PutBytes(std::uint64_t address, std::initializer_list<unsigned> bytes);
  void PutText(std::uint64_t address, const std::string& text);
  void SetContext(const RegisterSet& changed);  ///< the next stop
  std::uint64_t Symbol(const std::string& name) { return *session->Evaluate(name); }
  /// Requests a command made.
  std::uint64_t RoundTrips(const std::string& line);

  FakeTarget target;
  Interrupt interrupt;
  RegisterSet registers;
  std::unique_ptr<Session> session;
  CommandTable table;
  std::string notes;

 private:
  void LoadImage(const std::string& path, std::uint64_t base, std::uint64_t entry);
  void PutStack();
  void PutObject();
};

}  // namespace longwire

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/test_machine.h"

namespace longwire::test {

/// The test machine behind a kdsrv that offers its link to gdb and to other KD hosts, and programs that use
/// it.
class OfferedLink : public testing::Test {
 protected:
  static constexpr std::chrono::seconds kLimit{60};

  void SetUp() override;

  std::string link() const { return "com:pipe,port=" + machine_->socket_path(); }
  /// The argument of kd's -k by way of kdsrv, and of a KD host on the raw port.
  std::string ThroughServer() const;
  std::string ThroughRawPort() const;
  /// kd with these commands, to its end; its output.
  std::string RunKd(const std::string& kernel, const std::string& commands) const;
  /// kd as somebody uses it who types.
  std::unique_ptr<ChildProcess> StartKd(const std::string& kernel) const;
  /// gdb with these commands behind `target remote`, to its end; its output.
  std::string RunGdb(const std::vector<std::string>& commands) const;
  /// gdb as somebody uses it who types, attached.
  std::unique_ptr<ChildProcess> StartGdb() const;
  /// Of a function of the target, as kd's symbols have it.
  std::uint64_t AddressOf(const std::string& symbol) const;
  /// What kdsrv --status --json says of the machine's link, from its path on.
  std::string Status() const;

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<ChildProcess> server_;
  std::string pipe_;
  int gdb_port_ = 0, raw_port_ = 0;
};

}  // namespace longwire::test

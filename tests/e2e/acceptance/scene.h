#ifndef TESTS_E2E_ACCEPTANCE_SCENE_H_
#define TESTS_E2E_ACCEPTANCE_SCENE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/kd_probe.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_machine.h"

namespace longwire::test {

/// What differs between the two builds of the test kernel.
struct VariantNames {
  char variant;
  std::string demo, bus, late;  ///< modules
  std::string process, last;    ///< image names of two processes
  std::string build;            ///< kernel version
};
extern const VariantNames kVariantA, kVariantB;

inline constexpr char kPassword[] = "RightHorse7";

/// kdsrv, machines and clients of one test.
class Scene : public testing::Test {
 protected:
  /// Starts kdsrv on `port`, or on the first free one; `more` are further options.
  void StartServer(std::vector<std::string> more = {}, int port = 0);
  std::unique_ptr<TestMachine> StartMachine(TestMachineOptions options = {});
  /// The -k argument for `machine` through the server on `port` (0: the one that was started).
  std::string KernelString(const TestMachine& machine, const std::string& password = kPassword,
                           int port = 0) const;
  /// kd on `machine` through the server, quiet, with its symbols.
  std::unique_ptr<ChildProcess> Kd(const TestMachine& machine, const std::string& commands,
                                   std::vector<std::string> more = {"-bonc"},
                                   ChildProcess::Input input = ChildProcess::Input::kClosed);
  /// A kd at the other end of a pipe that stopped the target.
  std::unique_ptr<ChildProcess> AttachedKd(const TestMachine& machine,
                                           std::vector<std::string> more = {"-bonc"});
  /// Runs to the end; fails the test if that takes longer than a minute or the exit code is another.
  std::string Output(const TestMachine& machine, const std::string& commands,
                     std::vector<std::string> more = {"-bonc"}, int exit_code = 0);

  TemporaryDirectory state_;  ///< of the servers, one after the other
  std::unique_ptr<ChildProcess> server_;
  int port_ = 0;
};

/// The same test on both kernels.
class VariantScene : public Scene, public testing::WithParamInterface<const VariantNames*> {
 protected:
  const VariantNames& names() const { return *GetParam(); }
  std::unique_ptr<TestMachine> StartVariant(TestMachineOptions options = {});
  /// `text` with DEMO, LATE and BUS replaced by the names of the modules.
  std::string Named(std::string text) const;
};

/// The arguments of a running process as other users see them.
std::string CommandLineOf(pid_t pid);

}  // namespace longwire::test

#endif  // TESTS_E2E_ACCEPTANCE_SCENE_H_

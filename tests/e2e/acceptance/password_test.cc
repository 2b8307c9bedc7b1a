#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "tests/e2e/acceptance/recording_relay.h"
#include "tests/e2e/acceptance/scene.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class AcceptancePassword : public Scene {
 protected:
  std::unique_ptr<ChildProcess> KdWith(const TestMachine& machine, const std::string& password, int port,
                                       const std::string& commands) {
    return std::make_unique<ChildProcess>(
        std::vector<std::string>{KD_PATH, "-k", KernelString(machine, password, port), "-y",
                                 machine.symbol_directory(), "-bonc", "-c", commands});
  }
};

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(AcceptancePassword, OnlyTheRightOneOpensAndItIsNowhereToBeSeen) {
  TemporaryDirectory directory;
  const std::string log = directory.File("kdsrv.log");
  StartServer({"--log", log});
  RecordingRelay relay(port_);
  const auto machine = StartMachine();

  const auto wrong = KdWith(*machine, "WrongHorse7", relay.port(), "q");
  EXPECT_EQ(wrong->Wait(), 3) << wrong->both();
  EXPECT_THAT(wrong->error(), HasSubstr("0x80004005"));
  EXPECT_THAT(wrong->both(), Not(HasSubstr("Connected to")));

  // A page of a process with text in it: what a listener on the network would love to see.
  const auto right = KdWith(*machine, kPassword, relay.port(),
                            "!process 0 0;da 0xfffff80012200040;.process /p poi(nt!PsActiveProcessHead);q");
  EXPECT_EQ(right->Wait(), 0) << right->both();
  ASSERT_THAT(right->both(), HasSubstr("explorer.exe"));

  const std::string wire = relay.recorded();
  ASSERT_GT(wire.size(), 4000u) << "the session did not go through the relay";
  const std::string logged = FileText(log);
  ASSERT_THAT(logged, HasSubstr("opened by"));
  for (const std::string& secret : {std::string(kPassword), std::string("WrongHorse7")}) {
    EXPECT_EQ(wire.find(secret), std::string::npos);
    EXPECT_THAT(logged, Not(HasSubstr(secret)));
    EXPECT_THAT(server_->both(), Not(HasSubstr(secret)));
    EXPECT_THAT(wrong->both(), Not(HasSubstr(secret)));
    EXPECT_THAT(right->both(), Not(HasSubstr(secret)));
  }
  for (const char* plain : {"explorer.exe", "DemoLeaf", "PsActiveProcessHead", "com1", "machine"}) {
    EXPECT_EQ(wire.find(plain), std::string::npos) << plain << " went over the wire in the clear";
  }
}

TEST_F(AcceptancePassword, IsNotInTheArgumentsOfRunningPrograms) {
  StartServer();
  const auto machine = StartMachine();
  const auto kd = AttachedKd(*machine);
  for (const ChildProcess* program : {server_.get(), kd.get()}) {
    const std::string arguments = CommandLineOf(program->pid());
    EXPECT_THAT(arguments, HasSubstr("password=*"));
    EXPECT_THAT(arguments, Not(HasSubstr(kPassword)));
  }
}

}  // namespace
}  // namespace longwire::test

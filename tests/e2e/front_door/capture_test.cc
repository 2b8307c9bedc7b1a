// What tcpdump sees of a session between the real kd and the real kdsrv.
#include "tests/e2e/front_door/capture.h"

#include <gmock/gmock.h>

#include <iostream>

#include "tests/e2e/acceptance/recording_relay.h"
#include "tests/e2e/acceptance/scene.h"

namespace longwire::test {
namespace {

/// Stands in the target's list of modules, which lm reads.
const std::string kSecretMemory("l\0w\0d\0e\0m\0o\0", 12);

class FrontDoorCapture : public Scene {
 protected:
  /// A session that dumps memory and lists modules; what went over the wire meanwhile. Where capturing is not
  /// permitted a relay in between records instead.
  std::string Wire(const std::string& password, int server_port) {
    const auto machine = StartMachine();
    std::string why;
    const auto capture = Capture::Start(server_port, &why);
    std::unique_ptr<RecordingRelay> relay;
    if (!capture) {
      std::cout << "a relay records instead of tcpdump: " << why << "\n";
      relay = std::make_unique<RecordingRelay>(server_port);
    }
    const std::string kernel =
        "kdsrv:server=@{tcp:server=127.0.0.1,port=" + std::to_string(relay ? relay->port() : server_port) +
        password + "},trans=@{com:pipe,port=" + machine->socket_path() + "}";
    ChildProcess kd({KD_PATH, "-k", kernel, "-y", machine->symbol_directory(), "-bonc", "-c",
                     "db 0xfffff80012200040;lm;k;q"});
    EXPECT_EQ(kd.Wait(std::chrono::seconds(90)), 0) << kd.both();
    EXPECT_THAT(kd.out(), testing::HasSubstr("lwdemo")) << "the session showed what the wire must hide";
    return capture ? capture->Finish() : relay->recorded();
  }
};

TEST_F(FrontDoorCapture, ShowsNeitherPasswordNorMemoryOfASessionWithAPassword) {
  StartServer();
  const std::string wire = Wire(std::string(",password=") + kPassword, port_);
  EXPECT_GT(wire.size(), 4000u);
  for (const std::string& plain : {kSecretMemory, std::string("DOS mode"), std::string(kPassword),
                                   std::string("longwire"), std::string("com:pipe")}) {
    EXPECT_EQ(wire.find(plain), std::string::npos) << plain;
  }
}

/// The same eyes see everything without one, so that the test above means something.
TEST_F(FrontDoorCapture, ShowsMemoryOfASessionWithoutOne) {
  ChildProcess server({KDSRV_PATH, "-v", "--state", "none", "-t", "tcp:port=0"});
  ASSERT_TRUE(server.WaitFor("listening on tcp:Port=")) << server.both();
  ASSERT_TRUE(server.WaitFor("\n")) << server.both();
  const std::string text = server.both();
  const int port = std::stoi(text.substr(text.find("listening on tcp:Port=") + 22));
  const std::string wire = Wire("", port);
  EXPECT_NE(wire.find(kSecretMemory), std::string::npos);
  EXPECT_NE(wire.find("com:pipe"), std::string::npos);
}

}  // namespace
}  // namespace longwire::test

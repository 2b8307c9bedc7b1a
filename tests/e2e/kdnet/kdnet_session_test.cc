// The real kd and kdsrv against targets that speak KDNET on UDP sockets of the loopback interface.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/kdnet_machine.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/own_ports.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr const char* kKey = "1.2.3.4";
constexpr const char* kOtherKey = "5.6.7.8";
constexpr std::uint64_t kPage = 0xFFFFF80000001000, kCell = kPage + 0x100;
/// Slower machines than this one run the tests, too.
constexpr std::chrono::seconds kPatience{60};

std::string NetLink(std::uint16_t port, const std::string& key) {
  return "net:port=" + std::to_string(port) + ",key=" + key;
}

std::unique_ptr<KdnetMachine> Machine(std::uint16_t port, const std::string& key, std::uint64_t value,
                                      KdnetNetwork network = {}) {
  auto machine = std::make_unique<KdnetMachine>(key, port, network);
  machine->With([value](ScriptedTarget& target) {
    target.Map(kPage, 0x4000);
    target.Poke64(kCell, value);
  });
  return machine;
}

std::vector<std::string> Kd(const std::string& link, const std::string& commands) {
  std::vector<std::string> words = {KD_PATH, "-bonc", "-kqm", "-k", link};
  if (!commands.empty()) words.insert(words.end(), {"-c", commands});
  return words;
}

TEST(KdnetSession, ReadsMemoryOfATargetAndLeaves) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = Machine(port, kKey, 0x1122334455667788);
  ChildProcess kd(Kd(NetLink(port, kKey), "dq fffff80000001100 L1;q"));
  EXPECT_EQ(kd.Wait(kPatience), 0) << kd.both();
  EXPECT_THAT(kd.out(), HasSubstr("Connected to Remote KD:"));
  EXPECT_THAT(kd.out(), HasSubstr("11223344`55667788"));
}

TEST(KdnetSession, TwoTargetsOnOnePort) {
  const std::uint16_t port = OwnNetPort();
  const auto one = Machine(port, kKey, 0x1111111111111111);
  const auto two = Machine(port, kOtherKey, 0x2222222222222222);
  const KdsrvProcess server(KDSRV_PATH);
  ASSERT_NE(server.port(), 0);
  // Both are stopped, and held by their clients, before either is asked.
  ChildProcess first(Kd(server.KernelStringFor(NetLink(port, kKey)), ""), ChildProcess::Input::kPipe);
  ChildProcess second(Kd(server.KernelStringFor(NetLink(port, kOtherKey)), ""), ChildProcess::Input::kPipe);
  ASSERT_TRUE(first.WaitFor("Break instruction", kPatience)) << first.both();
  ASSERT_TRUE(second.WaitFor("Break instruction", kPatience)) << second.both();
  first.Write("dq fffff80000001100 L1\n");
  second.Write("dq fffff80000001100 L1\n");
  EXPECT_TRUE(first.WaitFor("11111111`11111111", kPatience)) << first.both();
  EXPECT_TRUE(second.WaitFor("22222222`22222222", kPatience)) << second.both();
  first.Write("eq fffff80000001200 3333;qd\n");
  EXPECT_EQ(first.Wait(kPatience), 0) << first.both();
  second.Write("eq fffff80000001200 4444;qd\n");
  EXPECT_EQ(second.Wait(kPatience), 0) << second.both();
  const auto written = [](KdnetMachine& machine) {
    kd::Bytes bytes;
    machine.With([&bytes](ScriptedTarget& target) { bytes = target.Peek(kPage + 0x200, 8); });
    return kd::Load64(bytes, 0);
  };
  EXPECT_EQ(written(*one), 0x3333u);
  EXPECT_EQ(written(*two), 0x4444u);
}

TEST(KdnetSession, KeyFromAFileAndAWrongKey) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = Machine(port, kKey, 0x1122334455667788);
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/key";
  std::ofstream(file) << kKey << "\n";
  ChildProcess kd(Kd(NetLink(port, "file:" + file), "dq fffff80000001100 L1;q"));
  EXPECT_EQ(kd.Wait(kPatience), 0) << kd.both();
  EXPECT_THAT(kd.out(), HasSubstr("11223344`55667788"));

  std::ofstream(file) << "secret words\n";
  ChildProcess refused(Kd(NetLink(port, "file:" + file), "q"));
  EXPECT_NE(refused.Wait(kPatience), 0);
  EXPECT_THAT(refused.error(), HasSubstr("is not a key"));
  EXPECT_THAT(refused.both(), testing::Not(HasSubstr("secret words")));
}

TEST(KdnetSession, AnotherProgramHasThePort) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = Machine(port, kKey, 1);
  ChildProcess first(Kd(NetLink(port, kKey), ""), ChildProcess::Input::kPipe);
  ASSERT_TRUE(first.WaitFor("Break instruction", kPatience)) << first.both();
  ChildProcess second(Kd(NetLink(port, kOtherKey), "q"));
  EXPECT_EQ(second.Wait(kPatience), 6) << second.both();
  EXPECT_THAT(second.error(), HasSubstr("another program has it"));
}

TEST(KdnetSession, LostDoubledAndReorderedDatagrams) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = Machine(port, kKey, 0x1122334455667788, {13, 7, 11});
  ChildProcess kd(Kd(NetLink(port, kKey), ""), ChildProcess::Input::kPipe);
  ASSERT_TRUE(kd.WaitFor("Break instruction", kPatience)) << kd.both();
  for (int i = 0; i < 8; ++i) {
    kd.Write("eq fffff8000000220" + std::to_string(i) + " " + std::to_string(i + 1) +
             ";dq fffff80000001100 L1;.echo done" + std::to_string(i) + "\n");
    ASSERT_TRUE(kd.WaitFor("done" + std::to_string(i), kPatience)) << kd.both();
  }
  EXPECT_THAT(kd.out(), HasSubstr("11223344`55667788"));
  kd.Write("qd\n");
  EXPECT_EQ(kd.Wait(kPatience), 0) << kd.both();
  kd::Bytes written;
  machine->With([&written](ScriptedTarget& target) { written = target.Peek(kPage + 0x1200, 8); });
  EXPECT_EQ(kd::Load64(written, 0), 0x0807060504030201u) << kd.both();
}

TEST(KdnetSession, AWriteLargerThanADatagram) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = Machine(port, kKey, 1);
  ChildProcess kd(Kd(NetLink(port, kKey), "f fffff80000002000 L3000 5a;q"));
  EXPECT_EQ(kd.Wait(kPatience), 0) << kd.both();
  machine->With([](ScriptedTarget& target) {
    EXPECT_EQ(target.Peek(kPage + 0x1000, 0x3000), kd::Bytes(0x3000, std::byte{0x5A}));
  });
}

TEST(KdnetSession, N18_TargetRestartsOnAnotherPort) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = Machine(port, kKey, 0x1122334455667788);
  const std::uint16_t before = machine->port();
  ChildProcess kd(Kd(NetLink(port, kKey), ""), ChildProcess::Input::kPipe);
  ASSERT_TRUE(kd.WaitFor("Break instruction", kPatience)) << kd.both();
  machine->Reboot();
  EXPECT_NE(machine->port(), before);
  ASSERT_TRUE(kd.WaitFor("the target began a new session", kPatience)) << kd.both();
  while (machine->sessions() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kd.Signal(SIGINT);
  ASSERT_TRUE(kd.WaitFor("Break instruction", kPatience)) << kd.both();
  kd.Write("dq fffff80000001100 L1;q\n");
  EXPECT_EQ(kd.Wait(kPatience), 0) << kd.both();
  EXPECT_THAT(kd.out(), HasSubstr("11223344`55667788"));
}

TEST(KdnetSession, ATargetThatMovesKeepsItsSession) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = Machine(port, kKey, 0x1122334455667788);
  ChildProcess kd(Kd(NetLink(port, kKey), ""), ChildProcess::Input::kPipe);
  ASSERT_TRUE(kd.WaitFor("Break instruction", kPatience)) << kd.both();
  machine->Move();
  machine->With([](ScriptedTarget& target) { target.Print("from elsewhere\n"); });
  ASSERT_TRUE(kd.WaitFor("from elsewhere", kPatience)) << kd.both();
  kd.Write("dq fffff80000001100 L1;q\n");
  EXPECT_EQ(kd.Wait(kPatience), 0) << kd.both();
  EXPECT_THAT(kd.out(), HasSubstr("11223344`55667788"));
  EXPECT_EQ(machine->sessions(), 1);
}

TEST(KdnetKeys, EveryKeyIsAnother) {
  ChildProcess first({KDSRV_PATH, "--make-key"}), second({KDSRV_PATH, "--make-key"});
  EXPECT_EQ(first.Wait(kPatience), 0);
  EXPECT_EQ(second.Wait(kPatience), 0);
  EXPECT_NE(first.out(), second.out());
  EXPECT_TRUE(kdnet::ParseKey(first.out().substr(0, first.out().find('\n')))) << first.out();
}

}  // namespace
}  // namespace longwire::test

#include "transport/kernel_string.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace longwire {
namespace {

using testing::HasSubstr;
using testing::Not;

const Environment kNone = [](const std::string&) { return std::nullopt; };

KernelString Kernel(std::string_view text) {
  auto kernel = ParseKernelString(text);
  EXPECT_TRUE(kernel) << text << ": " << kernel.error().message;
  return kernel ? *kernel : KernelString{};
}
std::string ErrorOf(std::string_view text) {
  auto kernel = ParseKernelString(text);
  return kernel ? "no error" : kernel.error().message;
}

// Numbers are those of the worked examples, remote-debugging.md 2.15.

TEST(WorkedExamples, E02ServerAndLink) {
  const auto kernel = Kernel(
      "kdsrv:server=@{tcp:server=10.0.0.5,port=1234,password=secret},trans=@{com:port=com1,baud=57600}");
  ASSERT_TRUE(kernel.server);
  EXPECT_EQ(kernel.server->server, "10.0.0.5");
  EXPECT_EQ(kernel.server->password->Reveal(), "secret");
  EXPECT_EQ(kernel.trans, "com:port=com1,baud=57600");
  EXPECT_EQ(FormatSessionName(kernel, kNone),
            "Remote KD: "
            "KdSrv:Server=@{tcp:Port=1234,Server=10.0.0.5,Password=*},Trans=@{COM:Port=com1,Baud=57600}");
}

TEST(WorkedExamples, E03PortFromTheServersEnvironment) {
  const auto kernel = Kernel("kdsrv:server=@{npipe:server=10.0.0.5,pipe=kdlab},trans=@{com:baud=57600}");
  EXPECT_EQ(kernel.server->pipe, "kdlab");
  EXPECT_EQ(kernel.trans, "com:baud=57600");
}

TEST(WorkedExamples, E04EverythingFromTheServersEnvironment) {
  EXPECT_EQ(Kernel("kdsrv:server=@{tcp:server=h,port=1},trans=@{com:}").trans, "com:");
  EXPECT_EQ(Kernel("kdsrv:server=@{tcp:server=h,port=1}").trans, "");
  EXPECT_EQ(Kernel("kdsrv:server=@{tcp:server=h,port=1},trans=@{com:pipe,reconnect}").trans,
            "com:pipe,reconnect");
}

TEST(WorkedExamples, E05BracesEatenByTheShell) {
  const std::string message = ErrorOf("kdsrv:server=@tcp:server=10.0.0.5,trans=@com:port=com1");
  EXPECT_EQ(message,
            "the shell removed the braces of the kernel string; quote it: kd -k "
            "'kdsrv:server=@{tcp:server=10.0.0.5},trans=@{com:port=com1}'");
}

TEST(WorkedExamples, E05AllWordsOfTheExpansionGiveTheCommandBack) {
  const std::vector<std::string> words{"kdsrv:server=@tcp:server=10.0.0.5,trans=@com:port=com1",
                                       "kdsrv:server=@tcp:server=10.0.0.5,trans=@baud=57600",
                                       "kdsrv:server=@port=1234,trans=@com:port=com1",
                                       "kdsrv:server=@port=1234,trans=@baud=57600",
                                       "kdsrv:server=@password=secret,trans=@com:port=com1",
                                       "kdsrv:server=@password=secret,trans=@baud=57600",
                                       "-y"};
  EXPECT_TRUE(LostBraces(words[0]));
  EXPECT_EQ(RestoreBraces(words),
            "kdsrv:server=@{tcp:server=10.0.0.5,port=1234,password=*},trans=@{com:port=com1,baud=57600}");
}

TEST(LostBraces, SeesOnlyAtSignsThatStartAValue) {
  EXPECT_TRUE(LostBraces("kdsrv:server=@{tcp:port=1},trans=@com:"));
  EXPECT_TRUE(LostBraces("KDSRV:server=@"));
  EXPECT_FALSE(LostBraces("kdsrv:server=@{tcp:port=1},trans=@<com:>"));
  EXPECT_FALSE(LostBraces("com:port=@x"));
  EXPECT_FALSE(LostBraces("kdsrv:server=@{tcp:server=h,port=1,password=file:/a@b}"));
  const std::vector<std::string> one_kept{"kdsrv:server=@{tcp:port=1},trans=@com:port=com1",
                                          "kdsrv:server=@{tcp:port=1},trans=@baud=9600"};
  EXPECT_EQ(RestoreBraces(one_kept), "kdsrv:server=@{tcp:port=1},trans=@{com:port=com1,baud=9600}");
}

TEST(WorkedExamples, E06OtherBrackets) {
  EXPECT_EQ(Kernel("kdsrv:server=@<tcp:server=h,port=1>,trans=@<com:port=com1>").trans, "com:port=com1");
  EXPECT_EQ(Kernel("kdsrv:trans=@(com:port=com1),server=@[tcp:server=h,port=1]").server->server, "h");
}

TEST(WorkedExamples, E07ServerMustBeNested) {
  EXPECT_EQ(ErrorOf("kdsrv:server=tcp:server=h,port=1,trans=com:port=com1"),
            "key 'server' at position 7 must be nested: write server=@{...}");
  EXPECT_THAT(ErrorOf("kdsrv:server=@{tcp:server=h,port=1},trans=com:port=com1"),
              HasSubstr("write trans=@{...}"));
}

TEST(WorkedExamples, E08Unbalanced) {
  EXPECT_EQ(ErrorOf("kdsrv:server=@{tcp:server=h,port=1,trans=@{com:}"),
            "the value of 'server' at position 14 is not closed: a '}' is missing");
}

TEST(WorkedExamples, E09FirewireIsGrammatical) {
  EXPECT_EQ(Kernel("kdsrv:server=@{tcp:server=h,port=1},trans=@{1394:channel=9}").trans, "1394:channel=9");
}

TEST(WorkedExamples, E10LocalIsTheDirectForm) {
  const auto local = Kernel("kdsrv:server=@{<Local>},trans=@{com:port=com2,baud=115200}");
  const auto direct = Kernel("com:port=com2,baud=115200");
  EXPECT_FALSE(local.server);
  EXPECT_EQ(local.trans, direct.trans);
  EXPECT_EQ(FormatSessionName(local, kNone),
            "Remote KD: KdSrv:Server=@{<Local>},Trans=@{COM:Port=/dev/ttyS1,Baud=115200,Timeout=4000}");
}

TEST(WorkedExamples, E32BareNumberIsRefusedInKernelStrings) {
  EXPECT_THAT(ErrorOf("com:port=2,baud=115200"), HasSubstr("is a bare number"));
  EXPECT_THAT(ErrorOf("kdsrv:server=@{tcp:server=h,port=1},trans=@{com:port=2}"),
              HasSubstr("in trans=@{...}: key 'port' at position 5 is a bare number"));
}

TEST(KernelString, NothingMeansTheEnvironment) {
  EXPECT_EQ(Kernel("").trans, "");
  EXPECT_FALSE(Kernel("").server);
}

TEST(KernelString, ANestedLinkMayHoldANestedValue) {
  EXPECT_EQ(
      Kernel("kdsrv:server=@{tcp:server=h,port=1},trans=@{com:pipe,port=@{/run/vm,1.sock},reconnect}").trans,
      "com:pipe,port=@{/run/vm,1.sock},reconnect");
}

TEST(KernelString, APipeOfAnotherMachineIsForTheServerToJudge) {
  EXPECT_TRUE(
      ParseKernelString("kdsrv:server=@{tcp:server=h,port=1},trans=@{com:pipe,port=\\\\box\\pipe\\vm}"));
}

TEST(KernelString, WrongPartsAreNamed) {
  EXPECT_THAT(ErrorOf("kdsrv:trans=@{com:}"), HasSubstr("needs 'server=@{...}'"));
  EXPECT_THAT(ErrorOf("kdsrv:server=@{tcp:server=h,port=1},key=x"), HasSubstr("unknown key 'key'"));
  EXPECT_THAT(ErrorOf("kdsrv:server=@{udp:port=1}"), HasSubstr("in server=@{...}: unknown protocol 'udp'"));
  EXPECT_THAT(ErrorOf("kdsrv:server=@{tcp:server=h,port=1},trans=@{kdsrv:server=@{x}}"),
              HasSubstr("inside another"));
  EXPECT_THAT(ErrorOf("exdi:gdb=h"), HasSubstr("is not HOST:PORT"));
  EXPECT_THAT(ErrorOf("kdsrv:server=@{tcp:server=h,port=1},trans=@{com:port=com1,speed=1}"),
              HasSubstr("unknown key 'speed'"));
}

TEST(SessionName, NeverHoldsAKey) {
  const auto remote = Kernel("kdsrv:server=@{tcp:server=h,port=1},trans=@{net:port=50000,key=11.22.33.44}");
  EXPECT_THAT(FormatSessionName(remote, kNone), HasSubstr("Trans=@{NET:Port=50000,Key=*}"));
  const auto local = Kernel("net:port=50000,key=11.22.33.44");
  EXPECT_EQ(FormatSessionName(local, kNone),
            "Remote KD: KdSrv:Server=@{<Local>},Trans=@{NET:Port=50000,Key=*,Target}");
}

TEST(StringArgument, AtPathReadsTheFirstLine) {
  EXPECT_EQ(*ReadStringArgument("tcp:port=1"), "tcp:port=1");
  EXPECT_EQ(*ReadStringArgument("@"), "@");
  const std::string path = testing::TempDir() + "longwire_string_argument_test";
  std::ofstream(path) << "tcp:port=1,password=abc\r\nsecond\n";
  EXPECT_EQ(*ReadStringArgument("@" + path), "tcp:port=1,password=abc");
  std::ofstream(path) << "\n";
  EXPECT_THAT(ReadStringArgument("@" + path).error().message, HasSubstr("first line is empty"));
  std::ofstream(path) << std::string(9000, 'x');
  EXPECT_THAT(ReadStringArgument("@" + path).error().message, HasSubstr("longer than 8192"));
  std::remove(path.c_str());
  EXPECT_THAT(ReadStringArgument("@" + path).error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace longwire

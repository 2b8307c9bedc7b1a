#include "server/kdsrv_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longwire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

KdsrvOptions Options(std::vector<std::string> words) {
  auto options = ParseKdsrvOptions(words);
  EXPECT_TRUE(options) << options.error().message;
  return options ? *options : KdsrvOptions{};
}
std::string ErrorOf(std::vector<std::string> words) {
  auto options = ParseKdsrvOptions(words);
  if (options) return "no error";
  EXPECT_EQ(ExitCodeFor(options.error().code), 2);
  return options.error().message;
}
bool Allows(std::string_view list, std::string_view link) {
  auto patterns = SplitLinkPatterns(list);
  auto parsed = ParseKernelLink(link, [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(patterns && parsed) << list << " " << link;
  return patterns && parsed && AllowsLink(*patterns, *parsed);
}

// Numbers are those of the worked examples, remote-debugging.md 2.15.

TEST(WorkedExamples, E01Listen) {
  const auto options = Options({"-t", "tcp:port=1234,password=secret"});
  EXPECT_EQ(options.endpoint->port.first, 1234);
  EXPECT_EQ(options.endpoint->password->Reveal(), "secret");
}

TEST(WorkedExamples, E22E25E41RefusedServers) {
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1000:1010,clicon=desk7"}), HasSubstr("one exact port"));
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1025,clicon=desk7,hidden"}), HasSubstr("never listed"));
  EXPECT_EQ(ErrorOf({"-t", "tcp:port=1027,pasword=x"}),
            "-t: unknown key 'pasword' at position 15 in the string of a tcp server");
}

TEST(KdsrvOptions, NeedsATransport) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("option -t is missing"));
  EXPECT_THAT(ErrorOf({"-t"}), HasSubstr("-t needs an argument"));
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "-t", "tcp:port=2"}), HasSubstr("given twice"));
  EXPECT_THAT(ErrorOf({"tcp:port=1"}), HasSubstr("no argument besides options"));
  EXPECT_THAT(ErrorOf({"-x"}), HasSubstr("unknown option -x"));
}

TEST(KdsrvOptions, WhatBecomesOfALostClient) {
  const auto standard = Options({"-t", "tcp:port=1"});
  EXPECT_EQ(standard.keep, std::chrono::seconds(120));
  EXPECT_EQ(standard.on_lost, KdsrvOptions::OnLost::kResume);
  EXPECT_FALSE(standard.state_directory);
  const auto options =
      Options({"-t", "tcp:port=1", "--keep", "0", "--on-lost", "break", "--state=/var/tmp/x"});
  EXPECT_EQ(options.keep, std::chrono::seconds(0));
  EXPECT_EQ(options.on_lost, KdsrvOptions::OnLost::kBreak);
  EXPECT_EQ(options.state_directory, "/var/tmp/x");
  EXPECT_EQ(Options({"-t", "tcp:port=1", "--state", "none"}).state_directory, "");
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "--keep", "1h"}), HasSubstr("0 to 86400"));
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "--on-lost", "stay"}), HasSubstr("resume, halt or break"));
}

TEST(KdsrvOptions, TheStateDirectoryIsTheUsers) {
  const auto with = [](const char* name, const char* value) {
    return [name = std::string(name), value = std::string(value)](const std::string& asked) {
      return asked == name ? std::optional(value) : std::nullopt;
    };
  };
  EXPECT_EQ(DefaultStateDirectory(with("XDG_STATE_HOME", "/s"), true), "/s/longwire");
  EXPECT_EQ(DefaultStateDirectory(with("HOME", "/home/al"), true), "/var/lib/longwire");
  EXPECT_EQ(DefaultStateDirectory(with("HOME", "/home/al"), false), "/home/al/.local/state/longwire");
  EXPECT_EQ(DefaultStateDirectory(with("HOME", "relative"), false), "");
}

TEST(KdsrvOptions, OwnOptionsTakeOneDashOrTwo) {
  const auto options =
      Options({"/t", "tcp:port=1", "--open", "-v", "--log", "a.log", "-daemon", "--pidfile=b.pid"});
  EXPECT_TRUE(options.open && options.verbose && options.daemon);
  EXPECT_EQ(options.log_file, "a.log");
  EXPECT_EQ(options.pid_file, "b.pid");
}

TEST(KdsrvOptions, StatusAndReleaseAskARunningServer) {
  const auto status = Options({"--status", "--json"});
  EXPECT_EQ(status.action, KdsrvOptions::Action::kStatus);
  EXPECT_TRUE(status.json);
  EXPECT_EQ(Options({"--release", "com:port=com1"}).release_link, "com:port=com1");
  EXPECT_THAT(ErrorOf({"--status", "-t", "tcp:port=1"}), HasSubstr("leave -t out"));
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "--json"}), HasSubstr("--json goes with --status"));
  EXPECT_EQ(Options({"-?"}).action, KdsrvOptions::Action::kHelp);
  EXPECT_EQ(Options({"--version"}).action, KdsrvOptions::Action::kVersion);
}

TEST(KdsrvOptions, OffersToOtherDebuggersNameALinkAndAPort) {
  const auto options =
      Options({"-t", "tcp:port=1", "--gdb", "com:pipe,port=/run/vm=3333", "--raw",
               "com:ipport=5510,port=127.0.0.1=[::1]:3334", "--raw=com:port=com1=0.0.0.0:0"});
  ASSERT_EQ(options.offers.size(), 3u);
  EXPECT_FALSE(options.offers[0].raw);
  EXPECT_EQ(options.offers[0].link, "com:pipe,port=/run/vm");
  EXPECT_EQ(options.offers[0].address, "");
  EXPECT_EQ(options.offers[0].port, 3333);
  EXPECT_TRUE(options.offers[1].raw);
  EXPECT_EQ(options.offers[1].link, "com:ipport=5510,port=127.0.0.1");
  EXPECT_EQ(options.offers[1].address, "::1");
  EXPECT_EQ(options.offers[2].address, "0.0.0.0");
  EXPECT_EQ(options.offers[2].port, 0);
  for (const char* wrong :
       {"com:port=com1", "=3333", "com:port=com1=x", "com:port=com1=65536", "com:port=com1=:1"})
    EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "--gdb", wrong}), HasSubstr("--gdb")) << wrong;
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "--raw", "tape:port=1=3333"}), HasSubstr("--raw: "));
  for (const char* link :
       {"dump:file=/x.dmp=3333", "net:port=50000,key=1.2.3.4=3333", "gdb:server=h,port=1=3333"})
    EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "--raw", link}), HasSubstr("lends a serial line")) << link;
}

TEST(LinkPatterns, AreCutWhereALinkBegins) {
  EXPECT_THAT(*SplitLinkPatterns("com:pipe,port=@{/a,com:x},reconnect,net:port=50000, usb:"),
              ElementsAre("com:pipe,port=@{/a,com:x},reconnect", "net:port=50000", "usb:"));
  EXPECT_FALSE(SplitLinkPatterns("/dev/ttyUSB0"));
  EXPECT_FALSE(SplitLinkPatterns(""));
  EXPECT_THAT(ErrorOf({"-t", "tcp:port=1", "--links", "com:port=@x"}), HasSubstr("no bracket follows"));
}

TEST(LinkPatterns, AllowWhatFitsEveryGivenParameter) {
  EXPECT_TRUE(Allows("com:port=/dev/ttyUSB*", "com:port=/dev/ttyUSB3"));
  EXPECT_FALSE(Allows("com:port=/dev/ttyUSB*", "com:port=/dev/ttyS0"));
  EXPECT_FALSE(Allows("com:port=/dev/ttyUSB*", "com:port=/dev/ttyUSB0/../mem"));
  EXPECT_TRUE(Allows("com:port=com2", "com:port=/dev/ttyS1"));
  EXPECT_FALSE(Allows("com:port=com2,baud=9600", "com:port=com2"));
  EXPECT_TRUE(Allows("usb2:", "usb:targetname=A"));
  EXPECT_FALSE(Allows("com:", "net:port=50000,key=1.2.3.4"));
  EXPECT_TRUE(Allows("com:port=com1,net:port=50000", "net:port=50000,key=1.2.3.4"));
  EXPECT_TRUE(Allows("com:pipe,port=/run/vm/*", "com:pipe,port=/run/vm/a"));
  EXPECT_FALSE(Allows("com:pipe", "com:port=com1"));
  EXPECT_TRUE(AllowsLink({}, KernelLink(UsbLink{"A"})));
}

TEST(KdsrvUsage, QuotesItsExamples) { EXPECT_THAT(std::string(KdsrvUsage()), HasSubstr("'tcp:port=1234")); }

}  // namespace
}  // namespace longwire

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "transport/kernel_string.h"

namespace longwire {
namespace {

using testing::HasSubstr;

Environment Variables(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

template <class T>
T Link(std::string_view text, const Environment& environment = Variables({})) {
  auto link = ParseKernelLink(text, environment);
  EXPECT_TRUE(link) << text << ": " << link.error().message;
  if (!link) return T{};
  EXPECT_TRUE(std::holds_alternative<T>(*link)) << text;
  return std::get<T>(*link);
}

std::string ErrorOf(std::string_view text, const Environment& environment = Variables({})) {
  auto link = ParseKernelLink(text, environment);
  return link ? "no error" : link.error().message;
}

TEST(ComLinkString, SerialPorts) {
  const ComLink link = Link<ComLink>("com:port=COM2,baud=57600");
  EXPECT_EQ(link.kind, ComLink::Kind::kDevice);
  EXPECT_EQ(link.path, "/dev/ttyS1");
  EXPECT_EQ(link.baud, 57600u);
  EXPECT_EQ(link.timeout_ms, 4000u);
  EXPECT_EQ(Link<ComLink>("com:port=\\\\.\\com3").path, "/dev/ttyS2");
  EXPECT_EQ(Link<ComLink>("com:port=/dev/ttyUSB0,timeout=9000").timeout_ms, 9000u);
  EXPECT_EQ(Link<ComLink>("com:modem").kind, ComLink::Kind::kModem);
}

TEST(ComLinkString, E32BareNumberIsRefused) {
  EXPECT_EQ(ErrorOf("com:port=2,baud=115200"),
            "key 'port' at position 5 is a bare number; a kernel link needs the name, for example com2");
}

TEST(ComLinkString, DefaultsComeFromTheEnvironment) {
  const Environment set = Variables({{"_NT_DEBUG_PORT", "com4"}, {"_NT_DEBUG_BAUD_RATE", "19200"}});
  for (const char* text : {"", "com:", " "}) {
    EXPECT_EQ(Link<ComLink>(text, set).path, "/dev/ttyS3") << text;
    EXPECT_EQ(Link<ComLink>(text, set).baud, 19200u) << text;
  }
  EXPECT_EQ(Link<ComLink>("com:port=com1", set).path, "/dev/ttyS0");
  EXPECT_EQ(Link<ComLink>("").path, "/dev/ttyS0");
  EXPECT_EQ(Link<ComLink>("").baud, 115200u);
  EXPECT_THAT(ErrorOf("", Variables({{"_NT_DEBUG_BAUD_RATE", "fast"}})),
              HasSubstr("environment variable _NT_DEBUG_BAUD_RATE"));
  EXPECT_EQ(
      Link<FirewireLink>("", Variables({{"_NT_DEBUG_BUS", "1394"}, {"_NT_DEBUG_1394_CHANNEL", "9"}})).channel,
      9);
  EXPECT_THAT(ErrorOf("", Variables({{"_NT_DEBUG_BUS", "vme"}})), HasSubstr("_NT_DEBUG_BUS"));
}

TEST(ComLinkString, VmPipes) {
  const Environment runtime = Variables({{"XDG_RUNTIME_DIR", "/run/user/7"}});
  const ComLink link = Link<ComLink>("com:pipe,port=\\\\.\\pipe\\Vm1,resets=0,reconnect", runtime);
  EXPECT_EQ(link.kind, ComLink::Kind::kPipe);
  EXPECT_EQ(link.path, "/run/user/7/longwire/vm1");
  EXPECT_TRUE(link.unlimited_resets);
  EXPECT_TRUE(link.reconnect);
  EXPECT_EQ(Link<ComLink>("com:pipe,port=@{/run/vm,1.sock},listen").path, "/run/vm,1.sock");
  EXPECT_TRUE(Link<ComLink>("com:pipe,port=@{/run/vm,1.sock},listen").listen);
  EXPECT_EQ(Link<ComLink>("com:pipe,port=/run/vm.sock,baud=115200").path, "/run/vm.sock");
  EXPECT_THAT(ErrorOf("com:pipe,port=\\.pipevm1"), HasSubstr("single-quoted"));
  EXPECT_THAT(ErrorOf("com:pipe,port=\\\\.\\pipe\\a/../b"), HasSubstr("character that is not allowed"));
  EXPECT_THAT(ErrorOf("com:pipe"), HasSubstr("needs 'port="));
  auto remote = ParseKernelLink("com:pipe,port=\\\\hyper1.example\\pipe\\vm", runtime);
  ASSERT_FALSE(remote);
  EXPECT_EQ(remote.error().code, Errc::kUnsupported);
}

TEST(ComLinkString, TcpSerial) {
  const ComLink link = Link<ComLink>("com:ipport=4000,port=10.0.0.9");
  EXPECT_EQ(link.kind, ComLink::Kind::kTcp);
  EXPECT_EQ(link.host, "10.0.0.9");
  EXPECT_EQ(link.tcp_port, 4000);
  EXPECT_TRUE(Link<ComLink>("com:ipport=4000,port=0.0.0.0,listen").listen);
  EXPECT_THAT(ErrorOf("com:ipport=4000"), HasSubstr("needs 'port=ADDRESS'"));
  EXPECT_THAT(ErrorOf("com:ipport=1,port=\\\\\\h"), HasSubstr("needs 'port=ADDRESS'"));
  EXPECT_EQ(Link<ComLink>("com:ipport=1,port=\\\\h").host, "h");
  EXPECT_EQ(Link<ComLink>("com:ipport=1,port=[::1]").host, "::1");
  EXPECT_THAT(ErrorOf("com:ipport=0,port=h"),
              HasSubstr("'ipport' at position 5 is not a number from 1 to 65535"));
  EXPECT_THAT(ErrorOf("com:ipport=1,port=h,baud=9600"), HasSubstr("'baud' at position 21 has no meaning"));
  EXPECT_THAT(ErrorOf("com:ipport=1,pipe,port=h"), HasSubstr("cannot be combined"));
}

TEST(ComLinkString, WrongParametersAreNamed) {
  EXPECT_THAT(ErrorOf("com:port=com1,channel=3"),
              HasSubstr("unknown key 'channel' at position 15 in a 'com:' kernel link"));
  EXPECT_THAT(ErrorOf("com:port=com1,baud=fast"), HasSubstr("'baud' at position 15 is not a serial rate"));
  EXPECT_THAT(ErrorOf("com:port=com1,reconnect"),
              HasSubstr("'reconnect' at position 15 needs 'pipe' or 'ipport'"));
  EXPECT_THAT(ErrorOf("com:pipe,port=/a,resets=5"), HasSubstr("takes only the value 0"));
  EXPECT_THAT(ErrorOf("com:port=lpt1"), HasSubstr("is not a serial port"));
  EXPECT_THAT(ErrorOf("lpt:port=1"), HasSubstr("unknown kernel link 'lpt'"));
}

TEST(NetLinkString, KeysAndTargets) {
  const NetLink link = Link<NetLink>("net:port=50000,key=1.2.3.4");
  EXPECT_EQ(link.port, 50000);
  EXPECT_EQ(link.key.Reveal(), "1.2.3.4");
  EXPECT_EQ(link.target, "");
  EXPECT_EQ(Link<NetLink>("net:port=50000,key=1.2.3.4,Target").target, "");
  EXPECT_EQ(Link<NetLink>("net:port=50000,key=1.2.3.4,target=::").target, "::");
  EXPECT_EQ(Link<NetLink>("net:key=3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf.3w5e11264sgsf").port, 5364);
  for (const char* key :
       {"1.2.3", "1.2.3.4.5", "1..3.4", "-.2.3.4", "1.2.3.12345678901234", "1.2.3.zzzzzzzzzzzzz", ""}) {
    EXPECT_NE(ErrorOf("net:port=50000,key=" + std::string(key)), "no error") << key;
  }
  EXPECT_THAT(ErrorOf("net:port=50000,key=SECRET"), testing::Not(HasSubstr("SECRET")));
  EXPECT_THAT(ErrorOf("net:port=1000,key=1.2.3.4"), HasSubstr("49152 to 65535"));
  EXPECT_THAT(ErrorOf("net:port=50000,key=*"), HasSubstr("write the key itself"));
  EXPECT_THAT(ErrorOf("net:port=50000"), HasSubstr("needs 'key='"));
  EXPECT_EQ(Link<NetLink>("net:port=50000,key=A.b.C.d").key.Reveal(), "A.b.C.d");
  EXPECT_EQ(Link<NetLink>("net:port=50000,key=file:/keys/one").key_file, "/keys/one");
  EXPECT_TRUE(Link<NetLink>("net:port=50000,key=file:/keys/one").key.empty());
  EXPECT_EQ(FormatKernelLink(Link<NetLink>("net:port=50000,key=file:/keys/one")),
            "NET:Port=50000,Key=file:/keys/one,Target");
  EXPECT_THAT(ErrorOf("net:port=50000,key=file:keys"), HasSubstr("absolute path"));
}

TEST(UsbLinkString, BothNames) {
  EXPECT_EQ(Link<UsbLink>("usb:targetname=BOX_1").target_name, "BOX_1");
  EXPECT_EQ(Link<UsbLink>("USB2:targetname=BOX_1").target_name, "BOX_1");
  EXPECT_THAT(ErrorOf("usb:targetname=myDebugBox"), HasSubstr("without the word debug"));
  EXPECT_THAT(ErrorOf("usb:targetname=a234567890123456789012345"), HasSubstr("at most 24"));
  EXPECT_THAT(ErrorOf("usb:"), HasSubstr("needs 'targetname='"));
}

TEST(FirewireLinkString, Channels) {
  EXPECT_EQ(Link<FirewireLink>("1394:channel=9").channel, 9);
  EXPECT_EQ(Link<FirewireLink>("1394:channel=9,symlink=Instance").symlink, "instance");
  EXPECT_EQ(Link<FirewireLink>("1394:").channel, 0);
  EXPECT_THAT(ErrorOf("1394:channel=63"), HasSubstr("0 to 62"));
  EXPECT_THAT(ErrorOf("1394:symlink=x"), HasSubstr("channel or instance"));
}

TEST(ExdiLinkString, StubAddress) {
  const ExdiLink link = Link<ExdiLink>("exdi:gdb=[::1]:1234,arch=arm64,kd=NtBaseAddr,break=off");
  EXPECT_EQ(link.host, "::1");
  EXPECT_EQ(link.port, 1234);
  EXPECT_EQ(link.arch, "arm64");
  EXPECT_EQ(link.os, "windows");
  EXPECT_EQ(link.kd, "ntbaseaddr");
  EXPECT_FALSE(link.data_breaks);
  EXPECT_EQ(Link<ExdiLink>("exdi:gdb=h:1,CLSID={1-2},InProc=a.dll").note, "ignored: clsid, inproc");
  EXPECT_THAT(ErrorOf("exdi:CLSID={1}"), HasSubstr("needs 'gdb=HOST:PORT'"));
  EXPECT_THAT(ErrorOf("exdi:gdb=h"), HasSubstr("is not HOST:PORT"));
  EXPECT_THAT(ErrorOf("exdi:gdb=h:1,arch=mips"), HasSubstr("takes one of x64 arm64 x86"));
}

TEST(GdbLinkString, IsThePlainSpellingOfAStub) {
  const ExdiLink link = Link<ExdiLink>("gdb:server=::1,port=1234,break=off");
  EXPECT_EQ(link.host, "::1");
  EXPECT_EQ(link.port, 1234);
  EXPECT_FALSE(link.data_breaks);
  EXPECT_THAT(ErrorOf("gdb:port=1"), HasSubstr("needs 'server=HOST'"));
  EXPECT_THAT(ErrorOf("gdb:server=h"), HasSubstr("needs 'port=N'"));
  EXPECT_THAT(ErrorOf("gdb:server=h,port=1,speed=2"), HasSubstr("unknown key 'speed'"));
}

TEST(KernelLink, PrintsCanonicallyAndReadsItBack) {
  const Environment none = Variables({});
  const std::vector<std::pair<std::string, std::string>> cases{
      {"com:baud=57600,port=com2", "COM:Port=/dev/ttyS1,Baud=57600,Timeout=4000"},
      {"com:modem,port=com2", "COM:Modem,Port=/dev/ttyS1,Baud=115200,Timeout=4000"},
      {"com:pipe,port=@{/a,b},listen,resets=0,reconnect",
       "COM:Pipe,Port=@{/a,b},Resets=0,Reconnect,Listen,Timeout=4000"},
      {"com:ipport=1,port=h,timeout=500", "COM:IpPort=1,Port=h,Timeout=500"},
      {"usb2:targetname=A", "USB:TargetName=A"},
      {"1394:channel=3,symlink=channel", "1394:Channel=3,Symlink=channel"},
      {"exdi:gdb=[::1]:5,break=off", "EXDI:Gdb=[::1]:5,Arch=x64,Os=windows,Kd=guess,Break=off"},
      {"gdb:server=/run/a:b", "EXDI:Gdb=/run/a:b,Arch=x64,Os=windows,Kd=guess,Break=on"},
      {"gdb:server=h,port=5", "EXDI:Gdb=h:5,Arch=x64,Os=windows,Kd=guess,Break=on"}};
  for (const auto& [text, printed] : cases) {
    auto link = ParseKernelLink(text, none);
    ASSERT_TRUE(link) << text;
    EXPECT_EQ(FormatKernelLink(*link), printed);
    auto again = ParseKernelLink(printed, none);
    ASSERT_TRUE(again) << printed;
    EXPECT_EQ(FormatKernelLink(*again), printed);
  }
  EXPECT_EQ(FormatKernelLink(*ParseKernelLink("net:port=50000,key=1.2.3.4", none)),
            "NET:Port=50000,Key=*,Target");
}

}  // namespace
}  // namespace longwire

#include "transport/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longwire {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string ServerError(std::string_view text) {
  Result<Endpoint> parsed = ParseServerEndpoint(text);
  return parsed ? "no error" : parsed.error().message;
}
std::string ClientError(std::string_view text) {
  Result<Endpoint> parsed = ParseClientEndpoint(text);
  return parsed ? "no error" : parsed.error().message;
}
Endpoint Server(std::string_view text) {
  Result<Endpoint> parsed = ParseServerEndpoint(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().message;
  return parsed ? *parsed : Endpoint{};
}
Endpoint Client(std::string_view text) {
  Result<Endpoint> parsed = ParseClientEndpoint(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().message;
  return parsed ? *parsed : Endpoint{};
}

// Numbers are those of the worked examples, remote-debugging.md 2.15.

TEST(WorkedExamples, E01TcpServerWithPassword) {
  const Endpoint e = Server("tcp:port=1234,password=secret");
  EXPECT_EQ(e.protocol, Protocol::kTcp);
  EXPECT_EQ(e.side, EndpointSide::kServer);
  EXPECT_EQ(e.port.first, 1234);
  EXPECT_EQ(e.port.last, 1234);
  ASSERT_TRUE(e.password);
  EXPECT_EQ(e.password->Reveal(), "secret");
  EXPECT_EQ(e.warning, "");
}

TEST(WorkedExamples, E11TcpServer) { EXPECT_EQ(Server("tcp:port=1025").port.first, 1025); }

TEST(WorkedExamples, E14And15ClientAndItsPrintedFormPastedBack) {
  const Endpoint typed = Client("tcp:server=BOX17,port=1025");
  const Endpoint pasted = Client("tcp:Port=1025,Server=BOX17");
  EXPECT_EQ(typed.server, "BOX17");
  EXPECT_EQ(typed.port.first, 1025);
  EXPECT_EQ(FormatEndpoint(typed), "tcp:Port=1025,Server=BOX17");
  EXPECT_EQ(FormatEndpoint(pasted), FormatEndpoint(typed));
}

TEST(WorkedExamples, E17And36PipeServer) { EXPECT_EQ(Server("npipe:pipe=web").pipe, "web"); }

TEST(WorkedExamples, E18BlankInPipeName) {
  EXPECT_THAT(ServerError("npipe:pipe=Main Pipe"), HasSubstr("the pipe name holds a blank"));
}

TEST(WorkedExamples, E19PipeNameWithCodes) { EXPECT_EQ(Server("npipe:pipe=svc_%d_%x").pipe, "svc_%d_%x"); }

TEST(WorkedExamples, E20PipeNameWithStringCode) {
  EXPECT_THAT(ServerError("npipe:pipe=a%s"), HasSubstr("'%' code other than %d, %u, %x, %X and %%"));
}

TEST(WorkedExamples, E21PortRange) {
  const Endpoint e = Server("tcp:port=1000:1010");
  EXPECT_EQ(e.port.first, 1000);
  EXPECT_EQ(e.port.last, 1010);
  EXPECT_EQ(FormatEndpoint(e), "tcp:Port=1000:1010");
}

TEST(WorkedExamples, E22ReverseServerNeedsOnePort) {
  EXPECT_EQ(ServerError("tcp:port=1000:1010,clicon=desk7"),
            "key 'port' at position 5 is a range, but a reverse server needs one exact port");
}

TEST(WorkedExamples, E23ReverseClientMayListenOnARange) {
  const Endpoint e = Client("tcp:clicon=BOX17,port=1000:1010");
  EXPECT_EQ(*e.clicon, "BOX17");
  EXPECT_EQ(e.port.first, 1000);
  EXPECT_EQ(e.port.last, 1010);
}

TEST(WorkedExamples, E24ReverseServer) {
  const Endpoint e = Server("tcp:port=1033,clicon=desk7");
  EXPECT_EQ(*e.clicon, "desk7");
  EXPECT_EQ(e.port.first, 1033);
}

TEST(WorkedExamples, E25ReverseServerIsNeverListed) {
  EXPECT_EQ(ServerError("tcp:port=1025,clicon=desk7,hidden"),
            "key 'hidden' at position 28 is not allowed in the string of a reverse tcp server: a reverse "
            "server is never "
            "listed");
}

TEST(Listing, PoolAndNoteAreOfAServerThatCanBeListed) {
  const Endpoint e = Server("tcp:port=1025,pool=rack 3,note=@{left, slow}");
  EXPECT_EQ(e.pool, "rack 3");
  EXPECT_EQ(e.note, "left, slow");
  EXPECT_EQ(FormatEndpoint(e), "tcp:Port=1025");
  EXPECT_THAT(ServerError("tcp:port=1025,pool="), HasSubstr("key 'pool' at position 15 needs a value"));
  EXPECT_THAT(ServerError("tcp:port=1025,clicon=desk7,note=x"),
              HasSubstr("a reverse server is never listed"));
}

TEST(WorkedExamples, E26ClientWithoutCliconIsOrdinary) {
  EXPECT_FALSE(Client("tcp:server=BOX17,port=1025").clicon);
}

TEST(WorkedExamples, E27ThumbprintWithBlanks) {
  const Endpoint e = Server("ssl:proto=tls1,machuser=0f 9c 11 d2,port=4433");
  EXPECT_EQ(*e.machuser, "0f 9c 11 d2");
  EXPECT_EQ(e.proto, "tls1");
  EXPECT_EQ(e.port.first, 4433);
}

TEST(WorkedExamples, E28InsecureProtocolIsRefusedByName) {
  EXPECT_EQ(ServerError("ssl:proto=ssl3,certuser=me,port=1"),
            "proto=ssl3 is insecure and not offered; use proto=tls1");
  EXPECT_THAT(ServerError("ssl:proto=pct1,certuser=me,port=1"), HasSubstr("insecure"));
  EXPECT_THAT(ClientError("spipe:proto=ssl2,certuser=me,pipe=a,server=h"), HasSubstr("insecure"));
}

TEST(WorkedExamples, E29ExactlyOneCertificate) {
  EXPECT_EQ(ServerError("ssl:proto=tls1,certuser=a,machuser=b,port=1"),
            "both 'certuser' and 'machuser' are given; give exactly one of them");
  EXPECT_THAT(ServerError("ssl:proto=tls1,port=1"), HasSubstr("needs 'certuser=' or 'machuser='"));
}

TEST(WorkedExamples, E30ComByNumber) {
  const Endpoint e = Server("com:port=2,baud=115200,channel=7");
  EXPECT_EQ(e.device, "/dev/ttyS1");
  EXPECT_EQ(e.baud, 115200u);
  EXPECT_EQ(e.channel, 7);
  EXPECT_EQ(Server("com:port=COM2,baud=9600,channel=0").device, "/dev/ttyS1");
  EXPECT_EQ(Server("com:port=/dev/ttyUSB0,baud=9600,channel=254").device, "/dev/ttyUSB0");
}

TEST(WorkedExamples, E31ChannelLimit) {
  EXPECT_EQ(ServerError("com:port=com2,baud=115200,channel=255"),
            "key 'channel' at position 27 is not a number from 0 to 254");
}

TEST(WorkedExamples, E33RepeaterStrings) {
  EXPECT_TRUE(ParseRepeaterServerEndpoint("tcp:port=7001"));
  auto client = ParseRepeaterClientEndpoint("tcp:port=7000,clicon=10.0.1.1");
  ASSERT_TRUE(client);
  EXPECT_EQ(*client->clicon, "10.0.1.1");
}

TEST(WorkedExamples, E34RepeaterDoesNotSpeakSsl) {
  auto client = ParseRepeaterClientEndpoint("ssl:proto=tls1,certuser=x,server=h,port=1");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().message, "a repeater does not speak ssl; relay ssl traffic with tcp");
  auto server = ParseRepeaterServerEndpoint("spipe:proto=tls1,certuser=x,pipe=p");
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message, HasSubstr("relay spipe traffic with npipe"));
}

TEST(WorkedExamples, E35RepeaterComPortsDiffer) {
  auto client = ParseRepeaterClientEndpoint("com:port=com1,baud=9600,channel=1");
  auto server = ParseRepeaterServerEndpoint("com:port=1,baud=9600,channel=2");
  ASSERT_TRUE(client && server);
  auto checked = CheckRepeaterSides(*server, *client);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("the same serial port /dev/ttyS0"));
  auto other = ParseRepeaterServerEndpoint("com:port=com2,baud=9600,channel=2");
  ASSERT_TRUE(other);
  EXPECT_TRUE(CheckRepeaterSides(*other, *client));
}

TEST(WorkedExamples, E37And38ClientStringsOfOtherPrograms) {
  EXPECT_EQ(Client("tcp:server=BOX3,port=1025").server, "BOX3");
  EXPECT_EQ(Client("npipe:server=BOXA,pipe=Far").pipe, "Far");
}

TEST(WorkedExamples, E41MistypedPasswordKey) {
  EXPECT_EQ(ServerError("tcp:port=1027,pasword=x"),
            "unknown key 'pasword' at position 15 in the string of a tcp server");
}

TEST(WorkedExamples, E42Ipv6Server) {
  const Endpoint e = Client("tcp:server=fe80::1%eth0,port=5005");
  EXPECT_EQ(e.server, "fe80::1%eth0");
  EXPECT_EQ(e.port.first, 5005);
  EXPECT_EQ(Client("tcp:server=[::1],port=1").server, "::1");
}

TEST(Endpoint, LeadingSlashesOfHostsAreOptional) {
  for (const char* text :
       {"tcp:server=\\\\BOX,port=1", "tcp:server=\\BOX,port=1", "tcp:server=//BOX,port=1"}) {
    EXPECT_EQ(Client(text).server, "BOX") << text;
  }
  EXPECT_EQ(*Server("tcp:port=1,clicon=\\\\BOX").clicon, "BOX");
}

TEST(Endpoint, HostsAreCheckedBecauseTheyReachACommandLine) {
  EXPECT_THAT(ClientError("npipe:server=-oProxyCommand=x,pipe=p"), HasSubstr("does not hold a host name"));
  EXPECT_THAT(ClientError("npipe:server=-v,pipe=p"), HasSubstr("does not hold a host name"));
  EXPECT_THAT(ClientError("tcp:server=a b,port=1"), HasSubstr("does not hold a host name"));
  EXPECT_THAT(ClientError("tcp:server=,port=1"), HasSubstr("key 'server' at position 5 needs a value"));
  EXPECT_THAT(ClientError("tcp:server=\\\\,port=1"), HasSubstr("does not hold a host name"));
}

struct RefusedKey {
  const char* text;
  const char* key;
};

TEST(Endpoint, ServerFormsRefuseKeysOfOtherForms) {
  for (const RefusedKey& c : {RefusedKey{"npipe:pipe=a,server=h", "server"},
                              {"npipe:pipe=a,port=1", "port"},
                              {"npipe:pipe=a,clicon=h", "clicon"},
                              {"npipe:pipe=a,ipversion=6", "ipversion"},
                              {"tcp:port=1,server=h", "server"},
                              {"tcp:port=1,pipe=a", "pipe"},
                              {"tcp:port=1,clicon=h,icfenable", "icfenable"},
                              {"com:port=1,baud=9600,channel=1,icfenable", "icfenable"},
                              {"com:port=1,baud=9600,channel=1,clicon=h", "clicon"},
                              {"spipe:proto=tls1,certuser=a,pipe=p,icfenable", "icfenable"},
                              {"spipe:proto=tls1,certuser=a,pipe=p,clicon=h", "clicon"},
                              {"ssl:proto=tls1,certuser=a,port=1,ipversion=6", "ipversion"},
                              {"ssl:proto=tls1,certuser=a,port=1,icfenable", "icfenable"},
                              {"ssl:proto=tls1,certuser=a,port=1,clicon=h,hidden", "hidden"}}) {
    const std::string message = ServerError(c.text);
    EXPECT_THAT(message, HasSubstr("key '" + std::string(c.key) + "'")) << c.text;
    EXPECT_THAT(message, HasSubstr("is not allowed in the string of")) << c.text;
  }
}

TEST(Endpoint, MissingParametersAreNamed) {
  EXPECT_EQ(ServerError("npipe:hidden"), "the string of an npipe server needs 'pipe='");
  EXPECT_EQ(ServerError("tcp:"), "the string of a tcp server needs 'port='");
  EXPECT_EQ(ServerError("com:port=1,baud=9600"), "the string of a com server needs 'channel='");
  EXPECT_EQ(ServerError("ssl:port=1,certuser=a"), "the string of an ssl server needs 'proto='");
  EXPECT_EQ(ClientError("tcp:port=1"),
            "the string of a tcp client needs 'server=' (or 'clicon=' for a reverse connection)");
  EXPECT_EQ(ClientError("npipe:pipe=p"), "the string of an npipe client needs 'server='");
  EXPECT_EQ(ClientError("tcp:server=h"), "the string of a tcp client needs 'port='");
  EXPECT_THAT(ClientError("tcp:server=h,clicon=h,port=1"), HasSubstr("clicon takes its place"));
}

TEST(Endpoint, UnknownProtocolsAreNamed) {
  EXPECT_EQ(ServerError("udp:port=1"), "unknown protocol 'udp'; use one of npipe, tcp, com, spipe, ssl");
  Result<Endpoint> repeater = ParseRepeaterServerEndpoint("udp:port=1");
  ASSERT_FALSE(repeater);
  EXPECT_EQ(repeater.error().message, "unknown protocol 'udp'; use one of npipe, tcp, com");
  Result<Endpoint> gdb = ParseClientEndpoint("gdb:server=h,port=1");
  ASSERT_FALSE(gdb);
  EXPECT_EQ(gdb.error().code, Errc::kUnsupported);
  EXPECT_THAT(gdb.error().message, HasSubstr("gdbserver"));
}

TEST(Endpoint, FlagsTakeOnlyZeroAndOne) {
  EXPECT_TRUE(Server("tcp:port=1,hidden").hidden);
  EXPECT_TRUE(Server("tcp:port=1,hidden=1").hidden);
  EXPECT_FALSE(Server("tcp:port=1,hidden=0").hidden);
  EXPECT_TRUE(Server("tcp:port=1,IcfEnable").icf_enable);
  EXPECT_THAT(ServerError("tcp:port=1,hidden=yes"), HasSubstr("key 'hidden' at position 12 is a flag"));
}

TEST(Endpoint, HiddenInAClientStringIsAWarning) {
  const Endpoint e = Client("tcp:server=h,port=1,hidden");
  EXPECT_FALSE(e.hidden);
  EXPECT_THAT(e.warning, HasSubstr("'hidden' has no meaning"));
}

TEST(Endpoint, ClientTakesTheFirstPortOfAListing) {
  const Endpoint e = Client("tcp:port=53:60,server=h");
  EXPECT_EQ(e.port.first, 53);
  EXPECT_EQ(e.port.last, 53);
}

TEST(Endpoint, PortLimits) {
  EXPECT_EQ(Server("tcp:port=0").port.first, 0);
  EXPECT_THAT(ServerError("tcp:port=65536"), HasSubstr("is not a port 0 to 65535"));
  EXPECT_THAT(ServerError("tcp:port=60:51"), HasSubstr("reversed range"));
  EXPECT_THAT(ServerError("tcp:port=1:2:3"), HasSubstr("is not a port"));
  EXPECT_THAT(ServerError("tcp:port=1:"), HasSubstr("is not a port"));
  EXPECT_THAT(ServerError("tcp:port=-1"), HasSubstr("is not a port"));
  EXPECT_THAT(ServerError("tcp:port"), HasSubstr("needs a value"));
  EXPECT_THAT(ServerError("tcp:port=0,clicon=h"), HasSubstr("is 0"));
  EXPECT_THAT(ClientError("tcp:port=0,server=h"), HasSubstr("is 0"));
  EXPECT_EQ(Client("tcp:port=0,clicon=h").port.first, 0);
}

TEST(Endpoint, IpVersionIsFourOrSix) {
  EXPECT_EQ(Server("tcp:port=1,ipversion=6").ip_version, 6);
  EXPECT_EQ(Client("tcp:port=1,server=h,ipversion=4").ip_version, 4);
  EXPECT_THAT(ServerError("tcp:port=1,ipversion=5"), HasSubstr("takes only 4 or 6"));
}

TEST(Endpoint, SslClientNeedsACertificateOrSaysThatItDoesNot) {
  EXPECT_THAT(ClientError("ssl:proto=tls1,server=h,port=1"),
              HasSubstr("verify=none connects without checking"));
  EXPECT_TRUE(Client("ssl:proto=tls1.3,server=h,port=1,verify=none").verify_none);
  EXPECT_THAT(ClientError("ssl:proto=tls1,server=h,port=1,verify=none,certuser=a"), HasSubstr("contradicts"));
  EXPECT_THAT(ServerError("ssl:proto=tls1,port=1,certuser=a,verify=none"), HasSubstr("not allowed"));
  EXPECT_EQ(*Client("ssl:proto=tls1.2,clicon=h,port=1:3,certuser=@{CN=a,O=b}").certuser, "CN=a,O=b");
}

TEST(Endpoint, PrintedFormsAreAcceptedBackWithThePasswordAsked) {
  for (const char* text :
       {"tcp:Port=5005,Server=HOST,Password=abc", "npipe:Pipe=web,Server=h,Password=abc",
        "tcp:Port=1:5,CliCon=*", "com:Port=com3,Baud=9600,Channel=4,Password=abc",
        "ssl:proto=tls1,machuser=ab cd,server=h,port=1,password=abc",
        "spipe:proto=tls1,certuser=@{a,b},server=h,pipe=p", "ssl:proto=tls1.3,server=h,port=1,verify=none",
        "tcp:server=h,port=1,ipversion=6,connecttimeout=5", "tcp:Port=5005,Server=fe80::,Password=abc"}) {
    const std::string printed = FormatEndpoint(Client(text));
    EXPECT_THAT(printed, Not(HasSubstr("abc")));
    const Endpoint again = Client(printed);
    EXPECT_EQ(FormatEndpoint(again), printed);
    EXPECT_TRUE(!again.password || again.password->empty());
  }
  for (const char* text :
       {"tcp:Port=5005:5010,Hidden", "npipe:Pipe=a_%d,IcfEnable", "tcp:port=1,clicon=h,retry=0"}) {
    const std::string printed = FormatEndpoint(Server(text));
    EXPECT_EQ(FormatEndpoint(Server(printed)), printed);
  }
}

TEST(Endpoint, AServerNeverTakesTheStarOfAListing) {
  EXPECT_THAT(ServerError("tcp:Port=1,Password=*"), HasSubstr("write the password itself"));
}

TEST(Endpoint, ReverseServerRetry) {
  EXPECT_EQ(*Server("tcp:port=1,clicon=h,retry=0").retry_seconds, 0u);
  EXPECT_THAT(ServerError("tcp:port=1,retry=0"), HasSubstr("not allowed"));
  EXPECT_THAT(ServerError("tcp:port=1,clicon=h,connecttimeout=0"), HasSubstr("is not a number from 1 to"));
}

TEST(Endpoint, ARepeaterIgnoresThePasswordOfItsClientSide) {
  auto client = ParseRepeaterClientEndpoint("tcp:server=h,port=1,password=abc");
  ASSERT_TRUE(client);
  EXPECT_FALSE(client->password);
  EXPECT_THAT(client->warning, HasSubstr("needs no password"));
  auto server = ParseRepeaterServerEndpoint("tcp:port=1,ipversion=6");
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message, HasSubstr("key 'ipversion' at position 12 is not allowed"));
}

}  // namespace
}  // namespace longwire

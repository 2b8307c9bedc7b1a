#include "client/engine/driver_files.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/client_commands/command_fixture.h"

namespace longwire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Operation = rpc::FileRequested::Operation;

constexpr std::uint32_t kNoSuchFile = 0xC000000F, kInvalidHandle = 0xC0000008, kAccessDenied = 0xC0000022;

class LinkCommands : public CommandTest {
 protected:
  /// What the target gets for a request.
  FakeTarget::FileAnswer Ask(Operation operation, const std::string& name, std::uint64_t handle = 0,
                             std::uint64_t offset = 0, std::uint32_t length = 0) {
    target_.QueueEvent(rpc::FileRequested{++request_, operation, name, handle, offset, length});
    EXPECT_TRUE(DrainEvents(*session_));
    EXPECT_EQ(target_.file_answers().size(), request_);
    if (target_.file_answers().empty()) return {};
    EXPECT_EQ(target_.file_answers().back().answer.request, request_);
    return target_.file_answers().back();
  }

  TemporaryDirectory directory_;
  std::uint64_t request_ = 0;
};

TEST_F(LinkCommands, ShowsWhatTheLinkDoes) {
  rpc::LinkStatus status;
  status.link = "com:port=/dev/ttyS0";
  status.state = rpc::TargetState::kHalted;
  status.holder = "me@here";
  status.observers = 2;
  status.packets_sent = 7;
  status.checksum_errors = 3;
  target_.SetLinkStatus(status);
  const std::string text = Run(".linkinfo");
  EXPECT_THAT(text, HasSubstr("Link: com:port=/dev/ttyS0\nState: halted, driven by me@here, 2 observers\n"));
  EXPECT_THAT(text, HasSubstr("and 7 packets sent"));
  EXPECT_THAT(text, HasSubstr("3 checksum errors\n"));
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_EQ(rows_[0].kind, "link");
}

TEST_F(LinkCommands, TheSpeedOfTheLineGoesRound) {
  EXPECT_THAT((Run(".ctrl a"), error_), HasSubstr("no line speed"));
  EXPECT_THAT(Run(".linkinfo"), testing::Not(HasSubstr("Speed:")));
  rpc::LinkStatus status;
  for (const auto& [before, after] : {std::pair{9600u, 19200u},
                                      {19200u, 38400u},
                                      {38400u, 57600u},
                                      {57600u, 115200u},
                                      {115200u, 19200u},
                                      {921600u, 19200u}}) {
    status.baud = before;
    target_.SetLinkStatus(status);
    EXPECT_EQ(Run(".ctrl a"), "The line runs at " + std::to_string(after) + " baud.\n");
    EXPECT_EQ(error_, "");
    EXPECT_THAT(Run(".linkinfo"), HasSubstr("\nSpeed: " + std::to_string(after) + " baud\n"));
  }
}

TEST_F(LinkCommands, TheCacheIsShownLimitedAndEmptied) {
  EXPECT_EQ(Run(".cache 0n64"), "Max cache size is       65536 bytes (0x40 KB)\n");
  EXPECT_EQ(target_.memory_cache().limit_bytes, 65536u);
  EXPECT_THAT(Run(".cache"), HasSubstr("Max cache size is       65536 bytes (0x40 KB)\n"));
  EXPECT_EQ(Run(".cache 0"), "Cache disabled\n");
  Run(".cache flushall");
  EXPECT_EQ(target_.calls().back(), "ForgetMemory");
  EXPECT_THAT((Run(".cache forcedecodeptes"), error_), HasSubstr("not supported"));
}

TEST_F(LinkCommands, PacketsAreTracedAndTheTargetIsBrokenInto) {
  EXPECT_EQ(Run(".ctrl d"), "Packet trace ON.\n");
  EXPECT_EQ(Run(".ctrl D"), "Packet trace OFF.\n");
  EXPECT_THAT(target_.calls(), testing::IsSupersetOf({"Configure trace on", "Configure trace off"}));
  Run(".ctrl f");
  EXPECT_EQ(flow_, CommandFlow::kPrompt) << "it is halted already";
  EXPECT_THAT(target_.calls(), testing::Not(testing::Contains("BreakIn")));
  target_.Run();
  Run(".ctrl f");
  EXPECT_EQ(flow_, CommandFlow::kRunning);
  EXPECT_THAT(target_.calls(), testing::Contains("BreakIn"));
}

TEST_F(LinkCommands, MsrsBelongToTheSelectedProcessor) {
  EXPECT_THAT((Run("rdmsr c0000082"), error_), HasSubstr("no such msr: c0000082"));
  Run("wrmsr c0000082 fffff803`f3445678");
  EXPECT_EQ(Run("rdmsr c0000082"), "msr[c0000082] = fffff803`f3445678\n");
  Run("~1s");
  EXPECT_THAT((Run("rdmsr c0000082"), error_), HasSubstr("no such msr"));
  EXPECT_THAT((Run("rdmsr 1`00000000"), error_), HasSubstr("32 bits"));
}

TEST_F(LinkCommands, TheTargetsTimeTakesOneRead) {
  constexpr std::uint64_t kShared = 0xFFFFF78000000000;
  EXPECT_THAT((Run(".time"), error_), HasSubstr("Unable to read memory"));
  target_.Put(kShared + 0x08, 37470000, 8);
  target_.Put(kShared + 0x14, 132583451029870000, 8);
  const std::uint64_t before = target_.counters().round_trips;
  EXPECT_EQ(Run(".time"),
            "Debug session time: Sun Feb 21 01:38:22.987 2021 (UTC + 0:00)\n"
            "System Uptime: 0 days 0:00:03.747\n");
  EXPECT_EQ(target_.counters().round_trips - before, 1u);
  EXPECT_THAT(Run(".echotime"), HasSubstr("Debugger (not debuggee) time: "));
}

TEST_F(LinkCommands, AFileThatNobodyMappedIsTheTargetsOwn) {
  EXPECT_EQ(Ask(Operation::kCreate, "\\Windows\\system32\\config\\system").answer.status, kNoSuchFile);
  EXPECT_EQ(notes_, "");
}

TEST_F(LinkCommands, AMappedFileIsReadInPieces) {
  directory_.Write("new.sys", "0123456789");
  directory_.Write("map.txt", "# drivers\n\nmap\n\\SystemRoot\\System32\\Drivers\\MyDrv.sys\n" +
                                  directory_.File("new.sys") + "\n");
  EXPECT_EQ(Run(".kdfiles " + directory_.File("map.txt")),
            "KD file associations loaded from '" + directory_.File("map.txt") + "'\n");
  const auto opened = Ask(Operation::kCreate, "\\systemroot\\system32\\drivers\\mydrv.sys");
  EXPECT_EQ(opened.answer.status, 0u);
  EXPECT_EQ(opened.answer.length, 10u);
  ASSERT_NE(opened.answer.handle, 0u);
  EXPECT_THAT(notes_, HasSubstr("KD: Accessing '" + directory_.File("new.sys")));
  const std::uint64_t handle = opened.answer.handle;
  const auto piece = Ask(Operation::kRead, "", handle, 8, 4);
  EXPECT_EQ(piece.answer.length, 2u);
  EXPECT_THAT(piece.data, ElementsAre(std::byte{'8'}, std::byte{'9'}));
  const auto behind = Ask(Operation::kRead, "", handle, 10, 4);
  EXPECT_EQ(behind.answer.status, 0u);
  EXPECT_EQ(behind.answer.length, 0u);
  EXPECT_EQ(Ask(Operation::kWrite, "", handle).answer.status, kAccessDenied);
  EXPECT_EQ(Ask(Operation::kClose, "", handle).answer.status, 0u);
  EXPECT_EQ(Ask(Operation::kRead, "", handle, 0, 4).answer.status, kInvalidHandle);
}

TEST_F(LinkCommands, AMissingFileAndAPipeAreNotServed) {
  Run(".kdfiles -m a.sys " + directory_.File("absent"));
  Run(".kdfiles -m b.sys " + directory_.path());
  EXPECT_EQ(Ask(Operation::kCreate, "\\a.sys").answer.status, kNoSuchFile);
  EXPECT_EQ(Ask(Operation::kCreate, "\\b.sys").answer.status, kNoSuchFile);
  EXPECT_THAT(notes_, HasSubstr("not a plain file"));
}

TEST_F(LinkCommands, AMapIsSavedShownAndCleared) {
  Run(".kdfiles -m one.sys /new/one.sys");
  Run(".kdfiles -m ONE.SYS /newer/one.sys");
  EXPECT_EQ(Run(".kdfiles"), "KD file associations\none.sys -> /newer/one.sys\n");
  Run(".kdfiles -s " + directory_.File("saved"));
  EXPECT_EQ(Run(".kdfiles -c"), "KD file associations cleared\n");
  EXPECT_EQ(Run(".kdfiles"), "No KD file associations\n");
  Run(".kdfiles " + directory_.File("saved"));
  ASSERT_EQ(session_->driver_files().map().size(), 1u);
  directory_.Write("bad", "map\nname only\n");
  Run(".kdfiles " + directory_.File("bad"));
  EXPECT_THAT(error_, HasSubstr("Unable to load file associations: line 2"));
  EXPECT_EQ(session_->driver_files().map().size(), 1u) << "a bad map changes nothing";
}

TEST(DriverFiles, ABareNameStandsForEveryPath) {
  DriverFiles files;
  ASSERT_TRUE(files.Add({"mup", "/m"}));
  ASSERT_TRUE(files.Add({"\\x\\tcpip.sys", "/t"}));
  EXPECT_EQ(files.Find("\\Windows\\MUP.SYS")->host, "/m");
  EXPECT_EQ(files.Find("\\y\\tcpip.sys"), nullptr);
  EXPECT_EQ(files.Find("\\Windows\\mups.sys"), nullptr);
}

TEST(ParseDriverMap, TakesBlocksOfThreeLines) {
  const auto map = ParseDriverMap("map\r\n\\a b.sys\r\n/host/a b.sys\r\n\r\n# note\r\nMAP\nc\n/d");
  ASSERT_TRUE(map);
  ASSERT_EQ(map->size(), 2u);
  EXPECT_EQ((*map)[0].host, "/host/a b.sys");
  EXPECT_EQ((*map)[1].target, "c");
  for (const char* bad : {"mop\na\nb\n", "map\n", "map\n\na\nb\n", "map\na\n# no comment here\nb\n"}) {
    const auto parsed = ParseDriverMap(bad);
    EXPECT_FALSE(parsed) << bad;
  }
  EXPECT_TRUE(ParseDriverMap("")->empty());
}

}  // namespace
}  // namespace longwire

#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kCode = TargetSimulation::kCode;
using kd::Api;

TEST(Memory, H40LongReadIsSplitAndJoined) {
  TargetSimulation sim;
  sim.AttachHalted();
  const kd::Bytes bytes = sim.Read(kCode + 0xF80, 10000);
  EXPECT_EQ(bytes, sim.stub.Peek(kCode + 0xF80, 10000));
  EXPECT_EQ(sim.stub.Count(Api::kReadVirtual), 3u) << "no more requests than 3944 bytes each need";
  for (const auto& seen : sim.stub.requests) EXPECT_LE(seen.count, 3944u);
}

TEST(Memory, BulkReadsKeepTheLineBusyAtAsFewBytesAsTheProtocolAllows) {
  TargetSimulation sim;
  sim.stub.Map(0xFFFFF90000000000, 256 << 10);
  sim.AttachHalted();
  const kd::Bytes bytes = sim.Read(0xFFFFF90000000000, 256 << 10);
  EXPECT_EQ(bytes.size(), 256u << 10);
  EXPECT_EQ(sim.stub.Count(Api::kReadVirtual), (256u * 1024 + 3943) / 3944);
}

TEST(Memory, H41UnreadableTailEndsTheRead) {
  TargetSimulation sim;
  sim.stub.Map(0xFFFFF90000000000, 0x1000);
  sim.AttachHalted();
  const auto outcome =
      sim.Ask(rpc::ReadMemory{AddressSpace::Virtual(), {{0xFFFFF90000000F9C, 200}, {kCode, 4}}, false});
  ASSERT_NE(outcome.as<rpc::MemoryRead>(), nullptr);
  EXPECT_EQ(outcome.as<rpc::MemoryRead>()->sizes, (std::vector<std::uint64_t>{100, 4}));
}

TEST(Memory, H42AClippedReplyIsContinuedAndAnEmptyOneEndsTheRead) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.stub.most_read = 1024;
  EXPECT_EQ(sim.Read(kCode + 0x2000, 3000), sim.stub.Peek(kCode + 0x2000, 3000));
  EXPECT_EQ(sim.stub.Count(Api::kReadVirtual), 3u);
  sim.stub.most_read = 0;
  sim.stub.requests.clear();
  EXPECT_TRUE(sim.Read(kCode + 0x4000, 3000).empty());
  EXPECT_LE(sim.stub.Count(Api::kReadVirtual), 2u);
}

TEST(Memory, H43AClaimOfMoreBytesThanPresentIsClippedAndLogged) {
  std::vector<std::string> log;
  TargetOptions options;
  options.log = [&log](const std::string& line) { log.push_back(line); };
  TargetSimulation sim(options);
  sim.AttachHalted();
  sim.stub.most_read = 16;
  sim.stub.claimed_bytes = 3000;
  EXPECT_EQ(sim.Read(kCode + 0x2000, 64), sim.stub.Peek(kCode + 0x2000, 64));
  EXPECT_EQ(log.size(), 1u);
  sim.stub.most_read = 3944;
  sim.stub.claimed_bytes = 0xFFFFFFFF;
  EXPECT_EQ(sim.Read(kCode + 0x4000, 64), sim.stub.Peek(kCode + 0x4000, 64));
}

TEST(Memory, ALongWriteEndsWhenItIsCancelled) {
  TargetSimulation sim;
  sim.AttachHalted();
  std::optional<rpc::Answer> answer;
  sim.target.Perform(sim.now, 501, rpc::WriteMemory{AddressSpace::Virtual(), kCode + 0x1000},
                     kd::Bytes(0x5000), [&](rpc::Answer given, kd::Bytes) { answer = std::move(given); });
  sim.target.Cancel(sim.now, 501);
  sim.Run();
  ASSERT_TRUE(answer.has_value());
  const auto* written = std::get_if<rpc::MemoryWritten>(&*answer);
  ASSERT_NE(written, nullptr);
  EXPECT_LE(written->size, 0x1000u) << "what was written by then, and no more";
}

TEST(Memory, ATargetThatRefusesTheWholeCrossingReadStillGivesTheFirstPage) {
  TargetSimulation sim;
  sim.stub.Map(0xFFFFF90000000000, 0x1000);
  sim.stub.whole_reads = true;
  sim.AttachHalted();
  EXPECT_EQ(sim.Read(0xFFFFF90000000E00, 3000).size(), 0x200u);
}

TEST(Memory, ReadTwiceAsksOnce) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Read(kCode + 0x3000, 16);
  const std::size_t once = sim.stub.requests.size();
  EXPECT_EQ(sim.Read(kCode + 0x3008, 8), sim.stub.Peek(kCode + 0x3008, 8));
  EXPECT_EQ(sim.stub.requests.size(), once);
  sim.Ask(rpc::ReadMemory{AddressSpace::Virtual(), {{kCode + 0x3000, 16}}, true});
  EXPECT_EQ(sim.stub.requests.size(), once + 1) << "uncached asks again";
  EXPECT_EQ(sim.stub.requests.back().count, 16u) << "and for exactly that";
}

TEST(Memory, WriteAndResumeMakeReadsFresh) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Read(kCode + 0x3000, 16);
  const auto written =
      sim.Ask(rpc::WriteMemory{AddressSpace::Virtual(), kCode + 0x3004}, {std::byte{0x11}, std::byte{0x22}});
  ASSERT_NE(written.as<rpc::MemoryWritten>(), nullptr);
  EXPECT_EQ(written.as<rpc::MemoryWritten>()->size, 2u);
  EXPECT_EQ(sim.Read(kCode + 0x3000, 16), sim.stub.Peek(kCode + 0x3000, 16));
  sim.Go();
  sim.stub.Poke(kCode + 0x3000, {std::byte{0x77}});
  sim.stub.Stop(0xC0000005, kCode + 0x200);
  sim.Run();
  EXPECT_EQ(sim.Read(kCode + 0x3000, 1)[0], std::byte{0x77});
}

TEST(Memory, WriteToUnmappedMemoryIsAnError) {
  TargetSimulation sim;
  sim.AttachHalted();
  const auto outcome = sim.Ask(rpc::WriteMemory{AddressSpace::Virtual(), 0xFFFFF99000000000}, {std::byte{1}});
  ASSERT_NE(outcome.error(), nullptr);
  EXPECT_EQ(outcome.error()->code, Errc::kUnreadable);
}

TEST(Memory, BreakpointsAreHiddenFromReadsAndSurviveWrites) {
  TargetSimulation sim;
  sim.AttachHalted();
  const kd::Bytes before = sim.Read(kCode + 0x600, 16);
  const std::uint64_t id = sim.SetBreakpoint(kCode + 0x604);
  ASSERT_EQ(sim.stub.Peek(kCode + 0x604, 1)[0], std::byte{0xCC});
  EXPECT_EQ(sim.Read(kCode + 0x600, 16), before);
  EXPECT_EQ(sim.Ask(rpc::ReadMemory{AddressSpace::Virtual(), {{kCode + 0x600, 16}}, true}).bulk, before);
  sim.Ask(rpc::WriteMemory{AddressSpace::Virtual(), kCode + 0x603}, kd::Bytes(3, std::byte{0x42}));
  EXPECT_EQ(sim.stub.Peek(kCode + 0x604, 1)[0], std::byte{0xCC}) << "the breakpoint stays";
  EXPECT_EQ(sim.Read(kCode + 0x603, 3), kd::Bytes(3, std::byte{0x42})) << "the user sees what was written";
  EXPECT_NE(sim.Ask(rpc::ClearBreakpoint{id}).as<rpc::Done>(), nullptr);
}

TEST(Memory, PageTableReadsTranslateOnceAndPhysicalReadsAreNeverKept) {
  TargetSimulation sim;
  // Four levels in physical memory that map the virtual page 0x1000 to the physical page 0x9000.
  sim.stub.Map(0x10000, 0x4000);
  for (const std::uint64_t table : {0x10000, 0x11000, 0x12000, 0x13000})
    sim.stub.Poke(table, kd::Bytes(0x1000));
  sim.stub.Poke64(0x10000, 0x11003);
  sim.stub.Poke64(0x11000, 0x12003);
  sim.stub.Poke64(0x12000, 0x13003);
  sim.stub.Poke64(0x13008, 0x9003);
  sim.stub.Map(0x9000, 0x1000);
  sim.AttachHalted();
  const auto space = AddressSpace::PageTable(0x10000);
  EXPECT_EQ(sim.Ask(rpc::ReadMemory{space, {{0x1010, 8}}, false}).bulk, sim.stub.Peek(0x9010, 8));
  const std::size_t physical = sim.stub.Count(Api::kReadPhysical);
  EXPECT_EQ(physical, 5u) << "four levels and the page";
  sim.Ask(rpc::ReadMemory{space, {{0x1800, 8}}, false});
  EXPECT_EQ(sim.stub.Count(Api::kReadPhysical), physical + 1) << "the translation is kept";
  EXPECT_TRUE(sim.Ask(rpc::ReadMemory{space, {{0x3000, 8}}, false}).bulk.empty());
  const std::size_t before = sim.stub.Count(Api::kReadPhysical);
  sim.Ask(rpc::ReadMemory{AddressSpace::Physical(), {{0x9010, 8}}, false});
  sim.Ask(rpc::ReadMemory{AddressSpace::Physical(), {{0x9010, 8}}, false});
  EXPECT_EQ(sim.stub.Count(Api::kReadPhysical), before + 2);
}

TEST(Registers, H45GetContextExIsTriedOncePerTarget) {
  TargetSimulation sim;
  sim.stub.refused.insert(Api::kGetContextEx);
  sim.AttachHalted();
  EXPECT_EQ(sim.Ask(rpc::GetContext{1}).bulk, sim.stub.contexts[1]);
  EXPECT_EQ(sim.stub.Count(Api::kGetContextEx), 0u) << "already known from the stop";
  EXPECT_EQ(sim.stub.Count(Api::kGetContext), 1u);
}

TEST(Registers, TheDriverGoesBeforeObservers) {
  TargetSimulation sim;
  sim.AttachHalted();
  std::vector<std::pair<int, Errc>> answers;
  const auto note = [&](int who) {
    return [&answers, who](rpc::Answer answer, kd::Bytes) {
      answers.emplace_back(
          who, std::holds_alternative<Error>(answer) ? std::get<Error>(answer).code : Errc::kClosed);
    };
  };
  const rpc::ReadMemory all{AddressSpace::Virtual(), {{kCode, 0x6000}}, true};
  sim.target.Perform(sim.now, 501, all, {}, note(1), true);
  sim.target.Perform(sim.now, 502, all, {}, note(2), true);
  sim.target.Perform(sim.now, 503, rpc::GetContext{1}, {}, note(3));
  sim.Run();
  EXPECT_EQ(answers,
            (std::vector<std::pair<int, Errc>>{{1, Errc::kBusy}, {3, Errc::kClosed}, {2, Errc::kClosed}}));
}

TEST(Registers, CancelTakesQueuedWorkBack) {
  TargetSimulation sim;
  sim.AttachHalted();
  std::vector<Errc> codes;
  const auto note = [&](rpc::Answer answer, kd::Bytes) {
    codes.push_back(std::holds_alternative<Error>(answer) ? std::get<Error>(answer).code : Errc::kClosed);
  };
  sim.target.Perform(sim.now, 501, rpc::ReadMemory{AddressSpace::Virtual(), {{kCode, 0x6000}}, true}, {},
                     note);
  sim.target.Perform(sim.now, 502, rpc::GetContext{0}, {}, note);
  sim.target.Cancel(sim.now, 502);
  sim.target.Cancel(sim.now, 501);
  sim.Run();
  EXPECT_EQ(codes, (std::vector<Errc>{Errc::kCancelled, Errc::kCancelled}));
  EXPECT_LE(sim.stub.Count(Api::kReadVirtual), 1u);
}

}  // namespace
}  // namespace longwire::test

// Cases T37-T40 of kd-protocol.md 10.3 and what the machine says of its own accord.
#include <algorithm>
#include <fstream>

#include "tests/contract/target/machine_fixture.h"

namespace longwire::test {
namespace {

class TargetDialogue : public MachineTest {
 protected:
  static Bytes PromptAnswer(const Bytes& prompt, const std::string& text) {
    Bytes answer(prompt.begin(), prompt.begin() + 16);
    Store32(&answer, 12, static_cast<uint32_t>(text.size()));
    answer.insert(answer.end(), text.begin(), text.end());
    return answer;
  }
  bool HasPrint(const std::string& part) const {
    return std::any_of(kd_->prints().begin(), kd_->prints().end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
  }
  std::vector<std::string> ModuleNames() {
    std::vector<std::string> names;
    for (const auto& [name, base] : kd_->Modules()) names.push_back(name);
    return names;
  }
  std::string LateDriver() const { return GetParam() == 'a' ? "lwlate.sys" : "amber.sys"; }
};
INSTANTIATE_TEST_SUITE_P(Variants, TargetDialogue, ::testing::Values('a', 'b'), VariantName);

TEST_P(TargetDialogue, T37TruncatesALongAnswer) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kPrompt));
  auto prompt = kd_->Next();
  ASSERT_TRUE(prompt && prompt->type == kDebugIo);
  EXPECT_EQ(Load32(prompt->payload, 0), 0x3231u);
  EXPECT_EQ(Load32(prompt->payload, 12), 512u);
  ASSERT_TRUE(kd_->Send(kDebugIo, PromptAnswer(prompt->payload, std::string(600, 'x'))));
  ASSERT_TRUE(kd_->Next(true));
  ASSERT_TRUE(HasPrint("answer of 512 characters"));
  ASSERT_TRUE(kd_->BreakIn());
  EXPECT_EQ(Load32(kd_->ReadAll(kd_->FindExport("g_AnswerLength"), 4), 0), 512u);
  const Bytes answer = kd_->ReadAll(kd_->FindExport("g_Answer"), 514);
  EXPECT_EQ(answer[511], 'x');
  EXPECT_EQ(answer[512], 0);
}

TEST_P(TargetDialogue, T38TakesOneAnswerThoughThePromptWasRepeated) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(50));
  ASSERT_NO_FATAL_FAILURE(RunCommand(kPrompt));
  std::optional<KdFrame> prompt;
  for (int i = 0; i < 3; ++i) {
    prompt = kd_->Receive();
    ASSERT_TRUE(prompt && prompt->is_data(kDebugIo));
  }
  // The late acknowledgement, then one answer; copies still on the way are passed over by Next().
  prompt = kd_->Next();
  ASSERT_TRUE(prompt && prompt->type == kDebugIo);
  ASSERT_TRUE(kd_->Send(kDebugIo, PromptAnswer(prompt->payload, "o")));
  auto print = kd_->Next(true);
  ASSERT_TRUE(print);
  EXPECT_EQ(Load32(print->payload, 0), 0x3230u);
  EXPECT_TRUE(HasPrint("answer of 1 characters: o"));
  EXPECT_FALSE(kd_->Next(true, milliseconds(300)));
}

TEST_P(TargetDialogue, T39UsesItsOwnFileWhenTheHostHasNone) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kLoadDriverRemote));
  auto create = kd_->Next();
  ASSERT_TRUE(create && create->type == kFileIo);
  EXPECT_EQ(Load32(create->payload, 0), 0x3430u);
  Bytes answer(create->payload.begin(), create->payload.begin() + 64);
  Store32(&answer, 4, 0xC000000F);
  ASSERT_TRUE(kd_->Send(kFileIo, answer));
  auto load = kd_->WaitForStop();
  ASSERT_TRUE(load);
  EXPECT_EQ(Load32(*load, 0), 0x3031u);
  EXPECT_TRUE(HasPrint("own file used"));
}

TEST_P(TargetDialogue, LoadsTheFileTheHostServes) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  std::ifstream stream(machine_->symbol_directory() + "/" + LateDriver(), std::ios::binary);
  Bytes file((std::istreambuf_iterator<char>(stream)), {});
  ASSERT_GT(file.size(), 4096u);
  ASSERT_NO_FATAL_FAILURE(RunCommand(kLoadDriverRemote));
  for (;;) {
    auto frame = kd_->Next();
    ASSERT_TRUE(frame);
    if (frame->type == kStateChange) break;
    ASSERT_EQ(frame->type, kFileIo);
    Bytes answer(frame->payload.begin(), frame->payload.begin() + 64);
    const uint32_t api = Load32(answer, 0);
    Store32(&answer, 4, 0);
    if (api == 0x3430) {
      Store64(&answer, 0x20, 77);
      Store64(&answer, 0x28, file.size());
    } else if (api == 0x3431) {
      EXPECT_EQ(Load64(answer, 8), 77u);
      const size_t at = std::min<size_t>(Load64(answer, 0x10), file.size());
      const size_t count = std::min<size_t>({Load32(answer, 0x18), file.size() - at, 3936});
      Store32(&answer, 0x18, static_cast<uint32_t>(count));
      answer.insert(answer.end(), file.begin() + static_cast<ptrdiff_t>(at),
                    file.begin() + static_cast<ptrdiff_t>(at + count));
    }
    ASSERT_TRUE(kd_->Send(kFileIo, answer));
  }
  EXPECT_FALSE(HasPrint("own file used"));
  const auto names = ModuleNames();
  EXPECT_EQ(std::count(names.begin(), names.end(), LateDriver()), 1);
}

TEST_P(TargetDialogue, T40CutsAPrintAt512) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kPrintLong));
  auto print = kd_->Next(true);
  ASSERT_TRUE(print && print->type == kDebugIo);
  EXPECT_EQ(Load32(print->payload, 8), 512u);
  EXPECT_EQ(print->payload.size(), 16u + 512u);
}

TEST_P(TargetDialogue, BurstOfPrintsArrivesInOrder) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kPrintBurst, 50));
  while (kd_->prints().size() < 50) ASSERT_TRUE(kd_->Next(true));
  for (size_t i = 0; i < 50; ++i)
    EXPECT_EQ(kd_->prints()[i], "demo: burst " + std::to_string(i + 1) + " of 50\n");
}

TEST_P(TargetDialogue, LoadAndUnloadAreReported) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const auto before = ModuleNames();
  ASSERT_NO_FATAL_FAILURE(RunCommand(kLoadDriver));
  auto load = kd_->WaitForStop();
  ASSERT_TRUE(load);
  EXPECT_EQ(Load32(*load, 0), 0x3031u);
  EXPECT_EQ((*load)[0x40], 0);
  const std::string path(load->begin() + 0xF0, load->end() - 1);
  EXPECT_TRUE(path.ends_with(LateDriver())) << path;
  EXPECT_EQ(Load64(*load, 0x30), ~0ull);
  const uint64_t base = Load64(*load, 0x28);
  const Bytes header = kd_->ReadAll(base, 0x200);
  EXPECT_EQ(Load32(header, Load32(header, 0x3C) + 0x50), Load32(*load, 0x3C));
  EXPECT_EQ(Load32(header, Load32(header, 0x3C) + 0x58), Load32(*load, 0x38));
  EXPECT_EQ(ModuleNames().size(), before.size() + 1);
  ASSERT_TRUE(kd_->Continue(kContinue));
  while (!HasPrint("demo: load of")) ASSERT_TRUE(kd_->Next(true));
  ASSERT_TRUE(kd_->BreakIn());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kUnloadDriver));
  auto unload = kd_->WaitForStop();
  ASSERT_TRUE(unload);
  EXPECT_EQ((*unload)[0x40], 1);
  EXPECT_EQ(Load64(*unload, 0x28), base);
  ASSERT_TRUE(kd_->Continue(kContinue));
  EXPECT_TRUE(kd_->Silent(milliseconds(100)));
  ASSERT_TRUE(kd_->BreakIn());
  EXPECT_EQ(ModuleNames(), before);
  EXPECT_EQ(kd_->Read(base, 8).status, kUnsuccessful);
}

TEST_P(TargetDialogue, ReportsImagesWhileBootingWhenAsked) {
  ASSERT_NO_FATAL_FAILURE(Boot({.break_at_boot = true, .report_symbols = true, .ack_timeout_ms = 400}));
  std::vector<std::string> paths;
  for (;;) {
    auto stop = kd_->WaitForStop();
    ASSERT_TRUE(stop);
    if (Load32(*stop, 0) == 0x3030) break;
    paths.emplace_back(stop->begin() + 0xF0, stop->end() - 1);
    ASSERT_TRUE(kd_->Continue(kContinue));
  }
  const auto names = ModuleNames();
  ASSERT_EQ(paths.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(paths[i].ends_with(names[i])) << paths[i];
}

TEST_P(TargetDialogue, BugCheckPrintsThenBreaks) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t block = kd_->ReadPointer(Load64(kd_->Exchange(0x3146).head, 0x30));
  ASSERT_NO_FATAL_FAILURE(RunCommand(kBugCheck, 0xD1));
  auto stop = kd_->WaitForStop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Code(*stop), 0x80000003u);
  EXPECT_TRUE(HasPrint("*** Fatal System Error: 0x000000d1"));
  EXPECT_TRUE(HasPrint("(0x0000000000000001,0x0000000000000002,0x0000000000000003,0x0000000000000004)"));
  const Bytes data = kd_->ReadAll(kd_->ReadPointer(block + 0x88), 40);
  EXPECT_EQ(Load64(data, 0), 0xD1u);
  EXPECT_EQ(Load64(data, 32), 4u);
  ASSERT_TRUE(kd_->ContinueOverBreak());
  ASSERT_TRUE(kd_->WaitForStop()) << "the kernel asks a second time";
  ASSERT_TRUE(kd_->ContinueOverBreak());
  auto restart = kd_->Receive();
  ASSERT_TRUE(restart);
  EXPECT_EQ(restart->id, kFirstId | kSyncBit);
}

TEST_P(TargetDialogue, UnhandledFaultIsASecondChanceStopThenABugCheck) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kFaultUnhandled));
  auto stop = kd_->WaitForStop();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Code(*stop), 0xC0000005u);
  EXPECT_EQ(Load32(*stop, 0xB8), 0u);
  EXPECT_EQ(Load64(*stop, 0x40), 0u);
  EXPECT_EQ(Load64(*stop, 0x48), 0xFFFFDEAD00001000u);
  ASSERT_TRUE(kd_->Continue(kNotHandled));
  ASSERT_TRUE(kd_->WaitForStop());
  EXPECT_TRUE(HasPrint("*** Fatal System Error: 0x0000007e"));
}

TEST_P(TargetDialogue, HandledFaultIsNotReported) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t counter = kd_->FindExport("g_FaultsHandled");
  ASSERT_NO_FATAL_FAILURE(RunCommand(kFaultHandled));
  EXPECT_TRUE(kd_->Silent(milliseconds(200)));
  ASSERT_TRUE(kd_->BreakIn());
  EXPECT_EQ(kd_->ReadPointer(counter), 1u);
}

TEST_P(TargetDialogue, AssertionAndDivideErrorHaveTheirCodes) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kAssert));
  auto assertion = kd_->WaitForStop();
  ASSERT_TRUE(assertion);
  EXPECT_EQ(Code(*assertion), 0xC0000420u);
  EXPECT_EQ(Load32(*assertion, 0xB8), 1u);
  ASSERT_NO_FATAL_FAILURE(PostCommand(kDivide, 0));
  ASSERT_TRUE(kd_->Continue());
  auto divide = kd_->WaitForStop();
  ASSERT_TRUE(divide);
  EXPECT_EQ(Code(*divide), 0xC0000094u);
}

TEST_P(TargetDialogue, RestartVoidsAllSymbolsFirst) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_NO_FATAL_FAILURE(RunCommand(kRestart));
  auto gone = kd_->WaitForStop();
  ASSERT_TRUE(gone);
  EXPECT_EQ(Load32(*gone, 0), 0x3031u);
  EXPECT_EQ(Load32(*gone, 0x20), 0u);
  EXPECT_EQ(Load64(*gone, 0x28), ~0ull);
  EXPECT_EQ(Load64(*gone, 0x30), 0u);
  EXPECT_EQ((*gone)[0x40], 1);
  ASSERT_TRUE(kd_->Continue(kContinue));
  auto restart = kd_->Receive();
  ASSERT_TRUE(restart && restart->is_data(kStateChange));
  EXPECT_EQ(restart->id, kFirstId | kSyncBit);
}

}  // namespace
}  // namespace longwire::test

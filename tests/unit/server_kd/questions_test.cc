#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

std::string Text(const kd::Bytes& bytes, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < bytes.size(); ++i) text.push_back(static_cast<char>(bytes[i]));
  return text;
}

TEST(Questions, PrintsBecomeOutputWhileRunning) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Print("hello\n");
  sim.Run();
  const auto output = sim.Events<rpc::Output>();
  ASSERT_EQ(output.size(), 1u);
  EXPECT_EQ(output[0].text, "hello\n");
}

TEST(Questions, PromptIsAnsweredByTheDriver) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Prompt("go? ", 8);
  sim.Run();
  ASSERT_EQ(sim.Events<rpc::PromptRequested>().size(), 1u);
  EXPECT_EQ(sim.Events<rpc::PromptRequested>()[0].maximum_answer, 8u);
  EXPECT_NE(sim.Ask(rpc::AnswerPrompt{"yes"}).as<rpc::Done>(), nullptr);
  ASSERT_EQ(sim.stub.answers.size(), 1u);
  EXPECT_EQ(Text(sim.stub.answers[0].second, 16), "yes");
  EXPECT_NE(sim.Ask(rpc::AnswerPrompt{"again"}).error(), nullptr);
}

TEST(Questions, H28PromptIsAnsweredEmptyAfterThirtySecondsWithoutDriver) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.target.SetDriver(sim.now, 2, false);
  sim.stub.Prompt("go? ", 8);
  sim.Run(std::chrono::milliseconds(29'500));
  EXPECT_TRUE(sim.stub.answers.empty());
  sim.Run(std::chrono::seconds(2));
  ASSERT_EQ(sim.stub.answers.size(), 1u);
  EXPECT_EQ(sim.stub.answers[0].second.size(), 16u);
  sim.Run(std::chrono::seconds(60));
  EXPECT_EQ(sim.stub.answers.size(), 1u) << "once";
}

TEST(Questions, FileIsNotFoundWithoutDriverAndAfterFiveSeconds) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.CreateFile("\\a.sys");
  sim.Run(std::chrono::seconds(1));
  ASSERT_EQ(sim.Events<rpc::FileRequested>().size(), 1u);
  EXPECT_EQ(sim.Events<rpc::FileRequested>()[0].name, "\\a.sys");
  EXPECT_TRUE(sim.stub.answers.empty());
  sim.Run(std::chrono::seconds(5));
  ASSERT_EQ(sim.stub.answers.size(), 1u);
  EXPECT_EQ(kd::Load32(sim.stub.answers[0].second, 4), 0xC000000Fu);
  sim.target.SetDriver(sim.now, 2, false);
  sim.stub.CreateFile("\\b.sys");
  sim.Run();
  ASSERT_EQ(sim.stub.answers.size(), 2u);
  EXPECT_EQ(kd::Load32(sim.stub.answers[1].second, 4), 0xC000000Fu);
}

TEST(Questions, FileIsServedByTheDriver) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.CreateFile("\\a.sys");
  sim.Run();
  rpc::AnswerFile answer;
  answer.request = sim.Events<rpc::FileRequested>().at(0).request;
  answer.handle = 5;
  answer.length = 10000;
  EXPECT_NE(sim.Ask(answer).as<rpc::Done>(), nullptr);
  ASSERT_EQ(sim.stub.answers.size(), 1u);
  EXPECT_EQ(kd::Load32(sim.stub.answers[0].second, 4), 0u);
  EXPECT_EQ(kd::Load64(sim.stub.answers[0].second, 0x20), 5u);
  EXPECT_EQ(kd::Load64(sim.stub.answers[0].second, 0x28), 10000u);
}

}  // namespace
}  // namespace longwire::test

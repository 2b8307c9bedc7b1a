#include "client/console/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "tests/support/fake_target.h"

namespace longwire {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kLoss[] = "the connection is lost";

/// A console without a terminal on a halted fake target.
class ConsoleTest : public testing::Test {
 protected:
  void SetUp() override {
    rpc::StopEvent stop;
    stop.stop_counter = 1;
    stop.exception.code = 0x80000003;
    stop.context.assign(0x4D0, std::byte{0});
    target_.Halt(stop);
    for (auto add : {AddRunCommands, AddRegisterCommands, AddConsoleCommands}) add(table_);
  }

  /// Both outputs, of a session with that input.
  std::string Run(const std::string& input, bool json = false) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(write(ends[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
    close(ends[1]);
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const file = open_memstream(&text, &size);
    {
      ConsoleOutput output(file, file, json);
      Session session(target_, interrupt_, {}, [&](std::string_view note) { output.Note(note); });
      LineInput lines(ends[0], interrupt_);
      exit_code_ = Console(session, table_, output, lines, {}).Run();
    }
    std::fclose(file);
    close(ends[0]);
    std::string all(text, size);
    std::free(text);
    return all;
  }
  static int Count(const std::string& text, const std::string& part) {
    int count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  FakeTarget target_;
  Interrupt interrupt_;
  CommandTable table_;
  int exit_code_ = -1;
};

TEST_F(ConsoleTest, ALossThatEndsAGoIsSaidOnce) {
  target_.LoseAfterResume({Errc::kUnreachable, kLoss});
  const std::string text = Run("g; t; .echo behind it\np\n");
  EXPECT_EQ(Count(text, kLoss), 1) << text;
  EXPECT_THAT(text, HasSubstr("\nbehind it\n"));
  EXPECT_THAT(text, Not(HasSubstr("error in 't'")));
  EXPECT_THAT(text, HasSubstr("No runnable debuggees error in 'p'")) << "this was typed after the loss";
  EXPECT_EQ(exit_code_, 4);
}

TEST_F(ConsoleTest, ALossBeforeAGoIsSaidOnce) {
  target_.Lose({Errc::kUnreachable, kLoss}, 1);  // while the line is typed
  const std::string text = Run("g\nt\n");
  EXPECT_EQ(Count(text, kLoss), 1) << text;
  EXPECT_THAT(text, Not(HasSubstr("error in 'g'")));
  EXPECT_THAT(text, HasSubstr("No runnable debuggees error in 't'"));
  EXPECT_EQ(exit_code_, 4);
}

TEST_F(ConsoleTest, ALossThatAGoMeetsIsSaidOnce) {
  target_.LoseAtResume({Errc::kUnreachable, kLoss});
  const std::string text = Run("g\n");
  EXPECT_EQ(Count(text, kLoss), 1) << text;
  EXPECT_THAT(text, Not(HasSubstr("No runnable debuggees")));
  EXPECT_EQ(exit_code_, 4);
}

TEST_F(ConsoleTest, JsonHasTheErrorOfEachCommand) {
  target_.LoseAtResume({Errc::kUnreachable, kLoss});
  const std::string text = Run("g; t\n", true);
  EXPECT_THAT(text,
              HasSubstr("{\"command\":\"g\",\"rows\":[],\"text\":\"\",\"error\":\"the connection is lost\""));
  EXPECT_THAT(text, HasSubstr("No runnable debuggees error in 't'"));
}

}  // namespace
}  // namespace longwire

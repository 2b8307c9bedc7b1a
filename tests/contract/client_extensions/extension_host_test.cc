#include "client/extensions/extension_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/commands/command.h"
#include "tests/support/fake_target.h"
#include "tests/support/temporary_directory.h"

namespace longwire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kPointer = 0xFFFFF80000001000;

class ExtensionCommands : public testing::Test {
 protected:
  void SetUp() override {
    setenv("LW_EXTENSION_TRACE", TracePath().c_str(), 1);
    unsetenv("_NT_DEBUGGER_EXTENSION_PATH");
    rpc::StopEvent stop;
    stop.stop_counter = 1;
    stop.context.assign(0x4D0, std::byte{0});
    target_.Halt(stop);
    target_.Put(kPointer, 0x1234, 8);
    session_ = std::make_unique<Session>(target_, interrupt_, SessionOptions{}, [](std::string_view) {});
    host_ = std::make_shared<ExtensionHost>(*session_);
    session_->set_extensions(host_);
    AddExtensionCommands(table_);
    Run(".extpath " LW_EXTENSIONS);
  }
  void TearDown() override { unsetenv("LW_EXTENSION_TRACE"); }

  std::string TracePath() const { return directory_.path() + "/trace"; }
  std::string Trace() const {
    std::ifstream file(TracePath());
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string Run(std::string_view line) {
    Report report({});
    std::string pending;
    EXPECT_TRUE(table_.Execute(*session_, line, report, pending));
    error_ = report.error();
    return report.text();
  }
  std::vector<std::string> Chain() const {
    std::vector<std::string> names;
    for (const auto& extension : host_->chain()) names.push_back(extension->name());
    return names;
  }

  TemporaryDirectory directory_;
  FakeTarget target_;
  Interrupt interrupt_;
  std::unique_ptr<Session> session_;
  std::shared_ptr<ExtensionHost> host_;
  CommandTable table_;
  std::string error_;
};

TEST_F(ExtensionCommands, TheSampleBuiltFromTwoHeadersReadsTheTarget) {
  Run(".load " LW_EXTENSIONS "/sample.so");
  EXPECT_EQ(error_, "");
  EXPECT_THAT(Run("!hello fffff80000001000"), HasSubstr("holds 0000000000001234"));
  EXPECT_THAT(Run(".chain"), HasSubstr("sample: image 1.0, API 1"));
  Run("!hello 10");
  EXPECT_THAT(error_, HasSubstr("Unable to read memory at 00000000`00000010"));
}

TEST_F(ExtensionCommands, LoadAndUnloadFunctionsRunOnce) {
  Run(".load right; .load right; !speak loud");
  EXPECT_EQ(error_.find("speak"), std::string::npos);
  EXPECT_EQ(Trace(), "load ");
  Run(".unload right");
  EXPECT_EQ(Trace(), "load unload ");
  Run("!speak again");
  EXPECT_EQ(error_, "No export speak found\n");
}

TEST_F(ExtensionCommands, TheNewestAnswersFirstAndSetdllMovesOneToTheFront) {
  Run(".load right; .load sample");
  EXPECT_THAT(Chain(), ElementsAre("sample", "right"));
  Run(".setdll right");
  EXPECT_THAT(Chain(), ElementsAre("right", "sample"));
  Run(".setdll nobody");
  EXPECT_THAT(error_, HasSubstr("'nobody' is not loaded"));
  Run(".unload");
  EXPECT_THAT(Chain(), ElementsAre("sample"));
  Run(".unloadall; .unload");
  EXPECT_THAT(Chain(), ElementsAre());
  EXPECT_THAT(error_, HasSubstr("No extensions are loaded"));
}

TEST_F(ExtensionCommands, AModuleNameLoadsItAndNamesItsCommands) {
  EXPECT_EQ(Run("!right.speak up"), "variant: up\n");
  Run("!right.Speak");
  EXPECT_EQ(error_, "No export Speak found\n") << "commands are case-sensitive";
  EXPECT_EQ(Run("!" LW_EXTENSIONS "/right.speak path"), "variant: path\n");
}

TEST_F(ExtensionCommands, AFailureIsReportedInTheExtensionsWords) {
  Run("!right.fail");
  EXPECT_EQ(error_, "it went wrong\n");
}

TEST_F(ExtensionCommands, AnExceptionIsAnErrorOfTheCommand) {
  Run("!throws.speak");
  EXPECT_THAT(error_, HasSubstr("threw an exception in !speak: on purpose"));
  EXPECT_EQ(Run("!right.speak still here"), "variant: still here\n");
}

TEST_F(ExtensionCommands, WhatIsNoExtensionIsRefusedWithItsReason) {
  const std::string text = directory_.path() + "/text.so";
  std::ofstream(text) << "not a shared object";
  Run(".load " + text);
  EXPECT_THAT(error_, HasSubstr("Cannot load extension 'text': "));
  Run(".load newer");
  EXPECT_THAT(error_, HasSubstr("built for version 2 of the interface"));
  Run(".load damaged");
  EXPECT_THAT(error_, HasSubstr("table of commands is damaged"));
  Run(".load nameless");
  EXPECT_THAT(error_, HasSubstr("table of commands is damaged"));
  Run(".load missing");
  EXPECT_THAT(error_, HasSubstr("no missing.so in " LW_EXTENSIONS));
  EXPECT_THAT(Chain(), ElementsAre());
  EXPECT_EQ(Trace(), "") << "nothing of a refused extension runs";
}

TEST_F(ExtensionCommands, ARefusingLoadFunctionLeavesNothingBehind) {
  Run(".load refuses");
  EXPECT_THAT(error_, HasSubstr("its load function refused"));
  EXPECT_EQ(Trace(), "load ") << "what was never loaded is not unloaded";
  EXPECT_THAT(Chain(), ElementsAre());
}

}  // namespace
}  // namespace longwire

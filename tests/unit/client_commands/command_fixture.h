#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/commands/command.h"
#include "client/engine/breakpoints.h"
#include "client/engine/run_control.h"
#include "tests/support/fake_target.h"

namespace longwire {

inline constexpr std::uint64_t kListHead = 0xFFFFF80000001000;
inline constexpr std::uint64_t kKernel = 0xFFFFF80010000000, kDriver = 0xFFFFF80020000000,
                               kLate = 0xFFFFF80030000000;

/// Commands on a fake target that is halted and has two modules, nt and mydrv.
class CommandTest : public testing::Test {
 protected:
  void SetUp() override {
    rpc::TargetDescription description = *target_.description();
    description.kernel_base = kKernel;
    description.loaded_module_list = kListHead;
    target_.SetDescription(description);
    rpc::StopEvent stop;
    stop.stop_counter = 1;
    stop.processors = 2;
    stop.context.assign(0x4D0, std::byte{0});
    target_.Halt(stop);
    AddEntry(kListHead + 0x100, kKernel, 0x46000, "ntoskrnl.exe", kListHead + 0x200);
    AddEntry(kListHead + 0x200, kDriver, 0x5000, "mydrv.sys", kListHead);
    target_.Put(kListHead, kListHead + 0x100, 8);
    session_ = std::make_unique<Session>(target_, interrupt_, SessionOptions{},
                                         [this](std::string_view text) { notes_ += text; });
    for (auto add : {AddMemoryCommands, AddRegisterCommands, AddModuleCommands, AddSymbolPathCommands,
                     AddRunCommands, AddBreakpointCommands, AddTargetCommands, AddMachineCommands,
                     AddLinkCommands, AddLogCommands, AddConsoleCommands})
      add(table_);
  }

  void AddEntry(std::uint64_t entry, std::uint64_t base, std::uint32_t size, const std::string& name,
                std::uint64_t next) {
    target_.Put(entry, next, 8);
    target_.Put(entry + 0x30, base, 8);
    target_.Put(entry + 0x40, size, 4);
    target_.PutUnicode(entry + 0x48, entry + 0x800, "\\drivers\\" + name);
    target_.PutUnicode(entry + 0x58, entry + 0x900, name);
  }

  std::string Run(std::string_view line) {
    Report report({});
    Result<CommandFlow> flow = table_.Execute(*session_, line, report, pending_);
    flow_ = flow ? *flow : CommandFlow::kPrompt;
    error_ = report.error();
    rows_ = report.rows();
    return report.text();
  }

  static rpc::StopEvent ModuleStop(std::uint64_t counter, std::uint64_t base, bool unload) {
    rpc::StopEvent stop;
    stop.reason = rpc::StopEvent::Reason::kModule;
    stop.stop_counter = stop.module_counter = counter;
    stop.module = rpc::ModuleChange{unload, "\\drivers\\some.sys", base, 0, 0, 0x4000, false};
    stop.context.assign(0x4D0, std::byte{0});
    return stop;
  }
  void Halt(std::uint64_t counter, std::vector<std::byte> context = std::vector<std::byte>(0x4D0),
            std::uint64_t at = 0) {
    rpc::StopEvent stop;
    stop.stop_counter = counter;
    stop.processors = 2;
    stop.program_counter = at;
    target_.SetContext(0, context);
    stop.context = std::move(context);
    target_.Halt(stop);
    session_->OnEvent(stop);
  }
  /// Takes the queued stops that do not end in a prompt.
  void PassStops() {
    Report report({});
    auto stop = WaitForPrompt(*session_, {}, std::chrono::steady_clock::now(), report);
    ASSERT_TRUE(stop);
    EXPECT_FALSE(*stop);
  }

  FakeTarget target_;
  Interrupt interrupt_;
  std::unique_ptr<Session> session_;
  CommandTable table_;
  std::string notes_, pending_, error_;
  std::vector<Report::RowData> rows_;
  CommandFlow flow_ = CommandFlow::kPrompt;
};

}  // namespace longwire

#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "client/target/target.h"

namespace longwire {

/// A halted or running target made of pages in memory, for tests of what works on a Target. Keeps nothing of
/// what was read: every call counts as one request and one round trip.
class FakeTarget final : public Target {
 public:
  FakeTarget();

  // ---- script ----
  void Map(std::uint64_t address, std::span<const std::byte> bytes);  ///< makes the pages around it readable
  void Put(std::uint64_t address, std::uint64_t value, unsigned size);
  void PutUnicode(std::uint64_t address, std::uint64_t buffer, const std::string& ascii,
                  unsigned pointer_size = 8);
  void SetDescription(rpc::TargetDescription description) { description_ = std::move(description); }
  void Halt(rpc::StopEvent stop);  ///< halted from the start
  void Run() { LeaveStop(); }
  void QueueEvent(rpc::Event event) { events_.push_back(std::move(event)); }
  void SetContext(std::uint32_t processor, std::vector<std::byte> context) {
    contexts_[processor] = std::move(context);
  }
  /// The next status of the link.
  void SetLinkStatus(rpc::LinkStatus status) { link_status_ = std::move(status); }
  /// Once the queue is empty, and was found so as often.
  void Lose(Error error, int waits = 0) {
    lost_ = std::move(error);
    waits_before_loss_ = waits;
  }
  /// What was set and asked for is forgotten.
  void Renew() {
    breakpoints_.clear();
    ++renewals_;
  }
  void LoseAtResume(Error error) { lost_at_resume_ = std::move(error); }  ///< which fails with it
  void LoseAfterResume(Error error) { lost_after_resume_ = std::move(error); }

  // ---- what happened ----
  const std::vector<std::string>& calls() const { return calls_; }  ///< "Resume step", "BreakIn", ...
  const std::map<std::uint64_t, rpc::SetBreakpoint>& breakpoints() const { return breakpoints_; }
  const std::vector<ResumeOptions>& resumes() const { return resumes_; }
  struct FileAnswer {
    rpc::AnswerFile answer;
    std::vector<std::byte> data;
  };
  const std::vector<FileAnswer>& file_answers() const { return file_answers_; }
  std::optional<bool> closed_resuming() const { return closed_; }

  // ---- Target ----
  rpc::TargetState state() const override { return state_; }
  const std::optional<rpc::TargetDescription>& description() const override { return description_; }
  const std::optional<rpc::StopEvent>& stop() const override { return stop_; }
  std::string SessionName() const override { return "fake"; }
  TargetCounters counters() const override { return counters_; }
  Result<std::size_t> Read(AddressSpace space, std::uint64_t address, std::span<std::byte> out) override;
  Result<std::size_t> ReadUncached(AddressSpace space, std::uint64_t address,
                                   std::span<std::byte> out) override;
  Result<std::size_t> Write(AddressSpace space, std::uint64_t address,
                            std::span<const std::byte> data) override;
  /// Only what a plan emitted is remembered; plain reads are counted each time.
  bool Knows(AddressSpace, std::uint64_t address, std::uint64_t size) const override;
  void Prefetch(AddressSpace, std::span<const rpc::ReadRange>) override {}
  MemoryCacheStatus memory_cache() const override { return cache_; }
  void LimitMemoryCache(std::uint64_t bytes) override { cache_.limit_bytes = bytes; }
  void ForgetMemory() override { (void)Note("ForgetMemory"); }
  Result<plan::Output> Run(const plan::Plan& plan) override;
  Result<std::vector<std::byte>> ReadContext(std::uint32_t processor) override;
  Result<void> WriteContext(std::uint32_t processor, std::span<const std::byte> context) override;
  Result<std::vector<std::byte>> ReadControlSpace(std::uint32_t, std::uint64_t, std::uint32_t size) override;
  Result<std::uint64_t> ReadMsr(std::uint32_t processor, std::uint32_t number) override;
  Result<void> WriteMsr(std::uint32_t processor, std::uint32_t number, std::uint64_t value) override;
  Result<std::uint64_t> SetBreakpoint(const rpc::SetBreakpoint& breakpoint) override;
  Result<void> ClearBreakpoint(std::uint64_t id) override;
  Result<void> Resume(const ResumeOptions& options) override;
  unsigned renewals() const override { return renewals_; }
  void BreakIn() override { calls_.push_back("BreakIn"); }
  Result<std::optional<rpc::Event>> WaitEvent(std::chrono::steady_clock::time_point deadline) override;
  Result<void> SwitchProcessor(std::uint32_t) override { return Note("SwitchProcessor"); }
  Result<void> AnswerPrompt(std::string text) override { return Note("AnswerPrompt " + text); }
  Result<void> AnswerFile(const rpc::AnswerFile& answer, std::span<const std::byte> data) override;
  Result<void> Configure(const rpc::Configure& options) override;
  Result<void> Reboot() override { return Note("Reboot"); }
  Result<void> Crash() override { return Note("Crash"); }
  Result<void> Resynchronize() override { return Note("Resynchronize"); }
  Result<rpc::LinkStatus> LinkStatus() override { return link_status_; }
  Result<void> EndServer(bool force) override { return Note(force ? "EndServer /f" : "EndServer"); }
  Result<void> Close(bool resume) override;

 private:
  Result<void> Note(std::string call);
  void LeaveStop();
  std::size_t ReadPages(std::uint64_t address, std::span<std::byte> out) const;

  rpc::TargetState state_ = rpc::TargetState::kRunning;
  std::optional<rpc::TargetDescription> description_;
  std::optional<rpc::StopEvent> stop_;
  std::map<std::uint64_t, std::vector<std::byte>> pages_;
  std::vector<rpc::ReadRange> emitted_;  ///< by plans, during this stop
  std::map<std::uint32_t, std::vector<std::byte>> contexts_;
  std::deque<rpc::Event> events_;
  std::map<std::uint64_t, rpc::SetBreakpoint> breakpoints_;
  std::vector<ResumeOptions> resumes_;
  std::vector<std::string> calls_;
  std::optional<Error> lost_, lost_at_resume_, lost_after_resume_;
  int waits_before_loss_ = 0;
  unsigned renewals_ = 0;
  std::optional<bool> closed_;
  std::uint64_t next_breakpoint_ = 100;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> msrs_;  ///< by processor and number
  std::vector<FileAnswer> file_answers_;
  MemoryCacheStatus cache_;
  rpc::LinkStatus link_status_;
  TargetCounters counters_;
};

}  // namespace longwire

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/target/rpc_client.h"
#include "client/target/stop_memory.h"
#include "client/target/target.h"

namespace longwire {

/// A kernel behind a KD service. Keeps the service's view of the target (state, description, stop) as of the
/// last event taken from WaitEvent(), and the memory of one stop. While events wait that tell of another
/// state, the memory kept is not used: a late answer of the server beats an early one of ours.
class RemoteTarget final : public Target {
 public:
  /// `name`: what SessionName() returns.
  RemoteTarget(std::unique_ptr<RpcClient> client, std::string name);
  ~RemoteTarget() override;

  Result<void> Open(const rpc::OpenLink& link);

  rpc::TargetState state() const override { return state_; }
  const std::optional<rpc::TargetDescription>& description() const override { return description_; }
  const std::optional<rpc::StopEvent>& stop() const override { return stop_; }
  std::string SessionName() const override { return name_; }
  TargetCounters counters() const override { return client_->counters(); }

  Result<std::size_t> Read(AddressSpace space, std::uint64_t address, std::span<std::byte> out) override;
  bool Knows(AddressSpace space, std::uint64_t address, std::uint64_t size) const override;
  Result<std::size_t> ReadUncached(AddressSpace space, std::uint64_t address,
                                   std::span<std::byte> out) override;
  Result<std::size_t> Write(AddressSpace space, std::uint64_t address,
                            std::span<const std::byte> data) override;
  void Prefetch(AddressSpace space, std::span<const rpc::ReadRange> ranges) override;
  MemoryCacheStatus memory_cache() const override;
  void LimitMemoryCache(std::uint64_t bytes) override;
  void ForgetMemory() override;
  Result<plan::Output> Run(const plan::Plan& plan) override;

  Result<std::vector<std::byte>> ReadContext(std::uint32_t processor) override;
  Result<void> WriteContext(std::uint32_t processor, std::span<const std::byte> context) override;
  Result<std::vector<std::byte>> ReadControlSpace(std::uint32_t processor, std::uint64_t selector,
                                                  std::uint32_t size) override;
  Result<std::uint64_t> ReadMsr(std::uint32_t processor, std::uint32_t number) override;
  Result<void> WriteMsr(std::uint32_t processor, std::uint32_t number, std::uint64_t value) override;

  Result<std::uint64_t> SetBreakpoint(const rpc::SetBreakpoint& breakpoint) override;
  Result<void> ClearBreakpoint(std::uint64_t id) override;
  Result<void> Resume(const ResumeOptions& options) override;
  void BreakIn() override;
  Result<std::optional<rpc::Event>> WaitEvent(std::chrono::steady_clock::time_point deadline) override;
  Result<void> SwitchProcessor(std::uint32_t processor) override;
  Result<void> AnswerPrompt(std::string text) override;
  Result<void> AnswerFile(const rpc::AnswerFile& answer, std::span<const std::byte> data) override;
  Result<void> Configure(const rpc::Configure& options) override;
  Result<void> Reboot() override;
  Result<void> Crash() override;
  Result<void> Resynchronize() override;
  Result<rpc::LinkStatus> LinkStatus() override;
  Result<void> EndServer(bool force) override;
  Result<void> Close(bool resume) override;

 private:
  struct PendingRead {
    std::uint64_t call = 0;
    AddressSpace space;
    std::vector<rpc::ReadRange> ranges;
  };

  bool CacheUsable() const;
  bool Remembers(AddressSpace space) const;
  void Apply(const rpc::Event& event);
  void EnterStop(const rpc::StopEvent& stop);
  void LeaveStop(rpc::TargetState state);
  void DropMemory();
  Result<void> Fetch(AddressSpace space, const std::vector<rpc::ReadRange>& ranges);
  PendingRead SendRead(AddressSpace space, std::vector<rpc::ReadRange> ranges);
  Result<void> TakeRead(const PendingRead& read);
  void HarvestPrefetches(AddressSpace space, const std::vector<rpc::ReadRange>& wanted);
  template <class Kind>
  Result<Kind> Ask(rpc::Request request, std::vector<std::byte> bulk, std::vector<std::byte>* answer_bulk,
                   std::chrono::milliseconds limit = RpcClient::kCallLimit);
  Result<void> Do(rpc::Request request, std::vector<std::byte> bulk = {});

  std::unique_ptr<RpcClient> client_;
  std::string name_;
  rpc::TargetState state_ = rpc::TargetState::kOffline;
  std::optional<rpc::TargetDescription> description_;
  std::optional<rpc::StopEvent> stop_;
  std::optional<Error> link_closed_;  ///< nothing more will come
  std::uint64_t driver_epoch_ = 0;
  std::uint64_t events_applied_ = 0;  ///< of RpcClient::state_events()
  bool closed_ = false;

  StopMemory memory_;
  bool forgotten_ = false;  ///< ForgetMemory() at this stop: the server's memory is not asked either
  MemoryCacheStatus cache_counters_;
  std::vector<PendingRead> prefetches_;
  std::map<std::uint32_t, std::vector<std::byte>> contexts_;
};

}  // namespace longwire

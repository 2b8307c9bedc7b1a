#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/target/event_queue.h"
#include "client/target/rpc_client.h"
#include "client/target/stop_memory.h"
#include "client/target/target.h"

namespace longwire {

/// A kernel behind a KD service. When a lost connection comes back and the service has forgotten things, the
/// link is opened again and the state read anew inside WaitEvent(). Keeps the service's view of the target
/// (state, description, stop) as of the last event taken from WaitEvent(), and the memory of one stop. While
/// events wait that tell of another state, the memory kept is not used: a late answer of the server beats an
/// early one of ours.
class RemoteTarget final : public Target {
 public:
  /// `name`: what SessionName() returns. `comeback`: how long and how often a client that only watches tries
  /// to join the link of a server that forgot it, while the driver is not back.
  RemoteTarget(std::unique_ptr<RpcClient> client, std::string name, ReconnectTiming comeback = {});
  ~RemoteTarget() override;

  using QueueNotice = std::function<void(const rpc::LinkQueued&)>;
  /// Opens the link in the role of the client's Hello, waiting in line if `link` says so; `queued` hears of
  /// the place there. kCancelled leaves the line. The link's name and options are kept for opening it again.
  Result<void> Open(const rpc::OpenLink& link, const QueueNotice& queued = {});

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
  bool driving() const override { return driving_; }
  Result<rpc::ClientList> Clients() override;
  Result<void> TakeDriver() override;
  Result<void> HandOver(std::uint64_t client) override;
  std::chrono::milliseconds outage() const override { return client_->outage(); }
  unsigned renewals() const override { return renewals_; }
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

  struct Told {
    rpc::Event event;
    bool counted = true;                     ///< among RpcClient::state_events()
    std::optional<rpc::LinkOpened> present;  ///< instead of the event: the state as it was then
    bool renewed = false;                    ///< that state: of a new session
  };

  /// A link that is not there yet to be joined again.
  struct Comeback {
    Reconnection attempts;
    Reconnection::Time next;
  };

  Result<rpc::LinkOpened> AwaitOpening(const QueueNotice& queued);
  void TakeOpened(rpc::LinkOpened& opened);
  void TakeRole(bool drives, std::uint64_t epoch);
  bool Uproots(bool drives, std::uint64_t epoch) const;
  bool RefreshDue() const;
  Result<void> Refresh();
  bool TriesAgain(const Error& refused);
  Error EndSession(Error why);
  void KeepEvents();
  void TellPresentState(rpc::LinkOpened opened, bool renewed);
  /// Why this client may not ask for that.
  std::optional<Error> Refusal(const rpc::Request& request) const;
  static Error BadAnswer();
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
  rpc::OpenLink link_;  ///< how it was opened
  bool driving_ = true;
  std::string driver_;                ///< who drives, empty: nobody that is known
  std::optional<Error> link_closed_;  ///< nothing more will come
  std::deque<Told> told_;             ///< events before those of the client
  bool refresh_due_ = false, session_forgotten_ = false;
  const ReconnectTiming comeback_timing_;
  std::optional<Comeback> comeback_;
  unsigned renewals_ = 0;
  std::uint64_t driver_epoch_ = 0;
  std::uint64_t driven_epoch_ = 0;    ///< the newest in which this client drove, and set its breakpoints
  std::uint64_t events_applied_ = 0;  ///< of RpcClient::state_events()
  bool closed_ = false;

  StopMemory memory_;
  bool forgotten_ = false;  ///< ForgetMemory() at this stop: the server's memory is not asked either
  MemoryCacheStatus cache_counters_;
  std::vector<PendingRead> prefetches_;
  std::map<std::uint32_t, std::vector<std::byte>> contexts_;
};

template <class Kind>
Result<Kind> RemoteTarget::Ask(rpc::Request request, std::vector<std::byte> bulk,
                               std::vector<std::byte>* answer_bulk, std::chrono::milliseconds limit) {
  if (std::optional<Error> refusal = Refusal(request)) return std::move(*refusal);
  Result<Reply> reply = client_->Call(std::move(request), std::move(bulk), limit);
  if (!reply) return reply.error();
  Kind* answer = std::get_if<Kind>(&reply->answer);
  if (!answer) return BadAnswer();
  if (answer_bulk) *answer_bulk = std::move(reply->bulk);
  return std::move(*answer);
}

}  // namespace longwire

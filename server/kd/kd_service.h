#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proto/diagnosis.h"
#include "server/kd/change_signal.h"
#include "server/kd/kd_session.h"
#include "server/kd/link_back_end.h"
#include "transport/kernel_string.h"

namespace longwire {

/// What `--status` shows of one link.
struct LinkReport {
  std::string link;
  std::string holder;  ///< user@host, empty while nobody drives
  std::chrono::system_clock::time_point since;
  rpc::LinkStatus status;
  std::vector<rpc::Client> clients;  ///< the holder, the observers and those who wait
};

struct KdServiceOptions {
  std::string software = "longwire 0.1.0";
  std::function<bool(const KernelLink&)> allows = [](const KernelLink&) { return true; };  ///< --links
  Environment environment = ProcessEnvironment();
  TargetOptions target;  ///< timers are chosen by the link
  /// What a link string stands for; tests put their own ports and targets here.
  std::function<Result<LinkBackEnd>(Executor, const KernelLink&)> make_back_end = MakeLinkBackEnd;
  ChannelLimits channel;
  Parting on_lost = Parting::kResume;       ///< the target of a client that vanished and did not come back
  std::chrono::milliseconds keep{120'000};  ///< a lost session is kept so long at most; 0: not at all
  /// A lost client has so long to come back before another one who asks gets its link.
  std::chrono::milliseconds kept_at_least{2'000};
  std::string state_directory;  ///< of the journals, see Restore(); empty: none are written
  std::size_t scroll_back = ScrollBack::kDefaultBytes;
  std::function<void(const std::string&)> log = [](const std::string&) {};
  std::function<void(const std::string&)> warn = [](const std::string&) {};  ///< what the owner should know
};

/// The KD connection service: the open kernel links of this process and the clients that use them. The same
/// code serves `kdsrv` over a Listener and `kd -k com:...` in its own process over a memory stream. Belongs
/// to one single-threaded executor and must outlive every Serve() call.
class KdService {
 public:
  KdService(Executor executor, KdServiceOptions options);
  ~KdService();

  /// With a connection; newcomers above it are refused in answer to their Hello, those who come back are not.
  static constexpr std::size_t kMaxSessions = 256;
  static constexpr std::size_t kMaxLost = 64;     ///< sessions without a connection
  static constexpr std::size_t kMaxWaiting = 32;  ///< clients in line for one link

  /// Takes back the links of a server that was killed, as its journals have them, and keeps journals from now
  /// on. `server`: where it listens, which tells it from others. Before the first Serve().
  void Restore(std::string server);
  /// Serves one peer until it is gone.
  Awaitable<void> Serve(std::unique_ptr<Stream> stream);

  /// Gives `peer` the bytes of a link's line themselves: another KD host speaks over it, until it leaves or
  /// the line ends. Meanwhile the link is in use by `raw@ADDRESS`. A link that is not free: `peer` is closed,
  /// and the log has the reason.
  Awaitable<void> PassThrough(std::string link, std::shared_ptr<Stream> peer);

  std::vector<LinkReport> Status() const;
  /// Takes a link from its driver, as if that client was lost. kNotFound: no such open link.
  Result<void> ReleaseLink(const std::string& link);
  /// The steps from the device to the target of a link that nobody uses; nobody may open it meanwhile.
  Awaitable<void> Examine(std::string link, std::shared_ptr<Diagnosis> diagnosis);
  /// Called once when a client ended the server (`.endpsrv`).
  void OnEndServer(std::function<void()> ended) { ended_ = std::move(ended); }
  /// Tells the clients, gives every target back running and without a breakpoint of ours; at most `limit`.
  Awaitable<void> Shutdown(std::chrono::milliseconds limit);
  void Log(const std::string& text) const { options_.log(text); }
  void Warn(const std::string& text) const { options_.warn(text); }

 private:
  friend class KdSession;

  using Done = std::function<void(const Result<void>&)>;
  struct Opening {
    std::shared_ptr<KdLink> link;
    bool drive = false;   ///< as the driver; else as an observer
    bool joined = false;  ///< the link has the client already
  };
  struct Greetings;
  using Lines = std::map<std::string, std::deque<std::uint64_t>>;
  struct LinePlace;
  /// A line that PassThrough() lent.
  struct Loan {
    std::string link, holder;
    std::chrono::system_clock::time_point since;
    std::shared_ptr<Stream> peer;
  };
  using Loans = std::map<std::string, Loan>;

  // Sessions (kd_service.cc).
  Result<std::shared_ptr<KdSession>> Admit(const rpc::Hello& hello, const PeerInfo& peer,
                                           rpc::Welcome& welcome);
  std::shared_ptr<KdSession> FindLost(const rpc::Hello& hello, const PeerInfo& peer, std::string& notice);
  bool IsFull() const;
  bool MayKeep() const;
  /// A kept session is over: its time has passed, or somebody else asked for its link.
  void EndLost(KdSession& session, const std::string& why);
  void Forget(KdSession& session);
  rpc::ClientList ListClients(const KdSession& asker) const;
  Result<void> Evict(const KdSession& asker, std::uint64_t client);
  Result<void> EndServer(const KdSession& asker, bool force);
  std::shared_ptr<KdSession> FindSession(std::uint64_t id) const;

  // Links (kd_service_links.cc).
  Awaitable<Result<Opening>> OpenLink(std::shared_ptr<KdSession> session, rpc::OpenLink request);
  Awaitable<Result<Opening>> OpenFresh(KernelLink parsed, std::string device, rpc::OpenLink request);
  Awaitable<Result<Opening>> Take(std::shared_ptr<KdLink> link, std::shared_ptr<KdSession> session);
  /// Without waiting: what `when_busy` makes of a link that is not free. nullopt: wait for it.
  std::optional<Result<Opening>> Judge(const std::string& device, const std::shared_ptr<KdLink>& link,
                                       rpc::WhenBusy when_busy);
  /// At its place in the line: until the link is free and the place the first.
  Awaitable<Result<void>> AwaitTurn(std::string device, std::shared_ptr<KdSession> session, bool patient);
  std::shared_ptr<KdLink> FindLink(const std::string& device);
  /// Why a link that is not open is not free.
  Error BeingOpened(const std::string& device) const;
  bool IsFree(const std::string& device, const std::shared_ptr<KdLink>& link) const;
  std::shared_ptr<KdLink> MakeLink(const KernelLink& parsed, const std::string& device, LinkBackEnd back_end,
                                   TargetOptions target, std::unique_ptr<LinkJournal> journal);
  TargetOptions OptionsFor(const std::string& name) const;
  bool IsSameLink(const KdLink& link, const std::string& text) const;
  /// The driver left; with nobody else there the link is closed when its target is in order.
  void ReleaseDriver(std::shared_ptr<KdLink> link, Parting parting, KdLink::Why why,
                     std::function<void()> done);
  void CloseIfUnused(std::shared_ptr<KdLink> link);
  void CloseLink(const std::shared_ptr<KdLink>& link);
  void TakeDriver(KdSession& session, bool force, Done done);
  void HandOver(KdSession& session, std::uint64_t client, Done done);
  std::size_t Waiting(const KdLink& link) const;
  bool Waits(const KdSession& session) const;
  void RestoreLink(LinkJournal::Found found);
  Awaitable<void> Settle(std::shared_ptr<KdLink> link, std::uint64_t holder);

  Executor executor_;
  KdServiceOptions options_;
  std::map<std::string, std::shared_ptr<KdLink>> links_;  ///< by device, so that two spellings meet
  std::set<std::string> left_halted_;                     ///< devices whose target was left stopped (`q`)
  /// Numbers of the clients that wait for a link, by device. Shared like `greetings_`.
  std::shared_ptr<Lines> lines_ = std::make_shared<Lines>();
  std::shared_ptr<Loans> loans_ = std::make_shared<Loans>();  ///< by device; each has a place in its line
  std::vector<std::shared_ptr<KdSession>> sessions_;          ///< after their Hello, oldest first
  std::deque<std::pair<std::vector<std::byte>, std::string>>
      ended_sessions_;  ///< tokens, what became of them
  /// Shared with coroutines that may be destroyed with the executor, after this object.
  std::shared_ptr<Greetings> greetings_;
  std::shared_ptr<int> farewells_ = std::make_shared<int>(0);  ///< goodbyes under way
  ChangeSignal changed_;  ///< rung whenever who holds or waits for what changed
  std::string server_;    ///< of Restore(); empty: no journals are kept
  std::uint64_t last_client_ = 0;
  std::function<void()> ended_;
  bool stopping_ = false;
};

}  // namespace longwire

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/kd/kd_session.h"
#include "server/kd/link_back_end.h"
#include "transport/kernel_string.h"

namespace longwire {

/// What `--status` shows of one link.
struct LinkReport {
  std::string link;
  std::string holder;  ///< user@host, empty while nobody drives
  std::chrono::system_clock::time_point since;
  std::size_t observers = 0;
  rpc::LinkStatus status;
};

struct KdServiceOptions {
  std::string software = "longwire 0.1.0";
  std::function<bool(const KernelLink&)> allows = [](const KernelLink&) { return true; };  ///< --links
  Environment environment = ProcessEnvironment();
  TargetOptions target;  ///< timers are chosen by the link
  /// What a link string stands for; tests put their own ports and targets here.
  std::function<Result<LinkBackEnd>(Executor, const KernelLink&)> make_back_end = MakeLinkBackEnd;
  ChannelLimits channel;
  bool resume_when_lost = true;  ///< a client that vanished: breakpoints out, and let the target run
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

  static constexpr std::size_t kMaxSessions = 256;
  static constexpr std::size_t kMaxGreeting = 64;  ///< without a Hello; at the limit the oldest is dropped

  /// Serves one peer until it is gone.
  Awaitable<void> Serve(std::unique_ptr<Stream> stream);

  std::vector<LinkReport> Status() const;
  /// Takes a link from its driver, as if that client was lost. kNotFound: no such open link.
  Result<void> ReleaseLink(const std::string& link);
  /// Called once when a client ended the server (`.endpsrv`).
  void OnEndServer(std::function<void()> ended) { ended_ = std::move(ended); }
  /// Tells the clients, gives every target back running and without a breakpoint of ours; at most `limit`.
  Awaitable<void> Shutdown(std::chrono::milliseconds limit);
  void Log(const std::string& text) const { options_.log(text); }
  void Warn(const std::string& text) const { options_.warn(text); }

 private:
  friend class KdSession;

  Awaitable<Result<std::shared_ptr<KdLink>>> OpenLink(rpc::OpenLink request, rpc::Role role);
  /// The driver left; the link is closed when its target is in order.
  void ReleaseDriver(std::shared_ptr<KdLink> link, bool resume, std::function<void()> done);
  Result<void> EndServer(const KdSession& asker, bool force);
  void DropOldestGreeting();

  Executor executor_;
  KdServiceOptions options_;
  std::map<std::string, std::shared_ptr<KdLink>> links_;  ///< by device, so that two spellings meet
  std::set<std::string> opening_;                         ///< devices being opened
  std::set<std::string> left_halted_;                     ///< devices whose target was left stopped (`q`)
  /// Oldest first. Shared with the sessions, whose coroutines may be destroyed with the executor, after this
  /// object.
  std::shared_ptr<std::vector<KdSession*>> sessions_ = std::make_shared<std::vector<KdSession*>>();
  std::function<void()> ended_;
  bool stopping_ = false;
};

}  // namespace longwire

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "proto/diagnosis.h"
#include "server/kd/answer_record.h"
#include "server/kd/event_record.h"
#include "server/kd/kd_link.h"
#include "transport/rpc_channel.h"

namespace longwire {

class KdService;

/// One client of the KD service, from its Hello to its end. Break-in and cancel act at once, other requests
/// run in order; at most kMaxInFlight of them, and kMaxInFlightBytes, wait. Debug output is dropped, with a
/// mark, when the client does not keep up; a client that cannot take anything else is disconnected.
///
/// A session with a token outlives its connection: it keeps its link, the work under way, the answers and the
/// events for Serve() on the next connection, until its time has passed.
class KdSession : public std::enable_shared_from_this<KdSession>, private KdLink::Subscriber {
 public:
  static constexpr std::size_t kMaxInFlight = 1024;
  static constexpr std::size_t kMaxInFlightBytes = 64u << 20;

  struct Identity {
    std::uint64_t id = 0;
    std::string name;  ///< user@host
    rpc::Role role = rpc::Role::kDriver;
    std::optional<std::uint32_t> user_id;  ///< of a local peer; only the same user may resume the session
    std::vector<std::byte> token;          ///< empty: the session ends with its connection
    std::uint64_t keep_ms = 0;
    bool knows_roles = false;    ///< capability "roles"
    bool knows_history = false;  ///< capability "scroll-back"
  };

  KdSession(Executor executor, KdService& service, Identity identity);
  ~KdSession() override;

  /// Serves the client over `channel`, in place of a connection it had before, until that ends. `seen`:
  /// number of the newest event the client knows; what it missed is told first.
  Awaitable<void> Serve(std::shared_ptr<RpcChannel> channel, std::uint64_t seen);
  /// Number of the first event that Serve(channel, seen) tells.
  std::uint64_t NextEvent(std::uint64_t seen);
  /// Says goodbye to the client and ends the session. The connection is closed soon, whatever the client
  /// does.
  void Stop(const Error& why, KdLink::Why reason);
  /// Ends the session; its link is left as `parting` says. Idempotent.
  void End(Parting parting, KdLink::Why reason);
  /// The service is gone: nothing is touched any more.
  void Abandon();

  /// The service made the client one of `link`, ahead of the answer to its OpenLink.
  void Enter(std::shared_ptr<KdLink> link) { link_ = std::move(link); }
  /// Restarted server: takes `link` as a driver who is lost.
  void Inherit(std::shared_ptr<KdLink> link);
  KdLink::Member AsMember();

  const Identity& identity() const { return identity_; }
  const std::string& name() const { return identity_.name; }
  const std::shared_ptr<KdLink>& link() const { return link_; }
  bool connected() const { return channel_ != nullptr; }
  bool over() const { return over_; }
  bool inherited() const { return inherited_; }
  bool Drives() const {
    const KdLink::Subscriber* const self = this;
    return link_ && link_->driver() && link_->driver()->subscriber == self;
  }
  /// For listings; `asker` is told apart.
  rpc::Client Describe(const KdSession* asker) const;
  /// An event of the service for this client alone.
  void Tell(const rpc::Event& event) { OnLinkEvent(event); }
  /// The OpenLink that waits was taken back, or its client is gone.
  bool opening_cancelled() const { return over_ || opening_cancelled_; }
  /// A process of the server's user asks. A role is only what a peer says of itself; this is known for
  /// certain.
  bool IsOwner() const;

 private:
  void OnLinkEvent(const rpc::Event& event) override;
  void OnLinkClosed(const Error& why) override;

  void Connect(std::shared_ptr<RpcChannel> channel, std::uint64_t seen);
  void Disconnected(const Error& why);
  Awaitable<void> Handle(rpc::Envelope envelope);
  Awaitable<void> HandleRequest(std::uint64_t id, rpc::Request request, std::vector<std::byte> bulk);
  bool HandleOwn(std::uint64_t id, const rpc::Request& request);
  void Diagnose(std::uint64_t id, std::string link);
  void Cancel(std::uint64_t id);
  static Awaitable<void> OpenLink(std::shared_ptr<KdSession> self, std::uint64_t id, rpc::OpenLink request);
  rpc::LinkOpened Snapshot() const;
  void SendHistory(const rpc::OpenLink& request);
  void CloseLink(std::uint64_t id, bool resume);
  void Answer(std::uint64_t id, rpc::Answer answer, std::vector<std::byte> bulk);
  bool AnsweredBefore(std::uint64_t id, const rpc::Request& request, bool resent);
  void Send(rpc::Envelope envelope, RpcChannel::Lane lane = RpcChannel::Lane::kNormal);
  EventRecord::Bounds RecordBounds() const;
  void LeaveLink(Parting parting, KdLink::Why reason);
  void CancelWork(KdLink& link);

  struct InFlight {
    std::uint64_t ticket = 0;  ///< at the link; 0: not the link's business
    std::size_t bytes = 0;
    bool changes = true;  ///< may not be carried out twice
  };
  struct Timer;

  Executor executor_;
  KdService& service_;
  const Identity identity_;
  const std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
  std::shared_ptr<RpcChannel> channel_;  ///< null while the connection is lost
  bool local_owner_ = false;
  std::unique_ptr<Timer> keep_timer_;
  std::optional<KdLink::TimePoint> kept_until_;
  std::shared_ptr<KdLink> link_;
  std::unordered_map<std::uint64_t, InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  AnswerRecord answered_;
  EventRecord events_;
  std::uint64_t skipped_output_ = 0;  ///< not yet marked
  std::uint64_t skipped_in_all_ = 0;
  std::optional<std::uint64_t> opening_;  ///< the OpenLink under way
  bool opening_cancelled_ = false;
  std::shared_ptr<Diagnosis> diagnosis_;  ///< of the link being examined for this client
  std::uint64_t diagnosis_id_ = 0;        ///< of the request that asked for it
  bool inherited_ = false;                ///< from an earlier process: what it answered is not known
  bool rebase_ = false;                   ///< and the numbers of its events neither
  bool over_ = false;
  bool stopping_ = false;
};

}  // namespace longwire

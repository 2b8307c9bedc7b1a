#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/kd/kd_link.h"
#include "transport/rpc_channel.h"

namespace longwire {

class KdService;

/// One client of the KD service, from its Hello to the end of its connection. Break-in and cancel act at
/// once, other requests run in order; at most kMaxInFlight of them, and kMaxInFlightBytes, wait. Debug output
/// is dropped, with a mark, when the client does not keep up; a client that cannot take anything else is
/// disconnected.
class KdSession : public std::enable_shared_from_this<KdSession>, private KdLink::Subscriber {
 public:
  static constexpr std::size_t kMaxInFlight = 1024;
  static constexpr std::size_t kMaxInFlightBytes = 64u << 20;

  KdSession(Executor executor, KdService& service, std::unique_ptr<Stream> stream);
  ~KdSession() override;

  /// Until the client is gone; its link is released as the policy says.
  Awaitable<void> Run();
  /// Says goodbye to the client, and Run() returns soon, whatever the client does.
  void Stop(const Error& why);
  /// The handshake has not taken place yet.
  bool greeting() const { return greeting_; }
  /// Ends the connection at once.
  void Drop();

  const std::string& name() const { return name_; }  ///< user@host; empty before the Hello
  std::string link_name() const { return link_ ? link_->name() : std::string(); }
  rpc::Role role() const { return role_; }

 private:
  friend class KdService;

  void OnLinkEvent(const rpc::Event& event) override;
  void OnLinkClosed(const Error& why) override;

  Awaitable<void> Handle(rpc::Envelope envelope);
  Awaitable<void> HandleRequest(std::uint64_t id, rpc::Request request, std::vector<std::byte> bulk);
  Awaitable<void> OpenLink(std::uint64_t id, rpc::OpenLink request);
  void CloseLink(std::uint64_t id, bool resume);
  void Answer(std::uint64_t id, rpc::Answer answer, std::vector<std::byte> bulk);
  bool AnsweredBefore(std::uint64_t id);
  bool IsOwner() const;
  void Send(rpc::Envelope envelope, RpcChannel::Lane lane = RpcChannel::Lane::kNormal);
  void LeaveLink();
  void CancelWork(KdLink& link);

  struct Answered {
    std::uint64_t id = 0;
    rpc::Envelope envelope;
  };

  Executor executor_;
  KdService& service_;
  std::shared_ptr<std::vector<KdSession*>> registry_;
  std::unique_ptr<RpcChannel> channel_;
  std::string name_;
  rpc::Role role_ = rpc::Role::kDriver;
  std::shared_ptr<KdLink> link_;
  struct InFlight {
    std::uint64_t ticket = 0;  ///< at the link; 0: not the link's business
    std::size_t bytes = 0;
  };
  std::unordered_map<std::uint64_t, InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::deque<Answered> answered_;  ///< the last few, for requests sent again
  std::size_t answered_bytes_ = 0;
  std::uint64_t skipped_output_ = 0;
  bool greeting_ = true;
  bool stopping_ = false;
};

}  // namespace longwire

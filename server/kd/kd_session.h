#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>

#include "server/kd/kd_link.h"
#include "transport/rpc_channel.h"

namespace longwire {

class KdService;

/// One client of the KD service, from its Hello to the end of its connection. Break-in and cancel act at once, other
/// requests run in order; at most kMaxInFlight wait. Debug output is dropped, with a mark, when the client does not keep
/// up; a client that cannot take anything else is disconnected.
class KdSession : public std::enable_shared_from_this<KdSession>, private KdLink::Subscriber {
 public:
  static constexpr std::size_t kMaxInFlight = 1024;

  KdSession(Executor executor, KdService& service, std::unique_ptr<Stream> stream);
  ~KdSession() override;

  /// Until the client is gone; its link is released as the policy says.
  Awaitable<void> Run();
  /// The server ends: says so to the client, and Run() returns.
  void Stop(const std::string& why);

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
  void Send(rpc::Envelope envelope, RpcChannel::Lane lane = RpcChannel::Lane::kNormal);
  void LeaveLink();

  struct Answered {
    std::uint64_t id = 0;
    rpc::Envelope envelope;
  };

  Executor executor_;
  KdService& service_;
  std::shared_ptr<std::set<KdSession*>> registry_;
  std::unique_ptr<RpcChannel> channel_;
  std::string name_;
  rpc::Role role_ = rpc::Role::kDriver;
  std::shared_ptr<KdLink> link_;
  std::unordered_set<std::uint64_t> in_flight_;
  std::deque<Answered> answered_;   ///< the last few, for requests sent again
  std::size_t answered_bytes_ = 0;
  std::uint64_t skipped_output_ = 0;
  std::string stop_text_;
};

}  // namespace longwire

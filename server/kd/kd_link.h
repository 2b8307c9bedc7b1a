#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/link/link_port.h"
#include "server/link/link_target.h"

namespace longwire {

/// One open kernel link of this process: the port, the byte stream of the moment, the target behind it, and
/// who uses it. Belongs to one single-threaded executor. Kept alive by its coroutines until Close().
class KdLink : public std::enable_shared_from_this<KdLink> {
 public:
  /// Somebody who sees the events of a link.
  class Subscriber {
   public:
    virtual ~Subscriber() = default;
    virtual void OnLinkEvent(const rpc::Event& event) = 0;
    /// The link is closed and must not be used any more.
    virtual void OnLinkClosed(const Error& why) = 0;
  };
  struct Holder {
    Subscriber* subscriber = nullptr;
    std::string name;  ///< user@host
    std::chrono::system_clock::time_point since;
  };

  /// Makes the target of a link; it reports events from its constructor on.
  using TargetMaker = std::function<std::unique_ptr<LinkTarget>(LinkTarget::EventSink)>;

  /// `port` null: the target needs no byte stream.
  KdLink(Executor executor, std::string name, std::unique_ptr<LinkPort> port, const TargetMaker& make_target);
  ~KdLink();

  /// Starts with `stream`, or opens the port (again and again, when it reconnects).
  void Start(std::unique_ptr<Stream> stream);
  /// Ends everything at once; the target is left as it is.
  void Close(const Error& why);

  /// The new driver. The link must have none.
  void TakeDriver(Subscriber& driver, std::string name);
  /// The driver leaves: breakpoints out, then as Leave() of the target. `done` within kReleaseLimit.
  void Release(bool resume, std::function<void()> done);
  void Join(Subscriber& observer, const std::string& name);
  void Part(Subscriber& observer, const std::string& name);

  /// A name for one piece of work, unlike that of any other client.
  std::uint64_t NextTicket() { return ++last_ticket_; }
  void Perform(std::uint64_t ticket, rpc::Request request, std::vector<std::byte> bulk, LinkTarget::Done done,
               bool observer);
  void Cancel(std::uint64_t ticket);

  const std::string& name() const { return name_; }
  const std::optional<Holder>& driver() const { return driver_; }
  std::uint64_t driver_epoch() const { return driver_epoch_; }
  std::size_t observers() const { return observers_.size(); }
  bool leaving() const { return leaving_; }
  bool closed() const { return closed_; }
  LinkTarget& target() { return *target_; }
  rpc::LinkStatus Status() const;
  void SetBreakIn();

  static constexpr std::chrono::milliseconds kReleaseLimit{4000};

 private:
  static Awaitable<void> Run(std::shared_ptr<KdLink> self, std::unique_ptr<Stream> stream);
  static Awaitable<void> ReadAll(std::shared_ptr<KdLink> self, std::shared_ptr<Stream> stream);
  static Awaitable<void> WriteAll(std::shared_ptr<KdLink> self, std::shared_ptr<Stream> stream);
  /// What escapes from a coroutine of a link is our bug; it ends this link and no other.
  static std::function<void(std::exception_ptr)> Finished(std::shared_ptr<KdLink> self);
  void AfterWork();
  void ArmTimer();
  void Tell(const rpc::Event& event);

  struct Timers;
  Executor executor_;
  std::string name_;
  std::unique_ptr<LinkPort> port_;
  std::vector<Subscriber*> observers_;
  std::optional<Holder> driver_;
  std::uint64_t driver_epoch_ = 0;
  std::uint64_t last_ticket_ = 0;
  bool leaving_ = false;
  bool closed_ = false;
  std::shared_ptr<Stream> stream_;
  std::vector<std::byte> outgoing_;
  bool writing_ = false;  ///< bytes were taken out of `outgoing_` and are not written yet
  std::unique_ptr<Timers> timers_;
  std::optional<kd::TimePoint> armed_for_;
  std::unique_ptr<LinkTarget> target_;  ///< last: reports events from its constructor on
};

}  // namespace longwire

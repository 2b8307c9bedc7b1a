#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/kd/link_journal.h"
#include "server/kd/scroll_back.h"
#include "server/link/link_port.h"
#include "server/link/link_target.h"

namespace longwire {

/// What becomes of the target when its driver leaves; the breakpoints are taken out first in any case.
enum class Parting : std::uint8_t {
  kResume,  ///< it runs
  kStay,    ///< it stays as it is
  kBreak    ///< it is stopped
};

/// One open kernel link of this process: the port, the byte stream of the moment, the target behind it, who
/// uses it, and the journal of all that. Belongs to one single-threaded executor. Kept alive by its
/// coroutines until Close().
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
  using TimePoint = std::chrono::steady_clock::time_point;
  using Why = rpc::DriverChanged::Why;
  struct Member {
    Subscriber* subscriber = nullptr;
    std::uint64_t id = 0;
    std::string name;              ///< user@host
    std::vector<std::byte> token;  ///< of its session, if that outlives its connection
    std::uint64_t keep_ms = 0;
  };
  struct Holder : Member {
    std::chrono::system_clock::time_point since;
    std::optional<TimePoint> lost;        ///< when the connection was lost
    std::optional<TimePoint> kept_until;  ///< while it is
  };

  /// Makes the target of a link; it reports events from its constructor on.
  using TargetMaker = std::function<std::unique_ptr<LinkTarget>(LinkTarget::EventSink)>;

  /// `port` null: the target needs no byte stream.
  KdLink(Executor executor, std::string name, std::unique_ptr<LinkPort> port, const TargetMaker& make_target,
         std::size_t scroll_back = ScrollBack::kDefaultBytes);
  ~KdLink();

  /// From now on the state is written down. `template_entry`: link and whether it needs a key.
  void Keep(std::unique_ptr<LinkJournal> journal, JournalEntry template_entry,
            std::function<void(const Error&)> failed);
  /// The link is about to be closed in order: nothing is left to be known, unless a breakpoint could not be
  /// taken out; then the next server tries.
  void EndJournal();
  /// Before Start(): the state an earlier process left, with a driver that may come back until `kept_until`.
  void Inherit(const JournalEntry& entry, Member driver, TimePoint kept_until);

  /// Starts with `stream`, or opens the port (again and again, when it reconnects).
  void Start(std::unique_ptr<Stream> stream);
  /// Ends everything at once; the target is left as it is.
  void Close(const Error& why);

  /// The new driver, who may observe until now. The link must have none.
  void SetDriver(Member driver, Why why);
  /// The driver leaves: breakpoints out, then `parting`. `done` within kReleaseLimit.
  void Release(Parting parting, Why why, std::function<void()> done);
  /// `to` drives in place of whoever does now; that one observes from now on, unless it is lost. Breakpoints
  /// are taken out, the target stays as it is. `done` within kReleaseLimit, false: `to` left meanwhile.
  void ChangeDriver(Member to, Why why, std::function<void(bool)> done);
  /// The driver's connection is lost, or back.
  void LoseDriver(TimePoint lost, TimePoint kept_until);
  void ReturnDriver();
  void Join(Member observer);
  void Part(const Subscriber& observer);

  /// A name for one piece of work, unlike that of any other client.
  std::uint64_t NextTicket() { return ++last_ticket_; }
  void Perform(std::uint64_t ticket, rpc::Request request, std::vector<std::byte> bulk, LinkTarget::Done done,
               bool observer);
  void Cancel(std::uint64_t ticket);

  const std::string& name() const { return name_; }
  const std::optional<Holder>& driver() const { return driver_; }
  std::uint64_t driver_epoch() const { return driver_epoch_; }
  std::size_t observers() const { return observers_.size(); }
  const Member* FindObserver(std::uint64_t id) const;
  const ScrollBack& scroll_back() const { return scroll_back_; }
  bool leaving() const { return leaving_; }
  bool closed() const { return closed_; }
  bool over() const { return over_; }  ///< its port is closed and is not opened again
  LinkTarget& target() { return *target_; }
  rpc::LinkStatus Status() const;
  void SetBreakIn();
  void SetBreakOnReboot(bool on);

  static constexpr std::chrono::milliseconds kReleaseLimit{5000};

 private:
  static Awaitable<void> Run(std::shared_ptr<KdLink> self, std::unique_ptr<Stream> stream);
  /// Waits, longer each time.
  static Awaitable<void> BackOff(std::shared_ptr<KdLink> self, std::chrono::milliseconds& span);
  /// Until the stream ends; whether anything came on it.
  static Awaitable<bool> ReadAll(std::shared_ptr<KdLink> self, std::shared_ptr<Stream> stream);
  static Awaitable<void> WriteAll(std::shared_ptr<KdLink> self, std::shared_ptr<Stream> stream);
  /// What escapes from a coroutine of a link is our bug; it ends this link and no other.
  static std::function<void(std::exception_ptr)> Finished(std::shared_ptr<KdLink> self);
  void AfterWork();
  Result<void> Configure(const rpc::Configure& wish);
  Result<void> SetBaud(std::uint32_t baud);
  void ArmTimer();
  void Tell(const rpc::Event& event);
  void TellDriver(Why why);
  void BeginEpoch();
  void Vacate(std::function<void()> done);
  void Leave(bool resume);
  static Awaitable<void> HaltAndLeave(std::shared_ptr<KdLink> self);
  void Write();

  struct Timers;
  Executor executor_;
  std::string name_;
  std::unique_ptr<LinkPort> port_;
  std::vector<Member> observers_;
  std::optional<Holder> driver_;
  std::uint64_t driver_epoch_ = 0;
  std::uint64_t last_ticket_ = 0;
  bool leaving_ = false;
  std::function<void()> vacated_;  ///< ends Vacate()
  bool closed_ = false;
  bool over_ = false;
  std::shared_ptr<Stream> stream_;
  std::vector<std::byte> outgoing_;
  bool writing_ = false;  ///< bytes were taken out of `outgoing_` and are not written yet
  std::unique_ptr<Timers> timers_;
  std::optional<kd::TimePoint> armed_for_;
  ScrollBack scroll_back_;
  std::unique_ptr<LinkJournal> journal_;
  JournalEntry entry_;  ///< what is known of the link; Write() adds its driver
  std::function<void(const Error&)> journal_failed_;
  std::unique_ptr<LinkTarget> target_;  ///< last: reports events from its constructor on
};

}  // namespace longwire

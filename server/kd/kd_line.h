#pragma once

#include <coroutine>
#include <deque>
#include <optional>

#include "proto/error.h"
#include "proto/kd/link_machine.h"
#include "server/target/task.h"

namespace longwire {

/// The link machine made awaitable: target logic sends a request and waits for its reply, or waits for the
/// next state change. Everything nobody waits for goes to the Owner. Sans-I/O like the machine; time is what
/// Receive and Tick said.
class KdLine {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// A state change nobody awaits.
    virtual void OnStateChange(kd::Bytes payload) = 0;
    /// Debug I/O, file I/O, control requests, traces.
    virtual void OnPacket(kd::PacketType type, kd::Bytes payload) = 0;
    virtual void OnSynchronized() = 0;
    /// The target started its stream anew; its state change follows.
    virtual void OnRestarted() = 0;
    virtual void OnLost(const Error& error) = 0;
  };

  /// A packet to send and its outcome, awaited: the reply, or nothing for packets without one.
  class Send {
   public:
    Send(const Send&) = delete;
    ~Send();
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter);
    Result<kd::Bytes> await_resume() { return std::move(result_); }

   private:
    friend class KdLine;
    enum class Shape { kRequest, kNoReply };
    Send(KdLine& line, Shape shape, kd::Bytes payload, std::optional<kd::Duration> reply_timeout)
        : line_(line), shape_(shape), payload_(std::move(payload)), reply_timeout_(reply_timeout) {}

    KdLine& line_;
    Shape shape_;
    kd::Bytes payload_;
    std::optional<kd::Duration> reply_timeout_;
    std::coroutine_handle<> waiter_;
    Result<kd::Bytes> result_ = kd::Bytes{};
  };

  /// The next state change, or kTimedOut at the deadline, awaited. One at a time.
  class Wait {
   public:
    Wait(const Wait&) = delete;
    ~Wait();
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter);
    Result<kd::Bytes> await_resume() { return std::move(result_); }

   private:
    friend class KdLine;
    Wait(KdLine& line, kd::TimePoint deadline, bool for_state_change)
        : line_(line), deadline_(deadline), for_state_change_(for_state_change) {}

    KdLine& line_;
    kd::TimePoint deadline_;
    bool for_state_change_;
    std::coroutine_handle<> waiter_;
    Result<kd::Bytes> result_ = kd::Bytes{};
  };

  KdLine(kd::Timers timers, Owner& owner) : machine_(std::move(timers)), owner_(owner) {}

  void Receive(kd::TimePoint now, kd::ByteView bytes);
  void Tick(kd::TimePoint now);
  /// Tells the time before target logic runs for another reason than bytes or a timer.
  void SetNow(kd::TimePoint now) { now_ = now; }
  kd::TimePoint now() const { return now_; }
  std::optional<kd::TimePoint> Deadline() const;
  kd::Bytes TakeOutput() { return machine_.TakeOutput(); }

  /// A manipulate request with a reply. Errors: kTimedOut, kTargetRestarted, kLinkFailed...
  Send Exchange(kd::Bytes request, std::optional<kd::Duration> reply_timeout = std::nullopt) {
    return {*this, Send::Shape::kRequest, std::move(request), reply_timeout};
  }
  /// A manipulate request that the acknowledge completes.
  Send Command(kd::Bytes request) { return {*this, Send::Shape::kNoReply, std::move(request), std::nullopt}; }
  Wait NextStateChange(kd::TimePoint deadline) { return {*this, deadline, true}; }
  Wait SleepUntil(kd::TimePoint deadline) { return {*this, deadline, false}; }
  /// An answer of another type; nobody waits for its acknowledge.
  void Post(kd::PacketType type, kd::Bytes payload);

  void Attach(kd::LinkMachine::AttachMode mode);
  void BreakIn();
  void Reset();
  /// The byte stream was replaced. No task may be waiting any more: the owner has dropped them.
  void Reopen();

  bool attaching() const { return machine_.Attaching(); }
  std::optional<kd::TimePoint> last_received() const { return machine_.LastReceived(); }
  const kd::LinkCounters& counters() const { return machine_.counters(); }
  const kd::Timers& timers() const { return machine_.timers(); }
  void SetTimers(kd::Timers timers) { machine_.SetTimers(timers); }
  std::uint64_t exchanges() const { return exchanges_; }

 private:
  struct Posted {
    kd::PacketType type;
    kd::Bytes payload;
  };
  enum class InFlight { kNothing, kSend, kPost };

  void Process();
  void Dispatch(kd::LinkEvent event);
  void StartNext();
  void Complete(Result<kd::Bytes> result);
  void FinishWait(Result<kd::Bytes> result);

  kd::LinkMachine machine_;
  Owner& owner_;
  kd::TimePoint now_{};
  std::deque<Posted> posted_;  ///< bounded: the target sends one question at a time
  std::deque<Send*> queue_;    ///< not yet sent
  Send* active_ = nullptr;     ///< sent; null also when its awaiter is gone
  InFlight in_flight_ = InFlight::kNothing;
  Wait* wait_ = nullptr;
  std::uint64_t exchanges_ = 0;
};

}  // namespace longwire

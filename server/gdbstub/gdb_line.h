#pragma once

#include <coroutine>
#include <optional>
#include <string>

#include "proto/error.h"
#include "proto/gdb/packet_stream.h"
#include "proto/gdb/stop_reply.h"
#include "proto/kd/bytes.h"
#include "proto/kd/timers.h"
#include "server/target/task.h"

namespace longwire {

/// The GDB remote protocol made awaitable: one question at a time and its answer, or the next stop of a
/// running target. Sans-I/O; time is what Receive, Tick and SetNow said. A stub that does not answer for
/// kPatience, or whose packets are damaged where none is sent again, is lost: everything fails with
/// kLinkFailed.
class GdbLine {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The target stopped and nobody awaited it.
    virtual void OnStop(gdb::StopReply reply) = 0;
    virtual void OnOutput(std::string text) = 0;
    /// The target did not run, and stands where it stood.
    virtual void OnResumeRefused() = 0;
    virtual void OnLost(const Error& why) = 0;
  };

  /// Awaited once, where it was made.
  class Question {
   public:
    Question(const Question&) = delete;
    ~Question() {
      if (line_.question_ == this) line_.Abandon();
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter);
    Result<std::string> await_resume() { return std::move(result_); }

   private:
    friend class GdbLine;
    Question(GdbLine& line, std::string payload) : line_(line), payload_(std::move(payload)) {}
    GdbLine& line_;
    std::string payload_;
    std::coroutine_handle<> waiter_;
    Result<std::string> result_ = std::string();
  };
  class StopWait {
   public:
    StopWait(const StopWait&) = delete;
    ~StopWait() {
      if (line_.stop_wait_ == this) line_.stop_wait_ = nullptr;
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      waiter_ = waiter;
      line_.stop_wait_ = this;
    }
    Result<gdb::StopReply> await_resume() { return std::move(result_); }

   private:
    friend class GdbLine;
    StopWait(GdbLine& line, kd::TimePoint deadline) : line_(line), deadline_(deadline) {}
    GdbLine& line_;
    kd::TimePoint deadline_;
    std::coroutine_handle<> waiter_;
    Result<gdb::StopReply> result_ = gdb::StopReply{};
  };

  explicit GdbLine(Owner& owner) : owner_(owner) {}

  void Receive(kd::TimePoint now, kd::ByteView bytes);
  void Tick(kd::TimePoint now);
  void SetNow(kd::TimePoint now) { now_ = now; }
  kd::TimePoint now() const { return now_; }
  std::optional<kd::TimePoint> Deadline() const;
  kd::Bytes TakeOutput();
  /// A new byte stream. No task waits any more.
  void Reopen();

  Question Ask(std::string payload) { return {*this, std::move(payload)}; }
  /// `payload` lets the target run; its stop is awaited, or reported.
  void Resume(std::string_view payload);
  void Interrupt();
  StopWait NextStop(kd::TimePoint deadline) { return {*this, deadline}; }
  void StopAcknowledging() { stream_.StopAcknowledging(); }

  bool running() const { return running_; }
  std::uint64_t questions() const { return questions_; }
  std::uint64_t bytes_received() const { return bytes_received_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }
  const gdb::PacketStream& stream() const { return stream_; }

  static constexpr std::chrono::seconds kPatience{10};

 private:
  void OnPacket(std::string payload);
  void OnNoStop(std::string_view payload);
  void Answer(Result<std::string> answer);
  void Stopped(gdb::StopReply reply);
  void Fail(const char* what);
  void FailDamaged(const char* what);
  void Abandon();

  Owner& owner_;
  gdb::PacketStream stream_;
  kd::TimePoint now_{};
  Question* question_ = nullptr;
  std::optional<kd::TimePoint> answer_deadline_, stop_deadline_;
  StopWait* stop_wait_ = nullptr;
  bool running_ = false;
  bool asks_stop_ = false;  ///< the question is `?`
  unsigned owed_ = 0;       ///< answers to questions nobody waits for any more; they come first
  std::uint64_t questions_ = 0, bytes_received_ = 0, bytes_sent_ = 0;
};

}  // namespace longwire

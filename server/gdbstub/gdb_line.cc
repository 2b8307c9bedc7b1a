#include "server/gdbstub/gdb_line.h"

#include <algorithm>
#include <utility>

namespace longwire {

void GdbLine::Question::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  line_.question_ = this;
  line_.asks_stop_ = payload_ == "?";
  line_.answer_deadline_ = line_.now_ + kPatience;
  ++line_.questions_;
  line_.stream_.Send(payload_);
}

void GdbLine::Abandon() {
  question_ = nullptr;
  answer_deadline_.reset();
  ++owed_;
}

void GdbLine::Reopen() {
  stream_ = gdb::PacketStream();
  question_ = nullptr;
  stop_wait_ = nullptr;
  answer_deadline_.reset();
  stop_deadline_.reset();
  running_ = false;
  owed_ = 0;
}

void GdbLine::Receive(kd::TimePoint now, kd::ByteView bytes) {
  now_ = now;
  bytes_received_ += bytes.size();
  stream_.Receive(bytes);
  while (auto frame = stream_.Next()) {
    if (frame->kind == gdb::Frame::Kind::kPacket) OnPacket(std::move(frame->payload));
  }
  if (stream_.failed()) return FailDamaged("sends only damaged packets");
  if (!stream_.acknowledges() && stream_.checksum_errors() != 0)
    FailDamaged("sent a packet that is damaged or too long");
}

void GdbLine::OnPacket(std::string payload) {
  if (running_) {
    auto reply = gdb::DecodeStopReply(payload);
    if (!reply) return OnNoStop(payload);
    if (reply->kind == gdb::StopReply::Kind::kOutput) return owner_.OnOutput(std::move(reply->output));
    return Stopped(std::move(*reply));
  }
  // QEMU reports the stop that the connection itself causes, unasked: it answers no question.
  const bool is_stop = payload.size() >= 3 && (payload[0] == 'T' || payload[0] == 'S') &&
                       gdb::DecodeStopReply(payload).has_value();
  if (is_stop && !asks_stop_) return;
  if (owed_ != 0) {
    --owed_;
    return;
  }
  if (question_ != nullptr) Answer(std::move(payload));
}

/// What a running target's stub says that is no stop: an answer that comes late, or that it does not run.
void GdbLine::OnNoStop(std::string_view payload) {
  if (owed_ != 0) {
    --owed_;
  } else if (payload.empty() || payload.front() == 'E') {
    if (stop_wait_ != nullptr) return Stopped({});
    running_ = false;
    stop_deadline_.reset();
    owner_.OnResumeRefused();
  }
}

void GdbLine::Answer(Result<std::string> answer) {
  Question* question = std::exchange(question_, nullptr);
  answer_deadline_.reset();
  asks_stop_ = false;
  question->result_ = std::move(answer);
  question->waiter_.resume();
}

void GdbLine::Stopped(gdb::StopReply reply) {
  running_ = false;
  stop_deadline_.reset();
  if (StopWait* wait = std::exchange(stop_wait_, nullptr)) {
    wait->result_ = std::move(reply);
    return wait->waiter_.resume();
  }
  owner_.OnStop(std::move(reply));
}

void GdbLine::Resume(std::string_view payload) {
  running_ = true;
  stream_.Send(payload);
}

void GdbLine::Interrupt() {
  stream_.Interrupt();
  stop_deadline_ = now_ + kPatience;
}

void GdbLine::Tick(kd::TimePoint now) {
  now_ = now;
  if (stop_wait_ != nullptr && now >= stop_wait_->deadline_) {
    StopWait* wait = std::exchange(stop_wait_, nullptr);
    wait->result_ = Error{Errc::kTimedOut, "the target did not stop in time"};
    wait->waiter_.resume();
  }
  if (answer_deadline_ && now >= *answer_deadline_) return Fail("does not answer");
  if (stop_deadline_ && now >= *stop_deadline_) Fail("does not stop the target");
}

std::optional<kd::TimePoint> GdbLine::Deadline() const {
  auto deadline = answer_deadline_;
  const auto earlier = [&deadline](const std::optional<kd::TimePoint>& other) {
    if (other) deadline = std::min(deadline.value_or(*other), *other);
  };
  earlier(stop_deadline_);
  if (stop_wait_ != nullptr) earlier(stop_wait_->deadline_);
  return deadline;
}

kd::Bytes GdbLine::TakeOutput() {
  kd::Bytes output = stream_.TakeOutput();
  bytes_sent_ += output.size();
  return output;
}

/// What was asked is answered, though badly; the stub and we begin anew with an empty line.
void GdbLine::FailDamaged(const char* what) {
  Fail(what);
  stream_ = gdb::PacketStream();
  owed_ = 0;
}

void GdbLine::Fail(const char* what) {
  const Error why{Errc::kLinkFailed, std::string("the gdb stub ") + what +
                                         "; check the virtual machine, or open the link again"};
  stop_deadline_.reset();
  running_ = false;  // who begins anew asks first
  if (question_ != nullptr) {
    ++owed_;
    Answer(why);
  }
  owner_.OnLost(why);
}

}  // namespace longwire

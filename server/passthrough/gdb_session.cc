#include "server/passthrough/gdb_session.h"

#include <utility>

#include "proto/gdb/hex.h"

namespace longwire {
namespace {

/// What the target printed, fit for a terminal that gdb writes it to as it is.
std::string Printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 0x20 && c <= 0x7E) || c == '\n' || c == '\t';
    if (plain) result += c;
    if (!plain && c != '\r' && c != '\0') result += '?';
  }
  return result;
}

}  // namespace

/// A request under way. Outlives its awaiter when the work is dropped first.
struct GdbSession::Question {
  GdbSession* session = nullptr;
  std::coroutine_handle<> waiter;
  std::optional<Reply> reply;
};

class GdbSession::AskAwaiter {
 public:
  AskAwaiter(GdbSession& session, rpc::Request request, kd::Bytes bulk)
      : request_(std::move(request)), bulk_(std::move(bulk)) {
    question_->session = &session;
  }
  AskAwaiter(const AskAwaiter&) = delete;
  ~AskAwaiter() { question_->session = nullptr; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    const auto question = question_;
    question->session->ask_(std::move(request_), std::move(bulk_),
                            [question](rpc::Answer answer, kd::Bytes bulk) {
                              GdbSession* const session = question->session;
                              if (session == nullptr || question->reply) return;
                              question->reply = Reply{std::move(answer), std::move(bulk)};
                              if (!question->waiter) return;
                              std::exchange(question->waiter, {}).resume();
                              session->Pump();
                            });
    if (question->reply) return false;
    question->waiter = waiter;
    return true;
  }
  Reply await_resume() { return std::move(*question_->reply); }

 private:
  std::shared_ptr<Question> question_ = std::make_shared<Question>();
  rpc::Request request_;
  kd::Bytes bulk_;
};

class GdbSession::StopAwaiter {
 public:
  explicit StopAwaiter(GdbSession& session) : session_(session) {}
  StopAwaiter(const StopAwaiter&) = delete;
  ~StopAwaiter() { session_.stop_waiter_ = {}; }

  bool await_ready() const noexcept { return session_.stop_ || session_.failure_; }
  void await_suspend(std::coroutine_handle<> waiter) { session_.stop_waiter_ = waiter; }
  bool await_resume() const { return session_.stop_.has_value(); }

 private:
  GdbSession& session_;
};

Task<GdbSession::Reply> GdbSession::Ask(rpc::Request request, kd::Bytes bulk) {
  AskAwaiter awaiter(*this, std::move(request), std::move(bulk));
  co_return co_await awaiter;
}

Task<bool> GdbSession::NextStop() {
  StopAwaiter awaiter(*this);
  co_return co_await awaiter;
}

void GdbSession::Opened(const rpc::LinkOpened& opened) {
  opened_ = true;
  driver_epoch_ = opened.driver_epoch;
  if (opened.description) map_ = RegisterMap::For(static_cast<kd::Machine>(opened.description->machine));
  if (opened.stop) OnEvent(*opened.stop);
  Pump();
}

void GdbSession::Fail(const Error& why) {
  if (failure_ || over_) return;
  failure_ = why;
  WakeStopped();  // whoever waits for a stop answers for that
  if (!busy_ && opened_) over_ = true;
  Pump();
}

void GdbSession::Finish(std::string_view last_words) {
  if (!last_words.empty()) Send(last_words);
  over_ = true;
}

void GdbSession::Receive(kd::ByteView bytes) {
  stream_.Receive(bytes);
  while (const auto frame = stream_.Next()) {
    if (frame->kind == gdb::Frame::Kind::kInterrupt) Interrupt();
    if (frame->kind == gdb::Frame::Kind::kPacket) waiting_.push_back(std::move(frame->payload));
  }
  if (waiting_.size() > kMaxWaiting || stream_.failed()) over_ = true;
  Pump();
}

/// One packet after another, as the protocol has it.
void GdbSession::Pump() {
  if (std::exchange(pumping_, true)) return;
  while (!busy_ && !over_ && !waiting_.empty() && (opened_ || failure_)) {
    const std::string packet = std::move(waiting_.front());
    waiting_.pop_front();
    if (failure_) {
      Finish("E." + failure_->message);
      break;
    }
    busy_ = true;
    task_ = Serve(packet);
    task_.Start([this] { busy_ = false; });
  }
  pumping_ = false;
}

Task<void> GdbSession::Serve(std::string packet) {
  // Everything but the handshake needs to know what machine it is about, which only its first stop tells.
  const bool handshake = packet.starts_with("qSupported") || packet == "QStartNoAckMode";
  if (!handshake && !attached_) {
    const bool stopped = co_await NextStop();
    if (!stopped) {
      Finish("E." + failure_->message);
      co_return;
    }
  }
  std::string answer = co_await Answer(std::move(packet));
  if (over_ || std::exchange(answered_, false)) co_return;
  if (failure_) {
    Finish(running_ ? "X09" : "E01");
    co_return;
  }
  Send(answer);
}

void GdbSession::Interrupt() {
  if (!running_) return;
  // A break-in overtakes; before the target runs it would be lost.
  if (under_way_) {
    break_in_wanted_ = true;
    return;
  }
  ask_(rpc::BreakIn{}, {}, [](const rpc::Answer&, const kd::Bytes&) {});
}

void GdbSession::WakeStopped() {
  if (auto waiter = std::exchange(stop_waiter_, {})) {
    waiter.resume();
    Pump();
  }
}

/// Text may only be sent while gdb waits for a stop.
void GdbSession::SendOutput() {
  if (!running_ || under_way_ || output_.empty()) return;
  constexpr std::size_t kPart = kPacketSize / 2 - 16;
  for (std::size_t at = 0; at < output_.size(); at += kPart)
    Send("O" +
         gdb::EncodeHex(std::as_bytes(std::span(output_).subspan(at, std::min(kPart, output_.size() - at)))));
  output_.clear();
}

void GdbSession::OnEvent(const rpc::Event& event) {
  if (const auto* stop = std::get_if<rpc::StopEvent>(&event)) {
    SendOutput();
    stop_ = *stop;
    processors_ = std::max(stop->processors, 1u);
    attached_ = true;
    if (stop->restarted) breakpoints_.clear();
    WakeStopped();
  } else if (const auto* resumed = std::get_if<rpc::Resumed>(&event)) {
    if (stop_ && stop_->stop_counter <= resumed->stop_counter) stop_.reset();
  } else if (const auto* output = std::get_if<rpc::Output>(&event)) {
    output_ += Printable(output->text);
    if (output_.size() > kMaxOutput) output_.erase(0, output_.size() - kMaxOutput);
    SendOutput();
  } else if (const auto* prompt = std::get_if<rpc::PromptRequested>(&event)) {
    output_ += Printable(prompt->text) + prompt_answer_ + "\n";
    SendOutput();
    ask_(rpc::AnswerPrompt{prompt_answer_}, {}, [](const rpc::Answer&, const kd::Bytes&) {});
  } else if (const auto* file = std::get_if<rpc::FileRequested>(&event)) {
    constexpr std::uint32_t kNotFound = 0xC0000034;
    ask_(rpc::AnswerFile{file->request, kNotFound}, {}, [](const rpc::Answer&, const kd::Bytes&) {});
  } else if (const auto* changed = std::get_if<rpc::LinkChanged>(&event)) {
    if (changed->description)
      map_ = RegisterMap::For(static_cast<kd::Machine>(changed->description->machine));
    if (changed->closed) Fail(Error{changed->error, changed->text});
  } else if (const auto* driver = std::get_if<rpc::DriverChanged>(&event)) {
    if (driver->driver_epoch > driver_epoch_ && !driver->self)
      Fail(Error{Errc::kFenced, "the link was taken by " + driver->driver});
  }
}

}  // namespace longwire

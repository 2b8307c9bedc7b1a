#include "server/passthrough/gdb_connection.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "transport/deadline.h"
#include "transport/memory_stream.h"

namespace longwire {
namespace {

/// For the target to stop, so that the debugger has something to look at; it is less patient itself.
constexpr std::chrono::seconds kAttachLimit{60};
/// For a debugger that was refused to hear of it.
constexpr std::chrono::seconds kFarewellLimit{5};
constexpr std::size_t kMaxOutgoing = 4u
                                     << 20;  ///< more waits for a debugger that reads nothing: it is closed
constexpr std::size_t kOutputBacklog = 256u << 10;  ///< more waits: what the target prints is dropped

}  // namespace

struct GdbConnection::Timer {
  boost::asio::steady_timer timer;
};

GdbConnection::GdbConnection(Executor executor, std::unique_ptr<Stream> debugger,
                             std::unique_ptr<Stream> service)
    : executor_(executor),
      debugger_(std::move(debugger)),
      channel_(RpcChannel::Make(executor, std::move(service))),
      farewell_(std::make_unique<Timer>(Timer{boost::asio::steady_timer(executor)})),
      session_([this](rpc::Request request, kd::Bytes bulk, GdbSession::Done done) {
        Ask(std::move(request), std::move(bulk), std::move(done));
      }) {}

GdbConnection::~GdbConnection() = default;

Awaitable<void> GdbConnection::Serve(Executor executor, KdService& service, std::string link,
                                     std::unique_ptr<Stream> debugger) {
  auto [ours, theirs] = MakeMemoryStreams(executor);
  boost::asio::co_spawn(executor, service.Serve(std::move(theirs)), boost::asio::detached);
  const auto self = std::make_shared<GdbConnection>(executor, std::move(debugger), std::move(ours));
  co_await self->Run(std::move(link));
}

Awaitable<void> GdbConnection::Run(std::string link) {
  const auto self = shared_from_this();
  boost::asio::co_spawn(executor_, TalkToService(self, std::move(link)), boost::asio::detached);
  std::vector<std::byte> buffer(16384);
  for (;;) {
    const Result<std::size_t> size = co_await debugger_->ReadSome(buffer);
    if (!size || *size == 0) break;
    session_.Receive(std::span(buffer).first(*size));
    AfterWork();
  }
  farewell_->timer.cancel();
  channel_->Close();  // the service takes the link from a client that is gone
  debugger_->Close();
}

Awaitable<void> GdbConnection::TalkToService(std::shared_ptr<GdbConnection> self, std::string link) {
  Result<void> opened = co_await self->Open(std::move(link));
  if (!opened) self->session_.Fail(opened.error());
  const ScopedDeadline attach(self->executor_, kAttachLimit, [weak = std::weak_ptr(self)] {
    const auto connection = weak.lock();
    if (!connection || connection->session_.attached()) return;
    connection->session_.Fail(Error{Errc::kTimedOut, "the target did not stop"});
    connection->channel_->Close();
  });
  while (opened) {
    Result<rpc::Envelope> envelope = co_await self->channel_->Receive();
    if (!envelope) {
      self->session_.Fail(envelope.error());
      break;
    }
    self->Take(std::move(*envelope));
    self->AfterWork();
  }
  self->AfterWork();
  // Its next packet is answered by the reason, if it sends one soon.
  self->farewell_->timer.expires_after(kFarewellLimit);
  co_await self->farewell_->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  self->debugger_->Close();
}

Awaitable<Result<void>> GdbConnection::Open(std::string link) {
  rpc::Hello hello;
  hello.user = "gdb";
  hello.host = debugger_->peer().address;
  hello.software = "gdb remote protocol";
  hello.capabilities = {rpc::kRolesCapability};
  const Result<rpc::Welcome> welcome = co_await GreetServer(*channel_, std::move(hello));
  if (!welcome) co_return welcome.error();
  rpc::OpenLink open;
  open.link = std::move(link);
  open.break_in = true;
  Result<void> opened;
  bool answered = false;
  Ask(std::move(open), {}, [&](const rpc::Answer& answer, const kd::Bytes&) {
    answered = true;
    if (const auto* error = std::get_if<Error>(&answer)) opened = *error;
    if (const auto* link_opened = std::get_if<rpc::LinkOpened>(&answer)) session_.Opened(*link_opened);
  });
  while (!answered) {
    Result<rpc::Envelope> envelope = co_await channel_->Receive();
    if (!envelope) {
      asked_.clear();  // the answer, whose call refers to this frame, never comes
      co_return envelope.error();
    }
    Take(std::move(*envelope));
  }
  AfterWork();
  co_return opened;
}

void GdbConnection::Ask(rpc::Request request, kd::Bytes bulk, GdbSession::Done done) {
  const std::uint64_t id = ++last_id_;
  const bool urgent = std::holds_alternative<rpc::BreakIn>(request);
  const Result<void> sent = channel_->Enqueue(rpc::Envelope{id, std::move(request), std::move(bulk)},
                                              urgent ? RpcChannel::Lane::kUrgent : RpcChannel::Lane::kNormal);
  if (sent) {
    asked_[id] = std::move(done);
  } else {
    done(sent.error(), {});
  }
}

void GdbConnection::Take(rpc::Envelope envelope) {
  if (auto* response = std::get_if<rpc::Response>(&envelope.message)) {
    const auto asked = asked_.extract(envelope.id);
    if (asked) asked.mapped()(std::move(response->answer), std::move(envelope.bulk));
  } else if (const auto* event = std::get_if<rpc::Event>(&envelope.message)) {
    const bool backlog = outgoing_.size() > kOutputBacklog;
    if (!backlog || !std::holds_alternative<rpc::Output>(*event)) session_.OnEvent(*event);
  } else if (const auto* goodbye = std::get_if<rpc::Goodbye>(&envelope.message)) {
    session_.Fail(Error{goodbye->code, goodbye->text});
  }
}

void GdbConnection::AfterWork() {
  const kd::Bytes output = session_.TakeOutput();
  outgoing_.insert(outgoing_.end(), output.begin(), output.end());
  if (outgoing_.size() > kMaxOutgoing) debugger_->Close();
  if (std::exchange(writing_, true)) return;
  boost::asio::co_spawn(executor_, Write(shared_from_this()), boost::asio::detached);
}

Awaitable<void> GdbConnection::Write(std::shared_ptr<GdbConnection> self) {
  while (!self->outgoing_.empty()) {
    const kd::Bytes bytes = std::exchange(self->outgoing_, {});
    const Result<void> written = co_await self->debugger_->WriteAll(bytes);
    if (!written) break;
  }
  self->writing_ = false;
  if (self->session_.over()) self->debugger_->Close();  // the reader ends, and with it everything
}

}  // namespace longwire

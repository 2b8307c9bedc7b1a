#include "server/kd/kd_service.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ctime>
#include <utility>

namespace longwire {
namespace {

constexpr std::chrono::milliseconds kRefusalLimit{100};

/// Two link strings of one device must meet, whatever else they say.
std::string DeviceOf(const KernelLink& link) {
  if (const auto* com = std::get_if<ComLink>(&link)) {
    if (com->kind == ComLink::Kind::kTcp) return "tcp:" + com->host + ":" + std::to_string(com->tcp_port);
    return "path:" + com->path;
  }
  return FormatKernelLink(link);
}

std::string FormatTime(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

}  // namespace

KdService::KdService(Executor executor, KdServiceOptions options)
    : executor_(std::move(executor)), options_(std::move(options)) {}

KdService::~KdService() {
  for (auto& [device, link] : links_) link->Close(Error{Errc::kClosed, "the server ended"});
}

/// Whoever connects and says nothing must not keep others out.
void KdService::DropOldestGreeting() {
  const auto greeting = [](const KdSession* session) { return session->greeting(); };
  if (std::count_if(sessions_->begin(), sessions_->end(), greeting) <
      static_cast<std::ptrdiff_t>(kMaxGreeting))
    return;
  (*std::find_if(sessions_->begin(), sessions_->end(), greeting))->Drop();
}

Awaitable<void> KdService::Serve(std::unique_ptr<Stream> stream) {
  DropOldestGreeting();
  if (sessions_->size() >= kMaxSessions) {
    Log("client " + stream->peer().address + " refused: too many clients");
    const auto channel = RpcChannel::Make(executor_, std::move(stream), options_.channel);
    rpc::Envelope refusal{
        0, rpc::Reject{Errc::kBusy, "the server has too many clients; try again later"}, {}};
    if (channel->Enqueue(std::move(refusal))) {
      Result<void> drained = co_await channel->Drain(kRefusalLimit);
      static_cast<void>(drained);
    }
    co_return;
  }
  const auto session = std::make_shared<KdSession>(executor_, *this, std::move(stream));
  co_await session->Run();
}

Awaitable<Result<std::shared_ptr<KdLink>>> KdService::OpenLink(rpc::OpenLink request, rpc::Role role) {
  if (stopping_) co_return Error{Errc::kClosed, "the server is ending"};
  Result<KernelLink> parsed = ParseKernelLink(request.link, options_.environment);
  if (!parsed) co_return parsed.error();
  const std::string name = FormatKernelLink(*parsed);
  if (!options_.allows(*parsed)) {
    co_return Error{Errc::kAuthentication,
                    "this server does not allow the link " + name + "; see its --links option"};
  }
  const std::string device = DeviceOf(*parsed);
  if (const auto open = links_.find(device); open != links_.end() && open->second->closed())
    links_.erase(open);
  if (const auto open = links_.find(device); open != links_.end()) {
    const auto& link = open->second;
    if (role != rpc::Role::kDriver) co_return link;
    if (const auto& holder = link->driver()) {
      co_return Error{Errc::kLinkInUse, "the link " + link->name() + " is in use by " + holder->name +
                                            " since " + FormatTime(holder->since) +
                                            (link->leaving() ? ", who is leaving" : "")};
    }
    co_return link;
  }
  if (opening_.contains(device))
    co_return Error{Errc::kLinkInUse, "the link " + name + " is being opened by another client"};
  if (role != rpc::Role::kDriver) co_return Error{Errc::kNotFound, "nobody has the link " + name + " open"};

  Result<LinkBackEnd> back_end = options_.make_back_end(executor_, *parsed);
  if (!back_end) co_return back_end.error();
  std::unique_ptr<LinkPort>& port = back_end->port;
  TargetOptions target = options_.target;
  target.log = [log = options_.log, name](const std::string& text) { log("link " + name + ": " + text); };
  target.break_in = request.break_in;
  target.break_on_reboot = request.break_on_reboot;
  target.left_halted = left_halted_.erase(device) != 0;
  std::unique_ptr<Stream> stream;
  if (port && !port->listens()) {
    opening_.insert(device);
    Result<std::unique_ptr<Stream>> opened = co_await port->Open();
    opening_.erase(device);
    if (stopping_) co_return Error{Errc::kClosed, "the server is ending"};
    if (!opened && !port->reconnects()) co_return opened.error();
    if (opened) stream = std::move(*opened);
  }
  const auto link =
      std::make_shared<KdLink>(executor_, name, std::move(port), [&](LinkTarget::EventSink events) {
        return back_end->make_target(std::move(target), std::move(events));
      });
  links_[device] = link;
  link->Start(std::move(stream));
  co_return link;
}

void KdService::ReleaseDriver(std::shared_ptr<KdLink> link, bool resume, std::function<void()> done) {
  const bool halted = link->target().state() == rpc::TargetState::kHalted;
  const std::string holder = link->driver() ? link->driver()->name : std::string();
  link->Release(resume, [this, link, resume, halted, holder, done = std::move(done)] {
    Log("link " + link->name() + " given back by " + holder);
    for (auto at = links_.begin(); at != links_.end(); ++at) {
      if (at->second != link) continue;
      if (halted && !resume) left_halted_.insert(at->first);
      links_.erase(at);
      break;
    }
    link->Close(Error{Errc::kClosed, "the driver of the link left"});
    done();
  });
}

std::vector<LinkReport> KdService::Status() const {
  std::vector<LinkReport> reports;
  for (const auto& [device, link] : links_) {
    LinkReport report;
    report.link = link->name();
    if (link->driver()) {
      report.holder = link->driver()->name;
      report.since = link->driver()->since;
    }
    report.observers = link->observers();
    report.status = link->Status();
    reports.push_back(std::move(report));
  }
  return reports;
}

Result<void> KdService::ReleaseLink(const std::string& link_text) {
  const Result<KernelLink> parsed = ParseKernelLink(link_text, options_.environment);
  if (!parsed) return parsed.error();
  const auto found = links_.find(DeviceOf(*parsed));
  if (found == links_.end()) return Error{Errc::kNotFound, "the link " + link_text + " is not open"};
  const auto link = found->second;
  for (KdSession* session : *sessions_) {
    if (session->role() == rpc::Role::kDriver && session->link_ == link) {
      session->Stop(Error{Errc::kClosed, "an administrator released the link"});
      session->LeaveLink();
    }
  }
  return {};
}

Result<void> KdService::EndServer(const KdSession& asker, bool force) {
  std::string others;
  for (const KdSession* session : *sessions_) {
    if (session == &asker || session->name().empty()) continue;
    others += (others.empty() ? "" : ", ") + session->name();
    if (const std::string link = session->link_name(); !link.empty()) others += " (" + link + ")";
  }
  if (others.empty()) return {};
  if (!force) {
    return Error{Errc::kBusy, "other clients are attached: " + others +
                                  "; the user who runs the server may end it all the same, with .endpsrv /f"};
  }
  if (!asker.IsOwner()) {
    return Error{Errc::kAuthentication,
                 "other clients are attached: " + others +
                     "; only the user who runs the server may end it then, through npipe: on its machine"};
  }
  return {};
}

Awaitable<void> KdService::Shutdown(std::chrono::milliseconds limit) {
  stopping_ = true;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::vector<std::shared_ptr<KdSession>> sessions;
  for (KdSession* session : *sessions_) sessions.push_back(session->shared_from_this());
  for (const auto& session : sessions) {
    session->Stop(Error{Errc::kClosed, "the server is ending"});
    session->LeaveLink();
  }
  // What a driver left halted on purpose is given back running as well: nobody will be there to resume it.
  const auto links = links_;
  for (const auto& [device, link] : links) {
    if (!link->leaving()) ReleaseDriver(link, true, [] {});
  }
  boost::asio::steady_timer pause(executor_);
  while (!links_.empty() && std::chrono::steady_clock::now() < deadline) {
    pause.expires_after(std::chrono::milliseconds(5));
    co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  sessions.clear();
  while (!sessions_->empty() && std::chrono::steady_clock::now() < deadline) {
    pause.expires_after(std::chrono::milliseconds(5));
    co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
}

}  // namespace longwire

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <ctime>
#include <span>
#include <string_view>
#include <utility>

#include "proto/kdnet/cipher.h"
#include "server/kd/kd_service.h"
#include "server/kd/link_doctor.h"
#include "server/link/raw_bridge.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

/// A driver who leaves is gone after KdLink::kReleaseLimit at the latest; then somebody else was faster.
constexpr std::chrono::milliseconds kTurnLimit = KdLink::kReleaseLimit + std::chrono::milliseconds(1000);
/// For the target of a killed server to answer, before its link is given up.
constexpr std::chrono::seconds kSettleLimit{10};

/// Two link strings of one device must meet, whatever else they say.
std::string DeviceOf(const KernelLink& link) {
  if (const auto* com = std::get_if<ComLink>(&link)) {
    if (com->kind == ComLink::Kind::kTcp) return "tcp:" + com->host + ":" + std::to_string(com->tcp_port);
    return "path:" + com->path;
  }
  if (const auto* net = std::get_if<NetLink>(&link)) {
    // One port may serve many targets, told apart by key; the name of the device is no place for the key
    // itself.
    const std::string_view key = net->key_file.empty() ? net->key.Reveal() : net->key_file;
    const auto mark = kdnet::Sha256(std::as_bytes(std::span(key)), {});
    return "net:" + std::to_string(net->port) + ":" + std::to_string(kd::Load64(mark, 0));
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

Error InUse(const std::string& link, const std::string& holder, std::chrono::system_clock::time_point since) {
  return {Errc::kLinkInUse, "the link " + link + " is in use by " + holder + " since " + FormatTime(since)};
}

Error InUse(const KdLink& link) {
  if (!link.driver()) return {Errc::kLinkInUse, "the link " + link.name() + " is about to be used by others"};
  return InUse(link.name(), link.driver()->name, link.driver()->since);
}

/// A line of the journal is a line.
bool FitsJournal(const std::string& link) {
  return std::none_of(link.begin(), link.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

std::shared_ptr<KdLink> KdService::FindLink(const std::string& device) {
  const auto open = links_.find(device);
  if (open == links_.end()) return nullptr;
  const std::shared_ptr<KdLink> link = open->second;
  // A link that is over and has no driver serves nobody; the next one opens it anew.
  if (link->over() && !link->driver() && !link->leaving()) CloseLink(link);
  if (!link->closed()) return link;
  links_.erase(device);
  return nullptr;
}

/// A place in the line of a link, given up with the object.
struct KdService::LinePlace {
  LinePlace(std::shared_ptr<Lines> all, const ChangeSignal& ring, std::string of, std::uint64_t who)
      : lines(std::move(all)), signal(ring), device(std::move(of)), id(who) {
    (*lines)[device].push_back(id);
  }
  LinePlace(const LinePlace&) = delete;
  ~LinePlace() {
    auto& line = (*lines)[device];
    std::erase(line, id);
    if (line.empty()) lines->erase(device);
    signal.Ring();
  }
  std::shared_ptr<Lines> lines;
  ChangeSignal signal;
  std::string device;
  std::uint64_t id;
};

bool KdService::IsSameLink(const KdLink& link, const std::string& text) const {
  const Result<KernelLink> parsed = ParseKernelLink(text, options_.environment);
  if (!parsed) return false;
  const auto open = links_.find(DeviceOf(*parsed));
  return open != links_.end() && open->second.get() == &link;
}

std::size_t KdService::Waiting(const KdLink& link) const {
  for (const auto& [device, open] : links_) {
    const auto line = lines_->find(device);
    if (open.get() == &link && line != lines_->end()) return line->second.size();
  }
  return 0;
}

bool KdService::Waits(const KdSession& session) const {
  return std::any_of(lines_->begin(), lines_->end(), [&session](const auto& line) {
    return std::count(line.second.begin(), line.second.end(), session.identity().id) != 0;
  });
}

// ---- opening

Awaitable<Result<KdService::Opening>> KdService::OpenLink(std::shared_ptr<KdSession> session,
                                                          rpc::OpenLink request) {
  Result<KernelLink> parsed = ParseKernelLink(request.link, options_.environment);
  if (!parsed) co_return parsed.error();
  const std::string name = FormatKernelLink(*parsed);
  if (!options_.allows(*parsed)) {
    co_return Error{Errc::kAuthentication,
                    "this server does not allow the link " + name + "; see its --links option"};
  }
  const std::string device = DeviceOf(*parsed);
  if (session->identity().role != rpc::Role::kDriver || request.watch) {
    const std::shared_ptr<KdLink> link = FindLink(device);
    if (!link) co_return Error{Errc::kNotFound, "nobody has the link " + name + " open"};
    co_return Opening{link, false, false};
  }
  std::shared_ptr<KdLink> link = FindLink(device);
  if (!IsFree(device, link)) {
    if (link && link->driver() && !link->leaving() && request.when_busy == rpc::WhenBusy::kTake)
      co_return co_await Take(link, session);
    if (auto judged = Judge(device, link, request.when_busy)) co_return std::move(*judged);
  }
  // Everybody has a place, so that nobody slips in while the first one opens the link.
  const LinePlace place(lines_, changed_, device, session->identity().id);
  const Result<void> turn = co_await AwaitTurn(device, session, request.when_busy == rpc::WhenBusy::kQueue);
  if (!turn) co_return turn.error();
  link = FindLink(device);
  if (link) co_return Opening{link, true, false};
  co_return co_await OpenFresh(*parsed, device, std::move(request));
}

Awaitable<void> KdService::Examine(std::string link_text, std::shared_ptr<Diagnosis> diagnosis) {
  const Result<KernelLink> parsed = ParseKernelLink(link_text, options_.environment);
  if (!parsed) {
    const bool unsupported = parsed.error().code == Errc::kUnsupported;
    diagnosis->Fail(DoctorStep::kDevice, unsupported ? Finding::kLinkUnsupported : Finding::kLinkString,
                    parsed.error().message);
    co_return;
  }
  const std::string name = FormatKernelLink(*parsed);
  if (!options_.allows(*parsed)) {
    diagnosis->Fail(DoctorStep::kDevice, Finding::kLinkNotAllowed,
                    "this server does not allow the link " + name + " (its --links option)");
    co_return;
  }
  const std::string device = DeviceOf(*parsed);
  const std::shared_ptr<KdLink> link = FindLink(device);
  if (link || lines_->contains(device)) {
    diagnosis->Ok(DoctorStep::kDevice, name);
    diagnosis->Ok(DoctorStep::kPermission, "this server has it open");
    diagnosis->Fail(DoctorStep::kUse, Finding::kUsedByClient,
                    (link ? InUse(*link) : BeingOpened(device)).message);
    co_return;
  }
  // A place in the line keeps the others away from the device.
  const LinePlace place(lines_, changed_, device, 0);
  Log("link " + name + " is examined");
  LinkDoctorOptions options;
  options.make_back_end = options_.make_back_end;
  options.left_halted = left_halted_.contains(device);
  const auto doctor = std::make_shared<LinkDoctor>(executor_, *parsed, std::move(options));
  co_await LinkDoctor::Run(doctor, diagnosis);
}

/// Opens what is not open.
Awaitable<Result<KdService::Opening>> KdService::OpenFresh(KernelLink parsed, std::string device,
                                                           rpc::OpenLink request) {
  Result<LinkBackEnd> back_end = options_.make_back_end(executor_, parsed);
  if (!back_end) co_return back_end.error();
  TargetOptions target = OptionsFor(FormatKernelLink(parsed));
  target.break_in = request.break_in;
  target.left_halted = left_halted_.erase(device) != 0;
  std::unique_ptr<Stream> stream;
  LinkPort* const port = back_end->port.get();
  if (port != nullptr && !port->listens()) {
    Result<std::unique_ptr<Stream>> opened = co_await port->Open();
    if (stopping_) co_return Error{Errc::kClosed, "the server is ending"};
    if (!opened && !port->reconnects()) co_return opened.error();
    if (opened) stream = std::move(*opened);
  }
  std::unique_ptr<LinkJournal> journal;
  if (!server_.empty()) {
    auto made = LinkJournal::Open(options_.state_directory, server_, device);
    if (made) {
      journal = std::move(*made);
    } else {
      Warn("no journal for " + FormatKernelLink(parsed) + ": " + made.error().message +
           "; a restarted server will not know this link");
    }
  }
  const auto link = MakeLink(parsed, device, std::move(*back_end), std::move(target), std::move(journal));
  link->Start(std::move(stream));
  co_return Opening{link, true, false};
}

TargetOptions KdService::OptionsFor(const std::string& name) const {
  TargetOptions target = options_.target;
  target.log = [log = options_.log, name](const std::string& text) { log("link " + name + ": " + text); };
  return target;
}

std::shared_ptr<KdLink> KdService::MakeLink(const KernelLink& parsed, const std::string& device,
                                            LinkBackEnd back_end, TargetOptions target,
                                            std::unique_ptr<LinkJournal> journal) {
  const std::string name = FormatKernelLink(parsed);
  const auto link = std::make_shared<KdLink>(
      executor_, name, std::move(back_end.port),
      [&](LinkTarget::EventSink events) {
        return back_end.make_target(std::move(target), std::move(events));
      },
      options_.scroll_back);
  if (journal && FitsJournal(name)) {
    JournalEntry entry;
    entry.link = name;
    const auto* net = std::get_if<NetLink>(&parsed);
    entry.needs_key = net != nullptr && net->key_file.empty();
    link->Keep(std::move(journal), std::move(entry), [warn = options_.warn, name](const Error& error) {
      warn("the journal of " + name + " cannot be written: " + error.message +
           "; a server restarted now may not know this link as it is");
    });
  }
  links_[device] = link;
  return link;
}

bool KdService::IsFree(const std::string& device, const std::shared_ptr<KdLink>& link) const {
  return !lines_->contains(device) && (!link || (!link->driver() && !link->leaving()));
}

Error KdService::BeingOpened(const std::string& device) const {
  const auto loan = loans_->find(device);
  if (loan != loans_->end()) return InUse(loan->second.link, loan->second.holder, loan->second.since);
  return {Errc::kLinkInUse,
          "the link is being opened or examined by another client; join the line to wait for it"};
}

Awaitable<void> KdService::PassThrough(std::string link_text, std::shared_ptr<Stream> peer) {
  const std::string holder = "raw@" + peer->peer().address;
  const auto refuse = [&](const std::string& why) {
    Log(holder + " refused: " + why);
    peer->Close();
  };
  if (stopping_) co_return refuse("the server is ending");
  const Result<KernelLink> parsed = ParseKernelLink(link_text, options_.environment);
  if (!parsed) co_return refuse(parsed.error().message);
  if (!options_.allows(*parsed))
    co_return refuse("this server does not allow the link; see its --links option");
  const std::string device = DeviceOf(*parsed);
  const std::string name = FormatKernelLink(*parsed);
  const std::shared_ptr<KdLink> link = FindLink(device);
  if (link) co_return refuse(InUse(*link).message);
  if (lines_->contains(device)) co_return refuse(BeingOpened(device).message);
  Result<LinkBackEnd> back_end = options_.make_back_end(executor_, *parsed);
  if (!back_end) co_return refuse(back_end.error().message);
  if (!back_end->port)
    co_return refuse("the link " + name + " has no line whose bytes could be passed through");

  const auto log = options_.log;  // this object may be gone when the peer is
  const LinePlace place(lines_, changed_, device, 0);
  (*loans_)[device] = Loan{name, holder, std::chrono::system_clock::now(), peer};
  log("link " + name + " passed through to " + holder);
  const auto loans = loans_;
  const Result<void> ended = co_await BridgeLink(executor_, std::move(back_end->port), peer);
  loans->erase(device);
  log("link " + name + " given back by " + holder + (ended ? "" : ": " + ended.error().message));
}

std::optional<Result<KdService::Opening>> KdService::Judge(const std::string& device,
                                                           const std::shared_ptr<KdLink>& link,
                                                           rpc::WhenBusy when_busy) {
  const auto line = lines_->find(device);
  const bool held = link && link->driver() && !link->leaving() && !link->driver()->lost;
  const bool wanted = line != lines_->end();
  if (when_busy == rpc::WhenBusy::kObserve && link && (held || wanted))
    return Result<Opening>(Opening{link, false, false});
  if (when_busy == rpc::WhenBusy::kQueue) {
    if (!wanted || line->second.size() < kMaxWaiting) return std::nullopt;
    return Result<Opening>(
        Error{Errc::kLimitExceeded, "too many clients wait for that link; try again later"});
  }
  if (held) return Result<Opening>(InUse(*link));
  if (!wanted) return std::nullopt;  // the driver is leaving, or lost
  return Result<Opening>(BeingOpened(device));
}

Awaitable<Result<void>> KdService::AwaitTurn(std::string device, std::shared_ptr<KdSession> session,
                                             bool patient) {
  const std::uint64_t id = session->identity().id;
  const auto lines = lines_;
  const Clock::time_point give_up =
      patient ? Clock::time_point::max() : Clock::now() + options_.kept_at_least + kTurnLimit;
  std::size_t told = 0;
  for (;;) {
    if (stopping_) co_return Error{Errc::kClosed, "the server is ending"};
    if (session->opening_cancelled()) co_return Error{Errc::kCancelled, "cancelled"};
    const std::shared_ptr<KdLink> link = FindLink(device);
    const auto& line = (*lines)[device];
    const auto before = std::find(line.begin(), line.end(), id) - line.begin();
    const bool held = link && link->driver() && !link->leaving() && !link->driver()->lost;
    if (before == 0 && (!link || (!link->driver() && !link->leaving()))) co_return Result<void>();
    if (!patient && (held || Clock::now() >= give_up)) {
      if (link) co_return InUse(*link);
      co_return Error{Errc::kLinkInUse, "another client was faster; try again"};
    }
    if (const auto position = static_cast<std::size_t>(before) + 1; patient && position != told) {
      told = position;
      session->Tell(rpc::LinkQueued{static_cast<std::uint32_t>(position),
                                    link && link->driver() ? link->driver()->name : std::string(),
                                    link ? link->name() : std::string()});
    }
    Clock::time_point look_again = std::min(give_up, Clock::now() + std::chrono::hours(1));
    if (link && link->driver() && link->driver()->lost && !link->leaving()) {
      const Clock::time_point over = *link->driver()->lost + options_.kept_at_least;
      const auto holder = FindSession(link->driver()->id);
      if (Clock::now() >= over && holder) {
        EndLost(*holder, session->name() + " asked for the link");
        continue;
      }
      look_again = std::min(look_again, over);
    }
    co_await changed_.Wait(look_again);
  }
}

Awaitable<Result<KdService::Opening>> KdService::Take(std::shared_ptr<KdLink> link,
                                                      std::shared_ptr<KdSession> session) {
  const std::shared_ptr<KdSession> holder = FindSession(link->driver()->id);
  Log("link " + link->name() + " taken from " + link->driver()->name + " by " + session->name());
  const bool lost = link->driver()->lost.has_value();
  const auto taken = std::make_shared<std::optional<bool>>();
  session->Enter(link);  // whatever ends the session now takes it out of the link
  link->ChangeDriver(session->AsMember(), KdLink::Why::kTaken, [taken, signal = changed_](bool done) {
    *taken = done;
    signal.Ring();
  });
  if (lost && holder) EndLost(*holder, session->name() + " took the link");
  const auto limit = Clock::now() + kTurnLimit;
  while (!taken->has_value() && Clock::now() < limit) co_await changed_.Wait(limit);
  if (!taken->value_or(false))
    co_return Error{Errc::kLinkInUse, "the link could not be taken over; try again"};
  co_return Opening{link, true, true};
}

// ---- leaving

void KdService::ReleaseDriver(std::shared_ptr<KdLink> link, Parting parting, KdLink::Why why,
                              std::function<void()> done) {
  const std::string holder = link->driver() ? link->driver()->name : std::string();
  link->Release(parting, why, [this, link, holder, done = std::move(done)] {
    Log("link " + link->name() + " given back by " + holder);
    if (link->observers() == 0 || stopping_) CloseLink(link);
    changed_.Ring();
    done();
  });
}

void KdService::CloseIfUnused(std::shared_ptr<KdLink> link) {
  if (!link->closed() && !link->leaving() && !link->driver() && link->observers() == 0) CloseLink(link);
}

void KdService::CloseLink(const std::shared_ptr<KdLink>& link) {
  const bool halted = link->target().state() == rpc::TargetState::kHalted;
  for (auto at = links_.begin(); at != links_.end(); ++at) {
    if (at->second != link) continue;
    if (halted) left_halted_.insert(at->first);
    links_.erase(at);
    break;
  }
  link->EndJournal();
  link->Close(Error{Errc::kClosed, "the driver of the link left"});
  changed_.Ring();
}

void KdService::TakeDriver(KdSession& session, bool force, Done done) {
  const std::shared_ptr<KdLink> link = session.link();
  if (!link) return done(Error{Errc::kTargetOffline, "no kernel link is open; open one first"});
  if (session.Drives()) return done({});
  if (link->leaving()) return done(Error{Errc::kLinkInUse, "the driver of the link is changing; try again"});
  if (!link->driver()) {
    Log("link " + link->name() + " taken by " + session.name());
    link->SetDriver(session.AsMember(), KdLink::Why::kTaken);
    changed_.Ring();
    return done({});
  }
  const bool lost = link->driver()->lost.has_value();
  if (!lost && !force) return done(InUse(*link));
  const std::shared_ptr<KdSession> holder = FindSession(link->driver()->id);
  Log("link " + link->name() + " taken from " + link->driver()->name + " by " + session.name());
  link->ChangeDriver(session.AsMember(), KdLink::Why::kTaken, [this, done = std::move(done)](bool changed) {
    changed_.Ring();
    done(changed ? Result<void>() : Error{Errc::kClosed, "the client left meanwhile"});
  });
  if (lost && holder) EndLost(*holder, session.name() + " took the link");
}

void KdService::HandOver(KdSession& session, std::uint64_t client, Done done) {
  const std::shared_ptr<KdLink> link = session.link();
  if (!session.Drives()) return done(Error{Errc::kFenced, "only the driver of the link may hand it over"});
  const std::shared_ptr<KdSession> heir = FindSession(client);
  if (!heir || heir.get() == &session || heir->link() != link || !heir->connected()) {
    return done(Error{Errc::kNotFound,
                      "no client " + std::to_string(client) + " observes the link; it has to join first"});
  }
  if (!heir->identity().knows_roles)
    return done(Error{Errc::kUnsupported, heir->name() + " uses a version that cannot become the driver"});
  Log("link " + link->name() + " handed over by " + session.name() + " to " + heir->name());
  link->ChangeDriver(
      heir->AsMember(), KdLink::Why::kHandedOver, [this, done = std::move(done)](bool changed) {
        changed_.Ring();
        done(changed ? Result<void>() : Error{Errc::kClosed, "the other client left meanwhile"});
      });
}

// ---- a server that was killed

void KdService::Restore(std::string server) {
  if (options_.state_directory.empty()) return;
  server_ = std::move(server);
  auto found = LinkJournal::TakeOver(options_.state_directory, server_, options_.warn);
  for (LinkJournal::Found& one : found) RestoreLink(std::move(one));
}

void KdService::RestoreLink(LinkJournal::Found found) {
  JournalEntry& entry = found.entry;
  const std::string what = "link " + entry.link + ", held by " +
                           (entry.driver.empty() ? std::string("nobody") : entry.driver) +
                           " when its server ended: ";
  const auto give_up = [&](const std::string& why) {
    Warn(what + why + "; breakpoints may stand in its target until a client opens it");
    found.journal->Remove();
  };
  if (entry.needs_key) return give_up("only a client has the key");
  const Result<KernelLink> parsed = ParseKernelLink(entry.link, options_.environment);
  if (!parsed) return give_up(parsed.error().message);
  if (!options_.allows(*parsed)) return give_up("this server does not allow it, see --links");
  Result<LinkBackEnd> back_end = options_.make_back_end(executor_, *parsed);
  if (!back_end) return give_up(back_end.error().message);

  entry.keep_ms = std::min(entry.keep_ms, static_cast<std::uint64_t>(options_.keep.count()));
  const bool keep = !entry.token.empty() && entry.keep_ms != 0;
  if (!keep) {
    entry.target.breakpoints.clear();
    entry.target.stop_on_module = entry.target.break_on_reboot = false;
  }
  const std::string device = DeviceOf(*parsed);
  const auto link =
      MakeLink(*parsed, device, std::move(*back_end), OptionsFor(entry.link), std::move(found.journal));
  KdSession::Identity identity;
  identity.id = std::max(last_client_ + 1, entry.client);
  last_client_ = identity.id;
  identity.name = entry.driver;
  identity.token = keep ? entry.token : std::vector<std::byte>{};
  identity.keep_ms = keep ? entry.keep_ms : 0;
  identity.knows_roles = identity.knows_history = true;
  const auto session = std::make_shared<KdSession>(executor_, *this, std::move(identity));
  link->Inherit(entry, session->AsMember(), Clock::now() + std::chrono::milliseconds(entry.keep_ms));
  session->Inherit(link);
  sessions_.push_back(session);
  Warn(what + "taken back; " +
       (keep ? "its breakpoints (" + std::to_string(entry.target.breakpoints.size()) + ") are kept for " +
                   std::to_string(entry.keep_ms / 1000) + " s"
             : std::string("its breakpoints are taken out")));
  link->Start(nullptr);
  if (!keep) boost::asio::co_spawn(executor_, Settle(link, session->identity().id), boost::asio::detached);
}

/// Gives back a link that was only taken to clean up, once its target has answered.
Awaitable<void> KdService::Settle(std::shared_ptr<KdLink> link, std::uint64_t holder) {
  const auto limit = Clock::now() + kSettleLimit;
  const auto settled = [&link] {
    const rpc::TargetState state = link->target().state();
    return state == rpc::TargetState::kRunning || state == rpc::TargetState::kHalted;
  };
  while (!link->closed() && !settled() && Clock::now() < limit)
    co_await changed_.Wait(Clock::now() + std::chrono::milliseconds(10));
  if (link->closed() || stopping_) co_return;
  if (!settled()) Warn("link " + link->name() + ": the target does not answer; given back as it is");
  if (const auto session = FindSession(holder)) EndLost(*session, "the server was restarted");
}

}  // namespace longwire

#include "server/kd/kd_service.h"

#include <sys/random.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "transport/candidates.h"
#include "transport/line_limit.h"
#include "transport/server_security.h"

namespace longwire {
namespace {

constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kEndedKept = 64;
constexpr std::size_t kNameBytes = 64;

/// A name that a peer gave itself, fit for logs and for the terminals of others.
std::string Printable(std::string name) {
  if (name.size() > kNameBytes) name.resize(kNameBytes);
  for (char& c : name) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return name;
}

/// Empty if the system has no randomness to give: the session then ends with its connection.
std::vector<std::byte> NewToken() {
  std::vector<std::byte> token(kTokenBytes);
  if (::getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size())) token.clear();
  return token;
}

/// Takes the same time wherever they differ.
bool SameToken(const std::vector<std::byte>& left, const std::vector<std::byte>& right) {
  if (left.empty() || left.size() != right.size()) return false;
  std::byte difference{};
  for (std::size_t i = 0; i < left.size(); ++i) difference |= left[i] ^ right[i];
  return difference == std::byte{};
}

bool Has(const std::vector<std::string>& capabilities, std::string_view one) {
  return std::find(capabilities.begin(), capabilities.end(), one) != capabilities.end();
}

}  // namespace

/// Connections whose Hello has not come. They are all `silent`: what there was to prove was proved before.
struct KdService::Greetings {
  Candidates candidates;
  LineLimit refusals;
  bool over = false;  ///< the service is gone
};

KdService::KdService(Executor executor, KdServiceOptions options)
    : executor_(executor),
      options_(std::move(options)),
      greetings_(std::make_shared<Greetings>()),
      changed_(std::move(executor)) {}

KdService::~KdService() {
  greetings_->over = true;
  stopping_ = true;
  const auto sessions = std::exchange(sessions_, {});  // the links still know them
  for (const auto& session : sessions) session->Abandon();
  for (const auto& [device, link] : std::exchange(links_, {}))
    link->Close(Error{Errc::kClosed, "the server ended"});
}

// ---- clients

Awaitable<void> KdService::Serve(std::unique_ptr<Stream> stream) {
  const std::shared_ptr<Greetings> greetings = greetings_;
  const std::shared_ptr<RpcChannel> channel =
      RpcChannel::Make(executor_, std::move(stream), options_.channel);
  std::shared_ptr<KdSession> session;
  std::uint64_t seen = 0;
  {
    const Candidates::Place place(
        greetings->candidates, [&channel = *channel] { channel.Close(); }, HostOf(channel->peer()));
    rpc::Welcome welcome;
    welcome.software = options_.software;
    welcome.capabilities = {rpc::kRolesCapability,       rpc::kScrollBackCapability,
                            rpc::kDiagnoseCapability,    rpc::kStepProcessorCapability,
                            rpc::kPacketTraceCapability, rpc::kLineSpeedCapability};
    if (options_.keep.count() > 0) welcome.capabilities.push_back(rpc::kResumeCapability);
    WelcomeCompletion admit = [&](const rpc::Hello& said, rpc::Welcome& answer) -> Result<void> {
      if (greetings->over) return Error{Errc::kClosed, "the server ended"};
      auto admitted = Admit(said, channel->peer(), answer);
      if (!admitted) return admitted.error();
      session = std::move(*admitted);
      seen = said.last_event;
      return {};
    };
    const Result<rpc::Hello> hello = co_await GreetClient(*channel, std::move(welcome), std::move(admit));
    if (greetings->over) co_return;
    if (!hello) {
      if (const auto skipped = greetings->refusals.Take(std::chrono::steady_clock::now())) {
        const bool pushed_out = hello.error().code == Errc::kCancelled && !stopping_;
        Log("client " + channel->peer().address +
            " refused: " + (pushed_out ? "it said nothing, and newer ones came" : hello.error().message) +
            (*skipped > 0 ? " (" + std::to_string(*skipped) + " more such lines were left out)" : ""));
      }
      co_return;
    }
  }
  const bool known = std::find(sessions_.begin(), sessions_.end(), session) != sessions_.end();
  if (!known) sessions_.push_back(session);
  Log("client " + session->name() + (known ? " came back from " : " connected from ") +
      channel->peer().address);
  co_await session->Serve(channel, seen);
}

bool KdService::IsFull() const {
  const auto connected = std::count_if(sessions_.begin(), sessions_.end(),
                                       [](const auto& session) { return session->connected(); });
  return static_cast<std::size_t>(connected) >= kMaxSessions;
}

/// The session of a Hello, new or an earlier one, and what the Welcome says of it.
Result<std::shared_ptr<KdSession>> KdService::Admit(const rpc::Hello& hello, const PeerInfo& peer,
                                                    rpc::Welcome& welcome) {
  const bool keeps = Has(hello.capabilities, rpc::kResumeCapability);
  if (keeps && !hello.resume_token.empty()) {
    if (const auto session = FindLost(hello, peer, welcome.notice)) {
      welcome.resume_token = session->identity().token;
      welcome.keep_ms = session->identity().keep_ms;
      welcome.resumed = true;
      welcome.restarted = session->inherited();
      welcome.next_event = session->NextEvent(hello.last_event);
      return session;
    }
  }
  if (IsFull()) return Error{Errc::kBusy, "the server has too many clients; try again later"};
  KdSession::Identity identity;
  identity.id = ++last_client_;
  identity.name = (hello.user.empty() ? std::string("unknown") : Printable(hello.user)) + "@" +
                  (hello.host.empty() ? peer.address : Printable(hello.host));
  identity.role = hello.role;
  if (peer.user_id) identity.user_id = *peer.user_id;
  const auto longest = static_cast<std::uint64_t>(options_.keep.count());
  identity.keep_ms = keeps ? std::min(hello.keep_ms.value_or(longest), longest) : 0;
  if (identity.keep_ms != 0) identity.token = NewToken();
  identity.knows_roles = Has(hello.capabilities, rpc::kRolesCapability);
  identity.knows_history = Has(hello.capabilities, rpc::kScrollBackCapability);
  welcome.resume_token = identity.token;
  welcome.keep_ms = identity.token.empty() ? 0 : identity.keep_ms;
  return std::make_shared<KdSession>(executor_, *this, std::move(identity));
}

std::shared_ptr<KdSession> KdService::FindLost(const rpc::Hello& hello, const PeerInfo& peer,
                                               std::string& notice) {
  for (const auto& session : sessions_) {
    if (!SameToken(session->identity().token, hello.resume_token)) continue;
    const auto& owner = session->identity().user_id;
    if (owner && (!peer.user_id || *peer.user_id != *owner)) {
      notice = "the session belongs to another user of the server's machine";
      return nullptr;
    }
    return session;
  }
  notice = "the server does not know the session any more";
  for (const auto& [token, became] : ended_sessions_) {
    if (SameToken(token, hello.resume_token)) notice = became;
  }
  return nullptr;
}

std::shared_ptr<KdSession> KdService::FindSession(std::uint64_t id) const {
  const auto found = std::find_if(sessions_.begin(), sessions_.end(),
                                  [id](const auto& session) { return session->identity().id == id; });
  return found == sessions_.end() ? nullptr : *found;
}

bool KdService::MayKeep() const {
  const auto lost = std::count_if(sessions_.begin(), sessions_.end(),
                                  [](const auto& session) { return !session->connected(); });
  return !stopping_ && static_cast<std::size_t>(lost) <= kMaxLost;
}

void KdService::EndLost(KdSession& session, const std::string& why) {
  Log("session of " + session.name() + " ended: " + why);
  ended_sessions_.emplace_back(session.identity().token, "the session was ended: " + why);
  if (ended_sessions_.size() > kEndedKept) ended_sessions_.pop_front();
  session.End(options_.on_lost, KdLink::Why::kLeft);
}

void KdService::Forget(KdSession& session) {
  std::erase_if(sessions_, [&session](const auto& one) { return one.get() == &session; });
  changed_.Ring();
}

rpc::ClientList KdService::ListClients(const KdSession& asker) const {
  rpc::ClientList list;
  for (const auto& session : sessions_) {
    if (!asker.link() || session->link() == asker.link() || Waits(*session))
      list.clients.push_back(session->Describe(&asker));
  }
  return list;
}

Result<void> KdService::Evict(const KdSession& asker, std::uint64_t client) {
  if (!asker.IsOwner()) {
    return Error{Errc::kAuthentication,
                 "only the user who runs the server may end the session of another client, through npipe: on "
                 "its machine"};
  }
  const auto session = FindSession(client);
  if (!session || session.get() == &asker)
    return Error{Errc::kNotFound, "there is no other client " + std::to_string(client)};
  Log("client " + session->name() + " evicted by " + asker.name());
  session->Stop(Error{Errc::kClosed, asker.name() + " ended this session"}, KdLink::Why::kEvicted);
  return {};
}

Result<void> KdService::ReleaseLink(const std::string& link_text) {
  for (const auto& [device, link] : links_) {
    if (!IsSameLink(*link, link_text)) continue;
    const auto released = link;
    const auto sessions = sessions_;
    for (const auto& session : sessions) {
      if (session->link() != released || !session->Drives()) continue;
      const Error why{Errc::kClosed, "an administrator released the link"};
      if (!session->connected()) {
        EndLost(*session, why.message);
      } else {
        session->Stop(why, KdLink::Why::kEvicted);
      }
      break;
    }
    return {};
  }
  const Result<KernelLink> parsed = ParseKernelLink(link_text, options_.environment);
  for (const auto& [device, loan] : *loans_) {
    if (!parsed || FormatKernelLink(*parsed) != loan.link) continue;
    loan.peer->Close();
    return {};
  }
  return Error{Errc::kNotFound, "the link " + link_text + " is not open"};
}

Result<void> KdService::EndServer(const KdSession& asker, bool force) {
  std::string others;
  for (const auto& session : sessions_) {
    if (session.get() == &asker) continue;
    others += (others.empty() ? "" : ", ") + session->name();
    if (session->link()) others += " (" + session->link()->name() + ")";
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

std::vector<LinkReport> KdService::Status() const {
  std::vector<LinkReport> reports;
  for (const auto& [device, link] : links_) {
    LinkReport report;
    report.link = link->name();
    if (link->driver()) {
      report.holder = link->driver()->name;
      report.since = link->driver()->since;
    }
    report.status = link->Status();
    report.status.waiting = static_cast<std::uint32_t>(Waiting(*link));
    const auto line = lines_->find(device);
    for (const auto& session : sessions_) {
      const bool waits = line != lines_->end() &&
                         std::count(line->second.begin(), line->second.end(), session->identity().id) != 0;
      if (session->link() == link || waits) report.clients.push_back(session->Describe(nullptr));
    }
    reports.push_back(std::move(report));
  }
  for (const auto& [device, loan] : *loans_) {
    LinkReport report;
    report.link = report.status.link = loan.link;
    report.holder = report.status.holder = loan.holder;
    report.since = loan.since;
    reports.push_back(std::move(report));
  }
  return reports;
}

Awaitable<void> KdService::Shutdown(std::chrono::milliseconds limit) {
  stopping_ = true;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto sessions = sessions_;
  // What a policy would leave halted is given back running as well: nobody will be there to resume it.
  options_.on_lost = Parting::kResume;
  for (const auto& session : sessions)
    session->Stop(Error{Errc::kClosed, "the server is ending"}, KdLink::Why::kLeft);
  greetings_->candidates.CloseAll();
  for (const auto& [device, loan] : *loans_) loan.peer->Close();
  const auto links = links_;
  for (const auto& [device, link] : links) {
    if (!link->leaving()) ReleaseDriver(link, Parting::kResume, KdLink::Why::kLeft, [] {});
  }
  boost::asio::steady_timer pause(executor_);
  while ((!links_.empty() || !loans_->empty() || *farewells_ > 0) &&
         std::chrono::steady_clock::now() < deadline) {
    pause.expires_after(std::chrono::milliseconds(5));
    co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
}

}  // namespace longwire

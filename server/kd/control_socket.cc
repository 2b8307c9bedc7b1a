#include "server/kd/control_socket.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <ostream>
#include <utility>

#include "transport/deadline.h"
#include "transport/endpoint_pipe.h"
#include "transport/pipe_directory.h"

namespace longwire {
namespace {

constexpr std::string_view kPrefix = ".kdsrv-", kSuffix = ".control";
constexpr std::size_t kMaxRequest = 4096, kMaxAnswer = 1u << 20;
constexpr std::chrono::milliseconds kAnswerLimit{2000}, kAcceptPause{100};

std::string_view StateName(rpc::TargetState state) {
  switch (state) {
    case rpc::TargetState::kOffline: return "offline";
    case rpc::TargetState::kSynchronizing: return "synchronizing";
    case rpc::TargetState::kRunning: return "running";
    case rpc::TargetState::kHalted: return "halted";
  }
  return "unknown";
}

/// Names come from clients: nothing of them may leave the quotes or reach a terminal as a control code.
std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned char>(c));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string_view RoleName(const rpc::Client& client) {
  if (client.waiting) return "waits";
  switch (client.role) {
    case rpc::Role::kDriver: return "driver";
    case rpc::Role::kObserver: return "observer";
    case rpc::Role::kAdmin: return "admin";
  }
  return "unknown";
}

std::string JsonOf(const LinkReport& report) {
  const auto number = [](const char* key, std::uint64_t value) {
    return ",\"" + std::string(key) + "\":" + std::to_string(value);
  };
  const auto flag = [](const char* key, bool value) {
    return ",\"" + std::string(key) + "\":" + (value ? "true" : "false");
  };
  const rpc::LinkStatus& status = report.status;
  const auto since =
      std::chrono::duration_cast<std::chrono::seconds>(report.since.time_since_epoch()).count();
  std::string text = "{\"link\":" + Quote(report.link) + ",\"state\":\"" +
                     std::string(StateName(status.state)) + "\",\"holder\":" + Quote(report.holder);
  text += number("since", static_cast<std::uint64_t>(since)) + flag("lost", status.lost) +
          number("kept_ms", status.kept_ms) + number("observers", status.observers) +
          number("waiting", status.waiting) + number("bytes_received", status.bytes_received) +
          number("bytes_sent", status.bytes_sent) + number("exchanges", status.exchanges) + ",\"clients\":[";
  bool first = true;
  for (const rpc::Client& client : report.clients) {
    text += std::string(first ? "" : ",") + "{\"id\":" + std::to_string(client.id) +
            ",\"name\":" + Quote(client.name) + ",\"role\":\"" + std::string(RoleName(client)) + "\"" +
            number("since", client.since) + flag("lost", client.lost) + number("kept_ms", client.kept_ms) +
            number("queued_bytes", client.queued_bytes) + number("skipped_bytes", client.skipped_bytes) + "}";
    first = false;
  }
  return text + "]}";
}

std::string TextOf(const LinkReport& report) {
  const rpc::LinkStatus& status = report.status;
  std::string text = report.link + "  " + std::string(StateName(status.state)) + "  ";
  text += report.holder.empty() ? "held by nobody" : "held by " + Quote(report.holder);
  if (status.lost) text += " (lost, kept for " + std::to_string(status.kept_ms / 1000) + " s)";
  text += ", " + std::to_string(status.observers) + " observers, " + std::to_string(status.waiting) +
          " waiting, " + std::to_string(status.exchanges) + " exchanges\n";
  for (const rpc::Client& client : report.clients) {
    text += "    client " + std::to_string(client.id) + "  " + std::string(RoleName(client)) + "  " +
            Quote(client.name) + (client.lost ? "  lost" : "") + "  " + std::to_string(client.queued_bytes) +
            " bytes queued, " + std::to_string(client.skipped_bytes) + " skipped\n";
  }
  return text;
}

/// One question to one server; empty: it did not answer.
std::string AskServer(const std::string& path, const std::string& question) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return {};
  const timeval limit{2, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  std::string answer;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::send(socket, question.data(), question.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(question.size())) {
    char buffer[4096];
    for (ssize_t size;
         answer.size() < kMaxAnswer && (size = ::recv(socket, buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(size));
    }
  }
  ::close(socket);
  return answer;
}

std::vector<std::string> ControlPaths() {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(PipeDirectory(ProcessEnvironment()), error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) paths.push_back(entry.path().string());
  }
  return paths;
}

}  // namespace

std::string FormatStatus(const ServerReport& report, bool json) {
  std::string text;
  if (!json) {
    text = "server " + std::to_string(report.pid) + "  " + report.endpoint + "  " + report.state;
    if (report.next_attempt) {
      const auto left = std::chrono::ceil<std::chrono::seconds>(*report.next_attempt);
      text += ", next attempt in " + std::to_string(left.count()) + " s";
    }
    text += report.links.empty() ? "\nno link is open\n" : "\n";
    for (const LinkReport& link : report.links) text += TextOf(link);
    return text;
  }
  text = "{\"server\":" + Quote(report.endpoint) + ",\"pid\":" + std::to_string(report.pid) +
         ",\"state\":" + Quote(report.state);
  if (report.next_attempt) text += ",\"next_attempt_ms\":" + std::to_string(report.next_attempt->count());
  text += ",\"links\":[";
  for (std::size_t i = 0; i < report.links.size(); ++i) text += (i > 0 ? "," : "") + JsonOf(report.links[i]);
  return text + "]}";
}

ControlSocket::ControlSocket(Executor executor, KdService& service)
    : executor_(std::move(executor)), service_(service) {}

ControlSocket::~ControlSocket() { Close(); }

Result<void> ControlSocket::Bind(const Listener& listener) {
  listener_ = &listener;
  const Environment environment = ProcessEnvironment();
  if (auto prepared = PreparePipeDirectory(environment); !prepared) return prepared;
  const std::string path = PipeDirectory(environment) + "/" + std::string(kPrefix) +
                           std::to_string(::getpid()) + std::string(kSuffix);
  auto acceptor = BindLocalSocket(executor_, path);
  if (!acceptor) return acceptor.error();
  acceptor_ = std::move(*acceptor);
  return {};
}

void ControlSocket::Close() {
  if (acceptor_) acceptor_->Close();
}

Awaitable<void> ControlSocket::Run() {
  if (!acceptor_) co_return;
  for (;;) {
    Result<std::unique_ptr<Stream>> stream = co_await acceptor_->Accept();
    if (!stream && stream.error().code == Errc::kCancelled) co_return;
    if (!stream) {
      // Too many open files, say: that passes.
      boost::asio::steady_timer pause(executor_, kAcceptPause);
      co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      continue;
    }
    co_await Answer(std::move(*stream));
  }
}

Awaitable<void> ControlSocket::Answer(std::unique_ptr<Stream> stream) {
  const ScopedDeadline deadline(executor_, kAnswerLimit, [&stream] { stream->Close(); });
  std::string request;
  while (request.size() < kMaxRequest && request.find('\n') == std::string::npos) {
    char buffer[512];
    Result<std::size_t> size = co_await stream->ReadSome(std::as_writable_bytes(std::span(buffer)));
    if (!size || *size == 0) co_return;
    request.append(buffer, *size);
  }
  request.resize(std::min(request.find('\n'), request.size()));
  std::string answer;
  if (request == "status json" || request == "status text") {
    const ServerReport report{::getpid(), FormatEndpoint(listener_->endpoint()), listener_->state(),
                              listener_->next_attempt(), service_.Status()};
    answer = FormatStatus(report, request == "status json") + "\n";
  } else if (request.starts_with("release ")) {
    const Result<void> released = service_.ReleaseLink(request.substr(8));
    answer = released ? "released\n" : "error: " + released.error().message + "\n";
  }
  Result<void> written = co_await stream->WriteAll(std::as_bytes(std::span(answer)));
  static_cast<void>(written);
}

int PrintStatus(bool json, std::ostream& out) {
  std::string all;
  bool any = false;
  for (const std::string& path : ControlPaths()) {
    std::string answer = AskServer(path, json ? "status json\n" : "status text\n");
    if (answer.empty()) continue;  // a server that died left its socket
    any = true;
    answer.pop_back();
    if (json && !all.empty()) all += ",";
    all += answer;
  }
  if (json) {
    out << "[" << all << "]\n";
  } else {
    out << (any ? all : "no kdsrv of this user is running\n");
  }
  return 0;
}

int AskRelease(const std::string& link, std::ostream& out) {
  std::string last = "error: no kdsrv of this user is running\n";
  for (const std::string& path : ControlPaths()) {
    const std::string answer = AskServer(path, "release " + link + "\n");
    if (answer == "released\n") {
      out << answer;
      return 0;
    }
    if (!answer.empty()) last = answer;
  }
  out << last;
  return 1;
}

}  // namespace longwire

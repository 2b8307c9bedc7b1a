#include "transport/remote_pipe.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "transport/child_command.h"
#include "transport/connection_string.h"
#include "transport/deadline.h"
#include "transport/scoped_descriptor.h"
#include "transport/socket_stream.h"

namespace longwire {
namespace {

class CommandStream final : public Stream {
 public:
  CommandStream(std::unique_ptr<Stream> stream, std::unique_ptr<ChildCommand> command,
                ScopedDescriptor complaints, std::string place)
      : stream_(std::move(stream)), command_(std::move(command)), complaints_(std::move(complaints)) {
    peer_.address = std::move(place);
  }
  ~CommandStream() override { stream_->Close(); }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    return stream_->ReadSome(out);
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return stream_->WriteAll(head, body);
  }
  std::size_t TryWrite(std::span<const std::byte> data) noexcept override { return stream_->TryWrite(data); }
  Awaitable<Result<void>> ShutdownWrite() override { return stream_->ShutdownWrite(); }
  void Close() noexcept override { stream_->Close(); }
  const PeerInfo& peer() const noexcept override { return peer_; }

 private:
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<ChildCommand> command_;
  ScopedDescriptor complaints_;  ///< open, so that a warning does not end the command
  PeerInfo peer_;
};

/// The last line of what the command said on its error output: ssh gives its reason there, after any banner.
std::string Complaint(int errors) {
  std::array<char, 4096> bytes{};
  const ssize_t count = ::read(errors, bytes.data(), bytes.size());
  std::string_view text(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  if (const std::size_t line = text.find_last_of("\r\n"); line != std::string_view::npos) {
    text.remove_prefix(line + 1);
  }
  std::string printable(text.substr(0, 300));
  for (char& c : printable) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = '?';
  }
  return printable;
}

/// Reads the greeting; the text that came instead is an error.
Awaitable<Result<bool>> ReadGreeting(Stream& stream) {
  std::string text;
  while (text.size() < kPipeGreeting.size()) {
    std::array<std::byte, 32> bytes{};
    const auto count = co_await stream.ReadSome(std::span(bytes).first(kPipeGreeting.size() - text.size()));
    if (!count) co_return count.error();
    if (*count == 0) co_return !text.empty();
    text.append(reinterpret_cast<const char*>(bytes.data()), *count);
    if (!kPipeGreeting.starts_with(text)) co_return true;
  }
  co_return Error{Errc::kClosed, "greeted"};
}

}  // namespace

Awaitable<RemotePipeTry> TryRemotePipe(Executor executor, std::string host, std::string pipe,
                                       Environment environment, std::chrono::milliseconds limit,
                                       std::function<void()> started) {
  using End = RemotePipeTry::End;
  RemotePipeTry outcome;
  std::vector<std::string> words = RemoteShell(environment);
  outcome.program = words[0];
  words.insert(words.end(), {host, "kdsrv", "--connect-pipe", pipe});
  std::array<int, 2> both{-1, -1}, errors{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both.data()) != 0) {
    outcome.number = errno;
    co_return outcome;
  }
  ScopedDescriptor far(both[1]);
  boost::asio::local::stream_protocol::socket near(executor, boost::asio::local::stream_protocol(), both[0]);
  if (::pipe2(errors.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    outcome.number = errno;
    co_return outcome;
  }
  ScopedDescriptor complaints(errors[0]), complain(errors[1]);
  auto command = std::make_unique<ChildCommand>();
  if (const int failure = command->Start(words, far.get(), far.get(), complain.get()); failure != 0) {
    outcome.end = End::kNotStarted;
    outcome.number = failure;
    co_return outcome;
  }
  if (started) started();
  far = ScopedDescriptor();
  auto stream = MakeLocalStream(std::move(near));
  Stream* const raw = stream.get();
  ScopedDeadline deadline(executor, limit, [raw] { raw->Close(); });
  const auto talked = co_await ReadGreeting(*raw);
  if (!talked && talked.error().code == Errc::kClosed) {
    outcome.end = End::kConnected;
    outcome.stream = std::make_unique<CommandStream>(std::move(stream), std::move(command),
                                                     std::move(complaints), host + " pipe " + pipe);
    co_return outcome;
  }
  // If the output ended, it ended before the exit: ssh is a moment from it, and its reason has been written.
  outcome.complaint = Complaint(complaints.get());
  outcome.end = deadline.expired() ? End::kSilent : talked && *talked ? End::kForeignText : End::kEnded;
  if (outcome.end == End::kEnded) outcome.number = command->End();
  co_return outcome;
}

Error ExplainRemotePipe(const RemotePipeTry& outcome, const std::string& host, const std::string& pipe,
                        std::chrono::milliseconds limit) {
  using End = RemotePipeTry::End;
  const std::string way =
      "Reaching the pipe " + pipe + " on " + host + " through " + outcome.program + " failed: ";
  const std::string quoted = outcome.complaint.empty() ? "" : " (" + outcome.complaint + ")";
  const std::string hint = "; or use tcp: or ssl: with a password.";
  switch (outcome.end) {
    case End::kNotStarted:
      return {Errc::kNotFound,
              way + std::strerror(outcome.number) +
                  "; install it, name another with _DBG_PIPE_RSH, or use tcp: or ssl: with a password.",
              0, outcome.number};
    case End::kSilent:
      return {Errc::kTimedOut, way + "no answer within " + std::to_string(limit.count()) + " ms."};
    case End::kForeignText:
      return {Errc::kMalformed, way + "the answer is not kdsrv's; does a login script print text?" + quoted};
    case End::kEnded:
      if (outcome.number == RemotePipeTry::kCommandNotFound)
        return {Errc::kNotFound, way + "there is no kdsrv in the PATH on that machine" + quoted + hint};
      return {Errc::kUnreachable,
              way + (outcome.complaint.empty() ? "no connection" : outcome.complaint) + hint};
    case End::kConnected:
    case End::kBroken: break;
  }
  return {Errc::kIo, way + std::strerror(outcome.number) + ".", 0, outcome.number};
}

Awaitable<Result<std::unique_ptr<Stream>>> DialRemotePipe(Executor executor, std::string host,
                                                          std::string pipe, Environment environment,
                                                          std::chrono::milliseconds limit) {
  std::function<void()> nobody;
  RemotePipeTry outcome = co_await TryRemotePipe(executor, host, pipe, std::move(environment), limit, nobody);
  if (outcome.stream) co_return std::move(outcome.stream);
  co_return ExplainRemotePipe(outcome, host, pipe, limit);
}

}  // namespace longwire

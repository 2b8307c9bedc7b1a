#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <optional>

#include "tests/support/kd_probe.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/test_machine.h"
#include "transport/listener.h"
#include "transport/rpc_channel.h"

namespace longwire::test {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A blocking client on an io_context of its own.
class Client {
 public:
  explicit Client(int port) {
    const auto endpoint = ParseClientEndpoint("tcp:server=127.0.0.1,port=" + std::to_string(port));
    if (!endpoint) return;
    Wait(seconds(10), [&]() -> asio::awaitable<bool> {
      auto stream = co_await Dial(context_.get_executor(), *endpoint);
      if (!stream) co_return false;
      channel_ = RpcChannel::Make(context_.get_executor(), std::move(*stream));
      rpc::Hello hello;
      hello.user = "test";
      hello.host = "lab";
      const auto welcome = co_await GreetServer(*channel_, hello);
      co_return welcome.has_value();
    });
    if (!channel_) return;
    asio::co_spawn(context_, Receive(), asio::detached);
  }
  ~Client() {
    if (channel_) channel_->Close();
    Pump(milliseconds(50));
    context_.stop();
  }
  bool connected() const { return channel_ != nullptr; }

  std::optional<rpc::Answer> Ask(rpc::Request request, std::vector<std::byte>* bulk = nullptr,
                                 std::vector<std::byte> data = {}) {
    const std::uint64_t id = ++last_id_;
    if (!channel_->Enqueue(rpc::Envelope{id, std::move(request), std::move(data)})) return std::nullopt;
    if (!Until(seconds(20), [&] { return answers_.contains(id); })) return std::nullopt;
    if (bulk != nullptr) *bulk = answers_[id].bulk;
    return std::get<rpc::Response>(answers_[id].message).answer;
  }
  template <class T>
  std::optional<T> Await(
      seconds limit, std::function<bool(const T&)> fits = [](const T&) { return true; }) {
    std::optional<T> found;
    Until(limit, [&] {
      for (auto at = events_.begin(); at != events_.end(); ++at) {
        const T* event = std::get_if<T>(&*at);
        if (event == nullptr || !fits(*event)) continue;
        found = *event;
        events_.erase(at);
        return true;
      }
      return false;
    });
    return found;
  }
  std::vector<std::byte> Read(std::uint64_t address, std::uint64_t size) {
    rpc::ReadMemory read;
    read.ranges.push_back({address, size});
    std::vector<std::byte> bulk;
    Ask(read, &bulk);
    return bulk;
  }
  std::optional<rpc::Answer> Go(const rpc::StopEvent& stop, bool step = false) {
    rpc::Resume resume;
    resume.stop_counter = stop.stop_counter;
    resume.driver_epoch = stop.driver_epoch;
    resume.step = step;
    return Ask(resume);
  }
  /// The machine's link opened and the target halted.
  std::optional<rpc::StopEvent> OpenHalted(const std::string& socket) {
    rpc::OpenLink open;
    open.link = "com:pipe,port=" + socket;
    open.break_in = true;
    const auto opened = Ask(open);
    if (!opened || !std::holds_alternative<rpc::LinkOpened>(*opened)) return std::nullopt;
    return Await<rpc::StopEvent>(seconds(20));
  }

 private:
  asio::awaitable<void> Receive() {
    for (;;) {
      auto envelope = co_await channel_->Receive();
      if (!envelope) co_return;
      if (auto* event = std::get_if<rpc::Event>(&envelope->message)) {
        events_.push_back(*event);
      } else if (std::holds_alternative<rpc::Response>(envelope->message)) {
        answers_[envelope->id] = std::move(*envelope);
      }
    }
  }
  void Pump(milliseconds span) {
    context_.restart();
    context_.run_for(span);
  }
  bool Until(milliseconds limit, const std::function<bool()>& done) {
    const auto end = Clock::now() + limit;
    while (!done()) {
      if (Clock::now() > end) return false;
      context_.restart();
      context_.run_one_for(milliseconds(100));
    }
    return true;
  }
  void Wait(milliseconds limit, std::function<asio::awaitable<bool>()> body) {
    bool done = false;
    asio::co_spawn(context_, body, [&](std::exception_ptr, bool good) {
      done = true;
      if (!good) channel_.reset();
    });
    Until(limit, [&] { return done; });
  }

  asio::io_context context_{1};
  std::unique_ptr<RpcChannel> channel_;
  std::map<std::uint64_t, rpc::Envelope> answers_;
  std::vector<rpc::Event> events_;
  std::uint64_t last_id_ = 0;
};

class KdsrvE2e : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string error;
    TestMachineOptions options;
    options.break_at_boot = true;
    options.ack_timeout_ms = 1000;  // a busy host must not see every packet twice
    machine_ = TestMachine::Start(options, &error);
    ASSERT_TRUE(machine_) << error;
    // An independent host looks the addresses up, then leaves the line.
    KdProbe probe(machine_->Connect());
    ASSERT_TRUE(probe.WaitForStop());
    leaf_ = probe.FindExport("DemoLeaf");
    command_ = probe.FindExport("g_Command");
    argument_ = probe.FindExport("g_CommandArgument");
    leaf_bytes_ = probe.ReadAll(leaf_, 64);
    ASSERT_TRUE(probe.ContinueOverBreak());
    ASSERT_NE(leaf_, 0u);
    ASSERT_GT(server_.port(), 0);
  }
  void CheckLeafIsClean() {
    KdProbe probe(machine_->Connect());
    // The packet ids of the former host are not known here: acknowledge what comes, then RESET.
    probe.SendByte('b');
    bool stopped = false;
    for (auto frame = probe.Receive(); frame; frame = probe.Receive(milliseconds(300))) {
      if (frame->leader == 0x30) probe.SendControl(kAck, frame->id & ~kSyncBit);
      stopped |= frame->is_data(kStateChange);
    }
    ASSERT_TRUE(stopped) << "the target runs and can be broken into";
    probe.SendControl(kReset, 0);
    ASSERT_TRUE(probe.WaitForStop());
    EXPECT_EQ(probe.ReadAll(leaf_, 64), leaf_bytes_) << "no breakpoint of ours is left in memory";
    probe.ContinueOverBreak();
  }
  static bool IsDone(const std::optional<rpc::Answer>& answer) {
    return answer && std::holds_alternative<rpc::Done>(*answer);
  }
  bool SetBreakpoint(Client& client) {
    const auto set = client.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kCode, leaf_, 1});
    return set && std::holds_alternative<rpc::Value>(*set);
  }

  std::unique_ptr<TestMachine> machine_;
  KdsrvProcess server_{KDSRV_PATH};
  std::uint64_t leaf_ = 0, command_ = 0, argument_ = 0;
  Bytes leaf_bytes_;
};

TEST_F(KdsrvE2e, ReadsBreakpointStepAndQuit) {
  Client client(server_.port());
  ASSERT_TRUE(client.connected());
  auto stop = client.OpenHalted(machine_->socket_path());
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->context.size(), 0x4D0u);
  const auto bytes = client.Read(leaf_, 64);
  ASSERT_EQ(bytes.size(), 64u);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(static_cast<std::uint8_t>(bytes[i]), leaf_bytes_[i]);
  ASSERT_TRUE(SetBreakpoint(client));
  EXPECT_EQ(client.Read(leaf_, 64), bytes) << "the breakpoint is not seen";
  std::uint64_t last = stop->stop_counter;
  for (int hit = 0; hit < 3; ++hit) {
    ASSERT_TRUE(IsDone(client.Go(*stop)));
    stop = client.Await<rpc::StopEvent>(seconds(10));
    ASSERT_TRUE(stop);
    EXPECT_EQ(stop->program_counter, leaf_);
    EXPECT_EQ(stop->breakpoints.size(), 1u);
    EXPECT_GT(stop->stop_counter, last);
    last = stop->stop_counter;
  }
  ASSERT_TRUE(IsDone(client.Go(*stop, true)));
  stop = client.Await<rpc::StopEvent>(seconds(10));
  ASSERT_TRUE(stop);
  EXPECT_EQ(stop->exception.code, 0x80000004u);
  EXPECT_NE(stop->program_counter, leaf_);
  ASSERT_TRUE(IsDone(client.Ask(rpc::CloseLink{true})));
  CheckLeafIsClean();
}

TEST_F(KdsrvE2e, QuitLeavesTheTargetStoppedForTheNextClient) {
  {
    Client client(server_.port());
    ASSERT_TRUE(client.OpenHalted(machine_->socket_path()));
    ASSERT_TRUE(SetBreakpoint(client));
    ASSERT_TRUE(IsDone(client.Ask(rpc::CloseLink{false})));
  }
  Client next(server_.port());
  rpc::OpenLink open;
  open.link = "com:pipe,port=" + machine_->socket_path();
  const auto opened = next.Ask(open);
  ASSERT_TRUE(opened && std::holds_alternative<rpc::LinkOpened>(*opened));
  ASSERT_TRUE(next.Await<rpc::StopEvent>(seconds(15))) << "it was left stopped and stays so";
  EXPECT_EQ(static_cast<std::uint8_t>(next.Read(leaf_, 1).at(0)), leaf_bytes_[0]);
  ASSERT_TRUE(IsDone(next.Ask(rpc::CloseLink{true})));
  CheckLeafIsClean();
}

TEST_F(KdsrvE2e, KilledClientLeavesTheTargetRunningAndTheLinkFreeWithinFiveSeconds) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Client client(server_.port());
    const auto stop = client.OpenHalted(machine_->socket_path());
    const char good = stop && SetBreakpoint(client) && IsDone(client.Go(*stop)) ? 1 : 0;
    (void)!::write(ready[1], &good, 1);
    ::pause();
  }
  char good = 0;
  ASSERT_EQ(::read(ready[0], &good, 1), 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  ASSERT_EQ(good, 1);
  Client next(server_.port());
  const auto end = Clock::now() + seconds(5);
  std::optional<rpc::Answer> opened;
  do {
    rpc::OpenLink open;
    open.link = "com:pipe,port=" + machine_->socket_path();
    opened = next.Ask(open);
  } while (opened && std::holds_alternative<Error>(*opened) && Clock::now() < end);
  ASSERT_TRUE(opened && std::holds_alternative<rpc::LinkOpened>(*opened));
  ASSERT_TRUE(next.Await<rpc::LinkChanged>(seconds(10), [](const rpc::LinkChanged& changed) {
    return changed.state == rpc::TargetState::kRunning;
  }));
  ASSERT_TRUE(IsDone(next.Ask(rpc::CloseLink{true})));
  CheckLeafIsClean();
}

TEST_F(KdsrvE2e, TerminatedServerLeavesNoBreakpointAndExitsZero) {
  Client client(server_.port());
  ASSERT_TRUE(client.OpenHalted(machine_->socket_path()));
  ASSERT_TRUE(SetBreakpoint(client));
  const auto start = Clock::now();
  server_.Signal(SIGTERM);
  EXPECT_EQ(server_.Wait(), 0);
  EXPECT_LT(Clock::now() - start, seconds(5));
  CheckLeafIsClean();
}

TEST_F(KdsrvE2e, KilledMachineIsReportedWithinFiveSeconds) {
  Client client(server_.port());
  ASSERT_TRUE(client.OpenHalted(machine_->socket_path()));
  machine_->Kill();
  ASSERT_TRUE(client.Await<rpc::LinkChanged>(seconds(5),
                                             [](const rpc::LinkChanged& changed) { return changed.failed; }));
}

TEST_F(KdsrvE2e, PrintsAreDelivered) {
  Client client(server_.port());
  const auto stop = client.OpenHalted(machine_->socket_path());
  ASSERT_TRUE(stop);
  rpc::Request write = rpc::WriteMemory{AddressSpace::Virtual(), command_};
  std::vector<std::byte> value(4);
  value[0] = std::byte{1};  // one debug print, as tests/target/drivers/demo.h says
  const auto written = client.Ask(write, nullptr, value);
  ASSERT_TRUE(written && std::holds_alternative<rpc::MemoryWritten>(*written));
  ASSERT_TRUE(IsDone(client.Go(*stop)));
  EXPECT_TRUE(client.Await<rpc::Output>(seconds(10)));
}

}  // namespace
}  // namespace longwire::test

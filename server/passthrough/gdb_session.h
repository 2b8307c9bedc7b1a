#pragma once

#include <algorithm>
#include <coroutine>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proto/gdb/packet_stream.h"
#include "proto/kd/bytes.h"
#include "proto/rpc/messages.h"
#include "server/passthrough/register_map.h"
#include "server/target/task.h"

namespace longwire {

/// One debugger that speaks the GDB remote protocol (gdb, lldb, IDA, Ghidra, radare2) and drives a kernel
/// link: its packets go in, requests to the KD service come out, their answers and the events of the link go
/// in, packets come out. Processors are its threads, 1 being processor 0; all-stop; nothing of the target is
/// kept but what a packet in work needs. Sans-I/O, one thread.
class GdbSession {
 public:
  using Done = std::function<void(rpc::Answer answer, kd::Bytes bulk)>;
  /// Asks the KD service; calls the last argument once, possibly at once, or never when the connection ends.
  using AskService = std::function<void(rpc::Request request, kd::Bytes bulk, Done done)>;

  explicit GdbSession(AskService ask) : ask_(std::move(ask)) {}
  GdbSession(const GdbSession&) = delete;
  GdbSession& operator=(const GdbSession&) = delete;

  /// The link is ours; packets that came before are answered now.
  void Opened(const rpc::LinkOpened& opened);
  /// The link is not, or no more, ours. The debugger is told as far as the protocol lets one, then it is
  /// over().
  void Fail(const Error& why);
  void Receive(kd::ByteView bytes);
  void OnEvent(const rpc::Event& event);
  kd::Bytes TakeOutput() { return stream_.TakeOutput(); }

  /// The target stopped at least once, so that the debugger has what to look at.
  bool attached() const { return attached_; }
  /// Nothing more will be said; the connection is to be closed when the output is written.
  bool over() const { return over_; }

  static constexpr std::size_t kPacketSize = 0x4000;  ///< longest packet either way
  static constexpr std::size_t kMaxWaiting = 64;      ///< packets not answered yet; more end the session
  static constexpr std::size_t kMaxBreakpoints = 256;
  static constexpr std::size_t kMaxOutput = 32u << 10;  ///< target output kept for a debugger that waits not

 private:
  struct Reply {
    rpc::Answer answer;
    kd::Bytes bulk;
  };
  struct Question;
  class AskAwaiter;
  class StopAwaiter;
  struct Breakpoint {
    char type = '0';
    std::uint64_t address = 0;
    std::uint64_t size = 0;
    friend auto operator<=>(const Breakpoint&, const Breakpoint&) = default;
  };
  struct Action {
    bool step = false;
    bool handled = true;
    std::uint32_t processor = 0;  ///< to be stepped
  };

  // The order of work (gdb_session.cc).
  void Pump();
  void Interrupt();
  void WakeStopped();
  Task<void> Serve(std::string packet);
  Task<Reply> Ask(rpc::Request request, kd::Bytes bulk = {});
  /// Waits for a stop; false: the link failed.
  Task<bool> NextStop();
  void Send(std::string_view payload) { stream_.Send(payload); }
  void Finish(std::string_view last_words);
  void SendOutput();

  // What packets ask (gdb_session_packets.cc, gdb_session_run.cc).
  Task<std::string> Answer(std::string packet);
  Task<std::string> AnswerQuery(std::string packet);
  Task<std::string> AnswerTransfer(std::string arguments);
  Task<std::string> AnswerMonitor(std::string command);
  std::string AnswerSupported(std::string_view features);
  std::string SelectThread(std::string_view arguments);
  std::string ListThreads() const;
  Task<std::string> ReadRegisters();
  Task<std::string> WriteRegisters(std::string data);
  Task<std::string> ReadRegister(std::string arguments);
  Task<std::string> WriteRegister(std::string arguments);
  Task<Reply> ReadRecord(const ServedRegister& one);
  Task<std::string> ReadMemory(std::string arguments, bool binary);
  Task<std::string> WriteMemory(std::string arguments, bool binary);
  Task<std::string> SetBreakpoint(std::string arguments);
  Task<std::string> ClearBreakpoint(std::string arguments);
  Task<std::string> Resume(std::string packet);
  Task<std::string> Run(Action action);
  Task<std::string> Leave(std::string last_words);
  std::optional<Action> ReadAction(std::string_view packet) const;
  bool ReadVCont(std::string_view actions, Action& action) const;
  std::string DescribeStop() const;
  std::uint32_t processors() const { return stop_ ? std::max(stop_->processors, 1u) : processors_; }
  /// The processor a thread id names; nullopt: none that exists. 0 and -1 stand for `any`.
  std::optional<std::uint32_t> Processor(std::string_view thread, std::uint32_t any) const;

  AskService ask_;
  gdb::PacketStream stream_{kPacketSize};
  std::deque<std::string> waiting_;
  bool opened_ = false, attached_ = false, over_ = false;
  bool pumping_ = false, busy_ = false;
  std::optional<Error> failure_;
  std::optional<RegisterMap> map_;
  std::uint64_t driver_epoch_ = 0;
  std::optional<rpc::StopEvent> stop_;
  std::uint32_t processors_ = 1;
  bool reports_swbreak_ = false, reports_hwbreak_ = false;

  std::uint32_t general_ = 0, stepped_ = 0;  ///< processors of Hg and Hc
  bool running_ = false;                     ///< a resumption is to be answered by a stop
  bool under_way_ = false;                   ///< and the target has not acknowledged it yet
  bool break_in_wanted_ = false;
  bool answered_ = false;  ///< the packet in work was, before what its answer changes
  std::map<Breakpoint, std::uint64_t> breakpoints_;  ///< with their ids at the service
  std::string output_;
  std::string prompt_answer_;

  std::coroutine_handle<> stop_waiter_;
  Task<void> task_;  ///< last member: its frames use the others
};

}  // namespace longwire

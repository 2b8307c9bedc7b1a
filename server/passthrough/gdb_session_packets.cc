#include <algorithm>
#include <utility>

#include "proto/gdb/hex.h"
#include "server/passthrough/gdb_session.h"

namespace longwire {
namespace {

constexpr char kOk[] = "OK";
constexpr char kBadPacket[] = "E16";   ///< EINVAL
constexpr char kBadAddress[] = "E0e";  ///< EFAULT
constexpr char kRefused[] = "E01";     ///< EPERM
constexpr std::size_t kMaxMemory = GdbSession::kPacketSize / 2 - 32;

bool TakePrefix(std::string& packet, std::string_view prefix) {
  if (!packet.starts_with(prefix)) return false;
  packet.erase(0, prefix.size());
  return true;
}

std::string HexOf(std::string_view text) { return gdb::EncodeHex(std::as_bytes(std::span(text))); }

const char* NameOf(rpc::TargetState state) {
  switch (state) {
    case rpc::TargetState::kRunning: return "running";
    case rpc::TargetState::kHalted: return "halted";
    case rpc::TargetState::kSynchronizing: return "synchronizing";
    default: return "offline";
  }
}

}  // namespace

Task<std::string> GdbSession::Answer(std::string packet) {
  if (packet.empty()) co_return "";
  const std::string rest = packet.substr(1);
  switch (packet.front()) {
    case '?': co_return DescribeStop();
    case 'q':
    case 'Q': co_return co_await AnswerQuery(std::move(packet));
    case 'g': co_return co_await ReadRegisters();
    case 'G': co_return co_await WriteRegisters(rest);
    case 'p': co_return co_await ReadRegister(rest);
    case 'P': co_return co_await WriteRegister(rest);
    case 'm':
    case 'x': co_return co_await ReadMemory(rest, packet.front() == 'x');
    case 'M':
    case 'X': co_return co_await WriteMemory(rest, packet.front() == 'X');
    case 'Z': co_return co_await SetBreakpoint(rest);
    case 'z': co_return co_await ClearBreakpoint(rest);
    case 'H': co_return SelectThread(rest);
    case 'T': co_return Processor(rest, 0) ? kOk : kRefused;
    case 'c':
    case 'C':
    case 's':
    case 'S': co_return co_await Resume(std::move(packet));
    case 'D': co_return co_await Leave(kOk);
    case 'k': co_return co_await Leave("");
    case 'v':
      if (packet == "vCont?") co_return "vCont;c;C;s;S";
      if (packet.starts_with("vCont;")) co_return co_await Resume(std::move(packet));
      if (packet.starts_with("vKill")) co_return co_await Leave(kOk);
      co_return "";
    default: co_return "";
  }
}

Task<std::string> GdbSession::AnswerQuery(std::string packet) {
  if (TakePrefix(packet, "qSupported")) co_return AnswerSupported(packet);
  if (packet == "QStartNoAckMode") {
    Send(kOk);
    stream_.StopAcknowledging();
    answered_ = true;
    co_return "";
  }
  if (TakePrefix(packet, "qXfer:features:read:")) co_return co_await AnswerTransfer(std::move(packet));
  if (TakePrefix(packet, "qRcmd,")) {
    const auto command = gdb::DecodeHex(packet);
    if (!command) co_return kBadPacket;
    co_return co_await AnswerMonitor(gdb::ToText(*command));
  }
  if (TakePrefix(packet, "qThreadExtraInfo,")) {
    const auto processor = Processor(packet, processors());
    if (!processor || *processor >= processors()) co_return kRefused;
    const bool stopped = stop_ && stop_->processor == *processor;
    co_return HexOf("processor " + std::to_string(*processor) + (stopped ? ", stopped here" : ""));
  }
  if (packet == "qfThreadInfo") co_return ListThreads();
  if (packet == "qsThreadInfo") co_return "l";
  if (packet == "qC") co_return "QC" + gdb::EncodeNumber((stop_ ? stop_->processor : 0) + 1);
  if (packet.starts_with("qAttached")) co_return "1";
  if (packet == "qHostInfo" && map_) {
    co_return "triple:" + HexOf(map_->triple()) +
        ";endian:little;ptrsize:" + std::to_string(kd::PointerSize(map_->machine())) + ";";
  }
  co_return "";
}

std::string GdbSession::AnswerSupported(std::string_view features) {
  reports_swbreak_ = features.find("swbreak+") != std::string_view::npos;
  reports_hwbreak_ = features.find("hwbreak+") != std::string_view::npos;
  return "PacketSize=" + gdb::EncodeNumber(kPacketSize) +
         ";QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+;binary-upload+";
}

/// `NAME:OFFSET,LENGTH`
Task<std::string> GdbSession::AnswerTransfer(std::string arguments) {
  std::string_view text = arguments;
  const std::string_view name = gdb::TakeField(text, ':');
  const auto offset = gdb::DecodeNumber(gdb::TakeField(text, ','));
  const auto length = gdb::DecodeNumber(text);
  if (name != "target.xml" || !map_) co_return "E00";
  if (!offset || !length || *length == 0) co_return kBadPacket;
  const std::string document = map_->Describe();
  if (*offset >= document.size()) co_return "l";
  const std::size_t size = std::min<std::uint64_t>(*length, kPacketSize / 2);
  const std::string part = document.substr(*offset, size);
  co_return (*offset + part.size() == document.size() ? "l" : "m") + part;
}

Task<std::string> GdbSession::AnswerMonitor(std::string command) {
  while (!command.empty() && command.back() == ' ') command.pop_back();
  if (command == "status") {
    const Reply reply = co_await Ask(rpc::GetLinkStatus{});
    const auto* status = std::get_if<rpc::LinkStatus>(&reply.answer);
    if (status == nullptr) co_return kRefused;
    co_return HexOf(
        "link " + status->link + " " + NameOf(status->state) + "\ndriver " + status->holder + ", observers " +
        std::to_string(status->observers) + "\npackets received " + std::to_string(status->packets_received) +
        ", sent " + std::to_string(status->packets_sent) + ", retransmissions " +
        std::to_string(status->retransmissions) + ", resets " + std::to_string(status->resets) + "\n");
  }
  if (command == "prompt" || command.starts_with("prompt ")) {
    prompt_answer_ = command.size() > 7 ? command.substr(7) : "";
    co_return kOk;
  }
  const std::string unknown = command == "help" ? "" : "There is no command " + command + ".\n";
  co_return HexOf(unknown +
                  "monitor status        the link, its driver, its packets\n"
                  "monitor prompt TEXT   answer to what the target asks (DbgPrompt), from now on\n"
                  "monitor help          this text\n");
}

// ---- threads

std::optional<std::uint32_t> GdbSession::Processor(std::string_view thread, std::uint32_t any) const {
  if (thread == "-1" || thread == "0") return any;
  const auto number = gdb::DecodeNumber(thread);
  if (!number || *number > processors()) return std::nullopt;
  return static_cast<std::uint32_t>(*number - 1);
}

std::string GdbSession::SelectThread(std::string_view arguments) {
  if (arguments.empty() || (arguments.front() != 'g' && arguments.front() != 'c')) return kBadPacket;
  const auto processor = Processor(arguments.substr(1), stop_ ? stop_->processor : 0);
  if (!processor) return kRefused;
  (arguments.front() == 'g' ? general_ : stepped_) = *processor;
  return kOk;
}

std::string GdbSession::ListThreads() const {
  std::string list = "m";
  for (std::uint32_t i = 1; i <= processors(); ++i) list += (i == 1 ? "" : ",") + gdb::EncodeNumber(i);
  return list;
}

// ---- registers

Task<std::string> GdbSession::ReadRegisters() {
  const Reply reply = co_await Ask(rpc::GetContext{general_});
  if (!map_ || !std::holds_alternative<rpc::Bytes>(reply.answer)) co_return kRefused;
  co_return gdb::EncodeHex(map_->Pack(reply.bulk));
}

Task<std::string> GdbSession::WriteRegisters(std::string data) {
  const auto packed = gdb::DecodeHex(data);
  if (!packed || !map_) co_return kBadPacket;
  Reply reply = co_await Ask(rpc::GetContext{general_});
  if (!std::holds_alternative<rpc::Bytes>(reply.answer)) co_return kRefused;
  map_->Unpack(*packed, reply.bulk);
  const Reply set = co_await Ask(rpc::SetContext{general_}, std::move(reply.bulk));
  co_return std::holds_alternative<rpc::Done>(set.answer) ? kOk : kRefused;
}

/// The record that holds the register, or its MSR as eight bytes.
Task<GdbSession::Reply> GdbSession::ReadRecord(const ServedRegister& one) {
  if (one.source == ServedRegister::Source::kMsr) {
    Reply reply = co_await Ask(rpc::ReadMsr{general_, one.offset});
    if (const auto* value = std::get_if<rpc::Value>(&reply.answer)) {
      reply.bulk.resize(8);
      kd::Store(std::span(reply.bulk), 0, value->value);
      reply.answer = rpc::Bytes{};
    }
    co_return reply;
  }
  if (one.source == ServedRegister::Source::kSpecial) {
    const kd::SpecialLayout* layout = kd::FindSpecialLayout(map_->machine());
    co_return co_await Ask(rpc::ReadControlSpace{general_, layout->control_selector, layout->size});
  }
  co_return co_await Ask(rpc::GetContext{general_});
}

Task<std::string> GdbSession::ReadRegister(std::string arguments) {
  const auto number = gdb::DecodeNumber(arguments);
  if (!number || !map_ || *number >= map_->registers().size()) co_return kBadPacket;
  const ServedRegister one = map_->registers()[*number];
  const Reply record = co_await ReadRecord(one);
  const bool msr = one.source == ServedRegister::Source::kMsr;
  const bool there = std::holds_alternative<rpc::Bytes>(record.answer) &&
                     record.bulk.size() >= (msr ? one.size : std::size_t{one.offset} + one.size);
  if (!there) co_return std::string(one.bits / 4, 'x');  // not available
  co_return gdb::EncodeHex(msr ? record.bulk : map_->Get(one, record.bulk));
}

Task<std::string> GdbSession::WriteRegister(std::string arguments) {
  std::string_view text = arguments;
  const auto number = gdb::DecodeNumber(gdb::TakeField(text, '='));
  const auto value = gdb::DecodeHex(text);
  if (!number || !value || !map_ || *number >= map_->registers().size()) co_return kBadPacket;
  const ServedRegister one = map_->registers()[*number];
  if (value->size() != one.bits / 8) co_return kBadPacket;
  Reply written;
  if (one.source == ServedRegister::Source::kMsr) {
    written = co_await Ask(rpc::WriteMsr{general_, one.offset, kd::Load64(*value, 0)});
  } else {
    Reply record = co_await ReadRecord(one);
    if (!std::holds_alternative<rpc::Bytes>(record.answer)) co_return kRefused;
    map_->Set(one, *value, record.bulk);
    if (one.source == ServedRegister::Source::kSpecial) {
      const std::uint64_t selector = kd::FindSpecialLayout(map_->machine())->control_selector;
      written = co_await Ask(rpc::WriteControlSpace{general_, selector}, std::move(record.bulk));
    } else {
      written = co_await Ask(rpc::SetContext{general_}, std::move(record.bulk));
    }
  }
  co_return std::holds_alternative<rpc::Done>(written.answer) ? kOk : kRefused;
}

// ---- memory

Task<std::string> GdbSession::ReadMemory(std::string arguments, bool binary) {
  std::string_view text = arguments;
  const auto address = gdb::DecodeNumber(gdb::TakeField(text, ','));
  const auto length = gdb::DecodeNumber(text);
  if (!address || !length) co_return kBadPacket;
  if (*length == 0) co_return binary ? "b" : "";
  rpc::ReadMemory read;
  read.ranges.push_back({*address, std::min<std::uint64_t>(*length, kMaxMemory)});
  const Reply reply = co_await Ask(std::move(read));
  if (!std::holds_alternative<rpc::MemoryRead>(reply.answer) || reply.bulk.empty()) co_return kBadAddress;
  co_return binary ? "b" + gdb::ToText(reply.bulk) : gdb::EncodeHex(reply.bulk);
}

Task<std::string> GdbSession::WriteMemory(std::string arguments, bool binary) {
  std::string_view text = arguments;
  const auto address = gdb::DecodeNumber(gdb::TakeField(text, ','));
  const auto length = gdb::DecodeNumber(gdb::TakeField(text, ':'));
  if (!address || !length) co_return kBadPacket;
  auto data = binary ? std::optional(gdb::ToBytes(text)) : gdb::DecodeHex(text);
  if (!data || data->size() != *length) co_return kBadPacket;
  if (data->empty()) co_return kOk;  // a probe
  rpc::WriteMemory write;
  write.address = *address;
  const Reply reply = co_await Ask(write, std::move(*data));
  const auto* written = std::get_if<rpc::MemoryWritten>(&reply.answer);
  co_return written != nullptr && written->size == *length ? kOk : kBadAddress;
}

}  // namespace longwire

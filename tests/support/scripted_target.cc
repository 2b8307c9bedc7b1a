#include "tests/support/scripted_target.h"

#include <algorithm>
#include <utility>

namespace longwire::test {
namespace {

template <class T>
void Put(kd::Bytes& bytes, std::size_t at, T value) {
  if (bytes.size() < at + sizeof(T)) bytes.resize(at + sizeof(T));
  kd::Store(std::span(bytes), at, value);
}

void Append(kd::Bytes& bytes, const std::string& text) {
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
}

}  // namespace

ScriptedTarget::ScriptedTarget(kd::Machine machine)
    : machine_(machine),
      layout_(kd::FindContextLayout(machine)),
      special_layout_(kd::FindSpecialLayout(machine)) {
  const bool narrow = kd::PointerSize(machine) == 4;
  if (narrow) break_in_address = 0x80001000;
  kernel_base = narrow ? 0x80400000 : 0xFFFFF80000000000;
  loaded_module_list = narrow ? 0x80600000 : 0xFFFFF80000200000;
  contexts.fill(kd::Bytes(layout_->size));
  specials.fill(kd::Bytes(special_layout_->size));
  for (auto& special : specials)
    StoreRegister(special, kd::FindSpecialRegister(machine, "kdr7")->offset, 0x400);
}

/// An address of the wire: what is not sign-extended is found nowhere.
std::uint64_t ScriptedTarget::Plain(std::uint64_t address) const {
  if (Wire(address) != address) return ~std::uint64_t{0};
  return kd::PlainAddress(machine_, address);
}

std::uint64_t ScriptedTarget::LoadRegister(const kd::Bytes& record, std::size_t offset) const {
  return layout_->pointer_size == 8 ? kd::Load64(record, offset) : kd::Load32(record, offset);
}

void ScriptedTarget::StoreRegister(kd::Bytes& record, std::size_t offset, std::uint64_t value) const {
  if (layout_->pointer_size == 8) return kd::Store(std::span(record), offset, value);
  kd::Store(std::span(record), offset, static_cast<std::uint32_t>(value));
}

void ScriptedTarget::Map(std::uint64_t address, std::uint64_t size) {
  for (std::uint64_t page = address >> 12; page <= (address + size - 1) >> 12; ++page) {
    auto& bytes = pages_[page];
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>((page * 31 + i * 7) & 0x7F);
  }
}

void ScriptedTarget::Poke(std::uint64_t address, const kd::Bytes& bytes) {
  for (const std::byte byte : bytes) {
    pages_.at(address >> 12)[address & 0xFFF] = byte;
    ++address;
  }
}

void ScriptedTarget::Poke32(std::uint64_t address, std::uint32_t value) {
  kd::Bytes bytes;
  Put(bytes, 0, value);
  Poke(address, bytes);
}

void ScriptedTarget::Poke64(std::uint64_t address, std::uint64_t value) {
  kd::Bytes bytes;
  Put(bytes, 0, value);
  Poke(address, bytes);
}

kd::Bytes ScriptedTarget::Peek(std::uint64_t address, std::size_t size) const {
  kd::Bytes bytes;
  for (std::size_t i = 0; i < size && Mapped(address + i); ++i) {
    bytes.push_back(pages_.at((address + i) >> 12)[(address + i) & 0xFFF]);
  }
  return bytes;
}

std::size_t ScriptedTarget::Count(kd::Api api) const {
  return static_cast<std::size_t>(
      std::count_if(requests.begin(), requests.end(), [api](const Seen& seen) { return seen.api == api; }));
}

kd::Bytes ScriptedTarget::StateChange(std::uint32_t state, std::uint64_t pc, std::uint16_t processor) {
  kd::Bytes payload(kd::kStateChangeSize);
  Put(payload, 0x00, state);
  Put(payload, 0x06, processor);
  Put(payload, 0x08, processors);
  Put(payload, 0x10, layout_->pointer_size == 8 ? std::uint64_t{0xFFFFA00000000080} : Wire(0x81230080));
  Put(payload, 0x18, Wire(pc));
  // The breakpoints of the reported stream go, and the stream shows what was below them.
  for (auto at = breakpoints.begin(); at != breakpoints.end();) {
    if (at->second - pc < 16) {
      if (Mapped(at->second)) Poke(at->second, {originals_[at->first]});
      at = breakpoints.erase(at);
    } else {
      ++at;
    }
  }
  PutControlReport(payload, pc, processor);
  StoreRegister(contexts[processor], layout_->pc_offset, pc);
  running = false;
  return payload;
}

void ScriptedTarget::PutControlReport(kd::Bytes& payload, std::uint64_t pc, std::uint16_t processor) const {
  const kd::Bytes stream = Peek(pc, 16);
  const std::uint64_t dr7 =
      LoadRegister(specials[processor], kd::FindSpecialRegister(machine_, "kdr7")->offset);
  if (layout_->pointer_size == 8) {
    Put(payload, 0xC8, dr7);
  } else {
    Put(payload, 0xC4, static_cast<std::uint32_t>(dr7));
  }
  const std::size_t count = layout_->pointer_size == 8 ? 0xD4 : 0xC8;
  Put(payload, count, static_cast<std::uint16_t>(stream.size()));
  Put(payload, count + 2, std::uint16_t{3});
  std::copy(stream.begin(), stream.end(), payload.begin() + static_cast<std::ptrdiff_t>(count) + 4);
}

void ScriptedTarget::Stop(std::uint32_t code, std::uint64_t pc, std::uint16_t processor, std::uint64_t dr6) {
  kd::Bytes payload = StateChange(0x3030, pc, processor);
  Put(payload, 0x20, code);
  Put(payload, 0x30, Wire(pc));
  Put(payload, 0xB8, std::uint32_t{1});
  if (layout_->pointer_size == 8) {
    Put(payload, 0xC0, dr6);
  } else {
    Put(payload, 0xC0, static_cast<std::uint32_t>(dr6));
  }
  last_state_ = payload;
  Send(kd::PacketType::kStateChange64, std::move(payload));
}

void ScriptedTarget::LoadSymbols(const std::string& path, std::uint64_t base, bool unload) {
  kd::Bytes payload = StateChange(0x3031, break_in_address + 0x100, 0);
  std::fill(payload.begin() + 0x20, payload.begin() + 0xC0, std::byte{0});
  Put(payload, 0x20, static_cast<std::uint32_t>(path.empty() ? 0 : path.size() + 1));
  Put(payload, 0x28, Wire(base));
  Put(payload, 0x30, path.empty() ? std::uint64_t{0} : ~std::uint64_t{0});
  Put(payload, 0x3C, std::uint32_t{0x8000});
  payload[0x40] = static_cast<std::byte>(unload);
  if (!path.empty()) {
    Append(payload, path);
    payload.push_back(std::byte{0});
  }
  last_state_ = payload;
  Send(kd::PacketType::kStateChange64, std::move(payload));
}

void ScriptedTarget::UnloadAll() { LoadSymbols({}, ~std::uint64_t{0}, true); }

void ScriptedTarget::CommandString(const std::string& name, const std::string& command) {
  kd::Bytes payload = StateChange(0x3032, break_in_address, 0);
  Append(payload, name);
  payload.push_back(std::byte{0});
  Append(payload, command);
  payload.push_back(std::byte{0});
  last_state_ = payload;
  Send(kd::PacketType::kStateChange64, std::move(payload));
}

void ScriptedTarget::Print(const std::string& text) {
  kd::Bytes payload(16);
  Put(payload, 0, std::uint32_t{0x3230});
  Put(payload, 8, static_cast<std::uint32_t>(text.size()));
  Append(payload, text);
  Send(kd::PacketType::kDebugIo, std::move(payload));
}

void ScriptedTarget::Prompt(const std::string& text, std::uint32_t maximum) {
  kd::Bytes payload(16);
  Put(payload, 0, std::uint32_t{0x3231});
  Put(payload, 8, static_cast<std::uint32_t>(text.size()));
  Put(payload, 12, maximum);
  Append(payload, text);
  Send(kd::PacketType::kDebugIo, std::move(payload));
}

void ScriptedTarget::CreateFile(const std::string& name) {
  kd::Bytes payload(64);
  Put(payload, 0, std::uint32_t{0x3430});
  for (const char c : name + '\0') {
    payload.push_back(static_cast<std::byte>(c));
    payload.push_back(std::byte{0});
  }
  Send(kd::PacketType::kFileIo, std::move(payload));
}

void ScriptedTarget::Restart() {
  GiveUp();
  breakpoints.clear();
}

void ScriptedTarget::GiveUp() {
  next_tx_ = kd::kInitialPacketId | kd::kSyncBit;
  expect_rx_ = kd::kInitialPacketId;
  unsent_.clear();
  awaiting_ack_ = false;
  running = true;
  if (kdnet_) NumberAsKdnet();
}

void ScriptedTarget::NumberAsKdnet() {
  kdnet_ = true;
  next_tx_ = 0;
  expect_rx_ = kd::kInitialKdnetId;
}

void ScriptedTarget::Send(kd::PacketType type, kd::Bytes payload) {
  unsent_.emplace_back(type, std::move(payload));
  if (!awaiting_ack_) Transmit();
}

void ScriptedTarget::Transmit() {
  if (unsent_.empty()) return;
  awaiting_ack_ = true;
  const kd::Bytes packet = kd::EncodeDataPacket(unsent_.front().first, next_tx_, unsent_.front().second);
  output_.insert(output_.end(), packet.begin(), packet.end());
}

void ScriptedTarget::Receive(kd::ByteView bytes) {
  if (running && bytes.size() == 1 && bytes[0] == kd::kBreakInByte) {
    ++break_ins;
    if (stop_on_break_in) Stop(kd::kExceptionBreakpoint, break_in_address);
    return;
  }
  framer_.Receive({}, bytes);
  while (auto item = framer_.Next()) {
    if (item->kind == kd::Framer::Kind::kControl) OnControl(*item);
    if (item->kind != kd::Framer::Kind::kData) continue;
    if (kdnet_ && awaiting_ack_ && item->id == expect_rx_) {
      // Who sends anew has had what we sent; it is to send that again (1.7).
      SendControl(kd::PacketType::kResend, 0);
      OnAcknowledged();
      continue;
    }
    if (Loses(*item)) continue;
    if (item->type != kd::PacketType::kStateManipulate ||
        unacknowledged.erase(static_cast<kd::Api>(kd::Load32(item->payload, 0))) == 0)
      SendControl(kd::PacketType::kAcknowledge, item->id);
    if (item->id != expect_rx_) continue;
    expect_rx_ = kdnet_ ? expect_rx_ + 2 : expect_rx_ ^ 1;
    if (item->type == kd::PacketType::kStateManipulate) {
      OnManipulate(item->payload);
    } else {
      answers.emplace_back(item->type, item->payload);
    }
  }
}

bool ScriptedTarget::Loses(const kd::Framer::Item& item) {
  if (item.type != kd::PacketType::kStateManipulate) return false;
  const auto api = static_cast<kd::Api>(kd::Load32(item.payload, 0));
  if (upset.erase(api) != 0) {
    next_tx_ = expect_rx_ = kd::kInitialPacketId;
    SendControl(kd::PacketType::kReset, 0);
    Send(kd::PacketType::kStateChange64, last_state_);
    return true;
  }
  if (lost.erase(api) == 0) return false;
  Send(kd::PacketType::kStateChange64, last_state_);
  return true;
}

void ScriptedTarget::OnControl(const kd::Framer::Item& item) {
  const std::uint32_t sent = kdnet_ ? next_tx_ : next_tx_ & ~kd::kSyncBit;
  if (item.type == kd::PacketType::kAcknowledge && awaiting_ack_ && item.id == sent) {
    OnAcknowledged();
  } else if (item.type == kd::PacketType::kReset && !running) {
    if (kdnet_) {
      expect_rx_ = item.id;
    } else {
      next_tx_ = expect_rx_ = kd::kInitialPacketId;
    }
    SendControl(kd::PacketType::kReset, kdnet_ ? next_tx_ : 0);
    if (unsent_.empty()) unsent_.emplace_back(kd::PacketType::kStateChange64, last_state_);
    Transmit();
  }
}

void ScriptedTarget::OnAcknowledged() {
  next_tx_ = kdnet_ ? next_tx_ + 2 : (next_tx_ & ~kd::kSyncBit) ^ 1;
  awaiting_ack_ = false;
  unsent_.pop_front();
  Transmit();
}

void ScriptedTarget::SendControl(kd::PacketType type, std::uint32_t id) {
  const kd::Bytes packet = kd::EncodeControlPacket(type, id);
  output_.insert(output_.end(), packet.begin(), packet.end());
}

void ScriptedTarget::Reply(kd::Bytes head, std::uint32_t status, kd::ByteView data) {
  head.resize(kd::kManipulateSize);
  if (unanswered.contains(static_cast<kd::Api>(kd::Load32(head, 0)))) return;
  Put(head, 8, status);
  head.insert(head.end(), data.begin(), data.end());
  Send(kd::PacketType::kStateManipulate, std::move(head));
}

void ScriptedTarget::ReadMemory(kd::Bytes head, std::uint64_t address, std::uint32_t count) {
  kd::Bytes data = Peek(address, std::min(count, most_read));
  const bool whole = data.size() == std::min(count, most_read);
  if (!whole && whole_reads) data.clear();
  Put(head, 0x1C, claimed_bytes.value_or(static_cast<std::uint32_t>(data.size())));
  Reply(std::move(head), whole ? kd::kStatusSuccess : kd::kStatusUnsuccessful, data);
}

void ScriptedTarget::AnswerVersion(kd::Bytes head) {
  const bool wide = layout_->pointer_size == 8;
  Put(head, 0x10, std::uint16_t{0x000F});
  Put(head, 0x12, std::uint16_t{9600});
  head[0x14] = std::byte{6};
  Put(head, 0x16, static_cast<std::uint16_t>(wide ? 7 : 3));
  Put(head, 0x18, static_cast<std::uint16_t>(machine_));
  Put(head, 0x20, Wire(kernel_base));
  Put(head, 0x28, Wire(loaded_module_list));
  Put(head, 0x30, Wire(debugger_data_list));
  Reply(std::move(head), kd::kStatusSuccess);
}

/// Continue2 (2.6): Dr7 has the machine's width.
void ScriptedTarget::AnswerContinue(const kd::Bytes& payload) {
  const std::uint64_t dr7 = LoadRegister(payload, 0x18);
  if (on_continue) on_continue(kd::Load32(payload, 0x14) != 0, dr7);
}

kd::Bytes* ScriptedTarget::Registers(std::uint16_t processor, std::array<kd::Bytes, 4>& records) {
  return processor < processors && processor < records.size() ? &records[processor] : nullptr;
}

void ScriptedTarget::OnManipulate(const kd::Bytes& payload) {
  Seen seen{static_cast<kd::Api>(kd::Load32(payload, 0)), kd::Load16(payload, 6), kd::Load64(payload, 0x10),
            kd::Load32(payload, 0x18), payload};
  requests.push_back(seen);
  if (mute.contains(seen.api)) return;
  if (held.contains(seen.api)) {
    held_requests_.emplace_back(seen, payload);
  } else {
    CarryOut(seen, payload);
  }
}

void ScriptedTarget::CarryOutHeld() {
  held.clear();
  for (const auto& [seen, payload] : std::exchange(held_requests_, {})) CarryOut(seen, payload);
}

void ScriptedTarget::CarryOut(const Seen& seen, const kd::Bytes& payload) {
  kd::Bytes head(payload.begin(), payload.begin() + std::min(payload.size(), kd::kManipulateSize));
  const kd::Bytes data(payload.begin() + std::min(payload.size(), kd::kManipulateSize), payload.end());
  if (refused.contains(seen.api)) return Reply(std::move(head), kd::kStatusUnsuccessful);
  kd::Bytes* context = Registers(seen.processor, contexts);
  kd::Bytes* special = Registers(seen.processor, specials);
  switch (seen.api) {
    case kd::Api::kGetVersion: return AnswerVersion(std::move(head));
    case kd::Api::kReadVirtual: return ReadMemory(std::move(head), Plain(seen.address), seen.count);
    case kd::Api::kReadPhysical: return ReadMemory(std::move(head), seen.address, seen.count);
    case kd::Api::kWriteVirtual:
    case kd::Api::kWritePhysical: {
      const std::uint64_t to = seen.api == kd::Api::kWriteVirtual ? Plain(seen.address) : seen.address;
      std::uint32_t written = 0;
      while (written < data.size() && Mapped(to + written)) {
        Poke(to + written, {data[written]});
        ++written;
      }
      Put(head, 0x1C, written);
      return Reply(std::move(head), written == data.size() ? kd::kStatusSuccess : kd::kStatusUnsuccessful);
    }
    case kd::Api::kGetContext: return Reply(std::move(head), kd::kStatusSuccess, *context);
    case kd::Api::kGetContextEx: {
      Put(head, 0x18, kd::Load32(payload, 0x14));
      return Reply(std::move(head), kd::kStatusSuccess, *context);
    }
    case kd::Api::kSetContext: *context = data; return Reply(std::move(head), kd::kStatusSuccess);
    case kd::Api::kReadControlSpace:
      if (seen.address != special_layout_->control_selector)
        return Reply(std::move(head), kd::kStatusUnsuccessful);
      Put(head, 0x1C, static_cast<std::uint32_t>(special->size()));
      return Reply(std::move(head), kd::kStatusSuccess, *special);
    case kd::Api::kWriteControlSpace: *special = data; return Reply(std::move(head), kd::kStatusSuccess);
    case kd::Api::kWriteBreakpoint: {
      std::uint32_t handle = 1;
      while (breakpoints.contains(handle)) ++handle;
      const std::uint64_t at = Plain(seen.address);
      if (handle > kd::kBreakpointSlots || !Mapped(at))
        return Reply(std::move(head), kd::kStatusUnsuccessful);
      breakpoints[handle] = at;
      originals_[handle] = Peek(at, 1)[0];
      Poke(at, {std::byte{0xCC}});
      Put(head, 0x18, handle);
      return Reply(std::move(head), kd::kStatusSuccess);
    }
    case kd::Api::kRestoreBreakpoint: {
      const auto at = breakpoints.find(kd::Load32(payload, 0x10));
      if (at == breakpoints.end()) return Reply(std::move(head), kd::kStatusUnsuccessful);
      Poke(at->second, {originals_[at->first]});
      breakpoints.erase(at);
      return Reply(std::move(head), kd::kStatusSuccess);
    }
    case kd::Api::kContinue2: running = true; return AnswerContinue(payload);
    case kd::Api::kSwitchProcessor:
      return Stop(kd::kExceptionWakeDebugger, 0xFFFFF80000003000, seen.processor);
    case kd::Api::kReboot:
    case kd::Api::kCauseBugCheck: running = true; return;
    case kd::Api::kSearchMemory: {
      const auto length = kd::Load64(payload, 0x18);
      for (std::uint64_t i = 0; i < length; ++i) {
        if (Peek(Plain(seen.address) + i, data.size()) != data) continue;
        Put(head, 0x10, seen.address + i);
        return Reply(std::move(head), kd::kStatusSuccess);
      }
      return Reply(std::move(head), 0xC0000225);
    }
    default: return Reply(std::move(head), kd::kStatusUnsuccessful);
  }
}

}  // namespace longwire::test

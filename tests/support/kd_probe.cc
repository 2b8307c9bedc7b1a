#include "tests/support/kd_probe.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace longwire::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
constexpr size_t kHeaderSize = 16, kManipulateSize = 0x38, kLargestRead = 3944;
constexpr int kLargestModuleCount = 256, kLargestExportCount = 4096;

uint32_t Sum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (uint8_t byte : bytes) sum += byte;
  return sum;
}

}  // namespace

uint16_t Load16(const Bytes& bytes, size_t at) {
  return at + 2 <= bytes.size() ? static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8) : 0;
}
uint32_t Load32(const Bytes& bytes, size_t at) {
  return Load16(bytes, at) | static_cast<uint32_t>(Load16(bytes, at + 2)) << 16;
}
uint64_t Load64(const Bytes& bytes, size_t at) {
  return Load32(bytes, at) | static_cast<uint64_t>(Load32(bytes, at + 4)) << 32;
}
void Store32(Bytes* bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes->at(at + i) = static_cast<uint8_t>(value >> (8 * i));
}
void Store64(Bytes* bytes, size_t at, uint64_t value) {
  for (size_t i = 0; i < 8; ++i) bytes->at(at + i) = static_cast<uint8_t>(value >> (8 * i));
}

KdProbe::~KdProbe() { close(fd_); }

void KdProbe::SendRaw(const Bytes& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t sent = send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return;
    done += static_cast<size_t>(sent);
  }
}

Bytes KdProbe::Frame(uint16_t type, uint32_t id, const Bytes& payload) {
  Bytes frame(kHeaderSize, 0x30);
  Store32(&frame, 4, type | static_cast<uint32_t>(payload.size()) << 16);
  Store32(&frame, 8, id);
  Store32(&frame, 12, Sum(payload));
  frame.insert(frame.end(), payload.begin(), payload.end());
  frame.push_back(0xAA);
  return frame;
}

void KdProbe::SendControl(uint16_t type, uint32_t id) {
  Bytes frame(kHeaderSize, 0x69);
  Store32(&frame, 4, type);
  Store32(&frame, 8, id);
  Store32(&frame, 12, 0);
  SendRaw(frame);
}

bool KdProbe::Fill(size_t count, steady_clock::time_point deadline) {
  while (input_.size() < count) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    pollfd item = {fd_, POLLIN, 0};
    if (left <= 0 || poll(&item, 1, static_cast<int>(left)) <= 0) return false;
    uint8_t buffer[8192];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    input_.insert(input_.end(), buffer, buffer + got);
  }
  return true;
}

bool KdProbe::FindLeader(steady_clock::time_point deadline) {
  for (;;) {
    if (!Fill(4, deadline)) return false;
    const uint8_t first = input_[0];
    if ((first == 0x30 || first == 0x69) && input_[1] == first && input_[2] == first && input_[3] == first)
      return true;
    input_.erase(input_.begin());
  }
}

std::optional<KdFrame> KdProbe::Receive(milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  if (!FindLeader(deadline) || !Fill(kHeaderSize, deadline)) return std::nullopt;
  KdFrame frame;
  frame.leader = input_[0];
  frame.type = Load16(input_, 4);
  frame.id = Load32(input_, 8);
  const size_t size = Load16(input_, 6);
  const uint32_t checksum = Load32(input_, 12);
  if (frame.leader == 0x69) {
    input_.erase(input_.begin(), input_.begin() + kHeaderSize);
    return frame;
  }
  if (!Fill(kHeaderSize + size + 1, deadline)) return std::nullopt;
  frame.payload.assign(input_.begin() + kHeaderSize,
                       input_.begin() + static_cast<ptrdiff_t>(kHeaderSize + size));
  const bool good = input_[kHeaderSize + size] == 0xAA && Sum(frame.payload) == checksum;
  input_.erase(input_.begin(), input_.begin() + static_cast<ptrdiff_t>(kHeaderSize + size + 1));
  // The line is a socket: a damaged packet is a fault of the target.
  if (!good) return std::nullopt;
  return frame;
}

bool KdProbe::Silent(milliseconds span) { return input_.empty() && !Fill(1, steady_clock::now() + span); }

void KdProbe::NoteDelivered(const KdFrame& frame) {
  if (frame.id & kSyncBit) {
    next_id_ = kFirstId;
    expected_id_ = frame.id & ~kSyncBit;
  }
  expected_id_ ^= 1;
  if (frame.type == kDebugIo && Load32(frame.payload, 0) == 0x3230) {
    prints_.emplace_back(frame.payload.begin() + 16, frame.payload.end());
  }
}

std::optional<KdFrame> KdProbe::Next(bool any, milliseconds patience) {
  for (const auto deadline = steady_clock::now() + patience;;) {
    auto frame = Receive(std::chrono::ceil<milliseconds>(deadline - steady_clock::now()));
    if (!frame) return std::nullopt;
    if (frame->leader == 0x69) {
      if (frame->type == kReset) next_id_ = expected_id_ = kFirstId;
      continue;
    }
    SendControl(kAck, frame->id & ~kSyncBit);
    if (!(frame->id & kSyncBit) && frame->id != expected_id_) continue;
    NoteDelivered(*frame);
    if (any || frame->type != kDebugIo || Load32(frame->payload, 0) != 0x3230) return frame;
  }
}

bool KdProbe::Send(uint16_t type, const Bytes& payload) {
  for (int tries = 0; tries < 10; ++tries) {
    SendData(type, next_id_, payload);
    for (auto frame = Receive(milliseconds(2000)); frame; frame = Receive(milliseconds(2000))) {
      if (frame->is_control(kAck) && frame->id == next_id_) {
        next_id_ ^= 1;
        return true;
      }
      if (frame->is_control(kResend)) break;
      if (frame->leader == 0x69) continue;
      // A packet that crossed ours: acknowledged, and remembered when it is new (a print).
      SendControl(kAck, frame->id & ~kSyncBit);
      if (frame->id == expected_id_) NoteDelivered(*frame);
    }
  }
  return false;
}

Bytes KdProbe::Request(uint32_t api, uint16_t processor) {
  Bytes request(kManipulateSize, 0);
  Store32(&request, 0, api);
  Store32(&request, 4, static_cast<uint32_t>(processor) << 16);
  Store32(&request, 8, 0x103);
  return request;
}

KdReply KdProbe::Exchange(const Bytes& request) {
  KdReply reply;
  if (!Send(kManipulate, request)) return reply;
  auto frame = Next();
  if (!frame || frame->type != kManipulate || frame->payload.size() < kManipulateSize) return reply;
  if (Load32(frame->payload, 0) != Load32(request, 0)) return reply;
  reply.status = Load32(frame->payload, 8);
  reply.head.assign(frame->payload.begin(), frame->payload.begin() + kManipulateSize);
  reply.data.assign(frame->payload.begin() + kManipulateSize, frame->payload.end());
  return reply;
}

std::optional<Bytes> KdProbe::WaitForStop() {
  auto frame = Next();
  if (!frame || frame->type != kStateChange) return std::nullopt;
  return frame->payload;
}

std::optional<Bytes> KdProbe::BreakIn() {
  SendByte('b');
  return WaitForStop();
}

bool KdProbe::Continue(uint32_t status, bool trace, uint64_t dr7) {
  Bytes request = Request(0x313C);
  Store32(&request, 8, status);
  Store32(&request, 0x10, status);
  Store32(&request, 0x14, trace ? 1 : 0);
  Store64(&request, 0x18, dr7);
  Store64(&request, 0x20, 1);
  return Send(kManipulate, request);
}

bool KdProbe::ContinueOverBreak() {
  Bytes context = GetContext();
  if (context.size() < 0x100) return false;
  Store64(&context, 0xF8, Load64(context, 0xF8) + 1);
  return SetContext(context).status == 0 && Continue();
}

KdReply KdProbe::Read(uint64_t address, uint32_t size, uint32_t api) {
  Bytes request = Request(api);
  Store64(&request, 0x10, address);
  Store32(&request, 0x18, size);
  return Exchange(request);
}

Bytes KdProbe::ReadAll(uint64_t address, uint32_t size) {
  Bytes all;
  while (all.size() < size) {
    const size_t left = size - all.size();
    KdReply reply =
        Read(address + all.size(), static_cast<uint32_t>(left < kLargestRead ? left : kLargestRead));
    if (reply.data.empty()) break;
    all.insert(all.end(), reply.data.begin(), reply.data.end());
  }
  return all;
}

uint64_t KdProbe::ReadPointer(uint64_t address) { return Load64(ReadAll(address, 8), 0); }

KdReply KdProbe::Write(uint64_t address, const Bytes& bytes, uint32_t api) {
  Bytes request = Request(api);
  Store64(&request, 0x10, address);
  Store32(&request, 0x18, static_cast<uint32_t>(bytes.size()));
  request.insert(request.end(), bytes.begin(), bytes.end());
  return Exchange(request);
}

Bytes KdProbe::GetContext(uint16_t processor) { return Exchange(Request(0x3132, processor)).data; }

KdReply KdProbe::SetContext(const Bytes& context, uint16_t processor) {
  Bytes request = Request(0x3133, processor);
  request.insert(request.end(), context.begin(), context.end());
  return Exchange(request);
}

KdReply KdProbe::ControlSpace(uint64_t selector, uint32_t size, uint16_t processor) {
  Bytes request = Request(0x3137, processor);
  Store64(&request, 0x10, selector);
  Store32(&request, 0x18, size);
  return Exchange(request);
}

std::vector<std::pair<std::string, uint64_t>> KdProbe::Modules() {
  std::vector<std::pair<std::string, uint64_t>> modules;
  const uint64_t head = Load64(Exchange(0x3146).head, 0x28);
  uint64_t at = ReadPointer(head);
  for (int i = 0; at != head && at != 0 && i < kLargestModuleCount; ++i) {
    const Bytes entry = ReadAll(at, 0xA0);
    const Bytes name = ReadAll(Load64(entry, 0x60), Load16(entry, 0x58));
    std::string text;
    for (size_t c = 0; c + 1 < name.size(); c += 2) text.push_back(static_cast<char>(name[c]));
    modules.emplace_back(text, Load64(entry, 0x30));
    at = Load64(entry, 0);
  }
  return modules;
}

uint64_t KdProbe::FindExport(const std::string& name) {
  if (exports_.empty()) {
    for (const auto& [module, base] : Modules()) {
      const Bytes header = ReadAll(base, 0x400);
      const uint32_t directory_rva = Load32(header, Load32(header, 0x3C) + 0x88);
      const uint32_t directory_size = Load32(header, Load32(header, 0x3C) + 0x8C);
      if (directory_rva == 0 || directory_size > 0x10000) continue;
      const Bytes directory = ReadAll(base + directory_rva, directory_size);
      auto in = [&](uint32_t rva) { return static_cast<size_t>(rva - directory_rva); };
      for (uint32_t i = 0; i < Load32(directory, 0x18) && i < kLargestExportCount; ++i) {
        const size_t text = in(Load32(directory, in(Load32(directory, 0x20)) + i * 4));
        const uint16_t ordinal = Load16(directory, in(Load32(directory, 0x24)) + i * 2);
        if (text >= directory.size()) break;
        const char* begin = reinterpret_cast<const char*>(directory.data() + text);
        exports_[std::string(begin, strnlen(begin, directory.size() - text))] =
            base + Load32(directory, in(Load32(directory, 0x1C)) + ordinal * 4);
      }
    }
  }
  const auto found = exports_.find(name);
  return found != exports_.end() ? found->second : 0;
}

}  // namespace longwire::test

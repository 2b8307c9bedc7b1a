#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proto/dump/minidump.h"
#include "proto/kd/context.h"
#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::dump::test {

/// A user minidump, stream by stream (engine.md 1.9). What it appends comes behind what is there.
class MinidumpBuilder {
 public:
  explicit MinidumpBuilder(kd::Machine machine) : machine_(machine), file_(0) {
    file_.bytes.assign(0x20 + kMostStreams * 12, std::byte{0});
    file_.Text(0, "MDMP").Put32(4, 0xA793).Put32(12, 0x20).Put32(0x14, 1'700'000'000);
    const std::uint16_t architecture = machine == kd::Machine::kX86     ? 0
                                       : machine == kd::Machine::kAmd64 ? 9
                                                                        : 12;
    const std::size_t system = Stream(7, 0x38);
    file_.Put16(system, architecture).Put32(system + 8, 6).Put32(system + 0xC, 1).Put32(system + 0x10, 7601);
    file_.Fill(system + 6, 1, 2).Put32(system + 0x14, 2).Put32(system + 0x18, String("Service Pack 1"));
    const std::size_t miscellaneous = Stream(15, 0x18);
    file_.Put32(miscellaneous, 0x18).Put32(miscellaneous + 4, 1).Put32(miscellaneous + 8, 0x5FC);
  }

  /// Space of a stream in the file; it is listed in the directory.
  std::size_t Stream(std::uint32_t type, std::size_t size) {
    const std::size_t at = Append(size);
    file_.Put32(8, ++streams_);
    const std::size_t entry = 0x20 + (streams_ - 1) * 12;
    file_.Put32(entry, type).Put32(entry + 4, static_cast<std::uint32_t>(size));
    file_.Put32(entry + 8, static_cast<std::uint32_t>(at));
    return at;
  }
  std::uint32_t String(const std::string& text) {
    const std::size_t at = Append(4 + 2 * text.size() + 2);
    file_.Put32(at, static_cast<std::uint32_t>(2 * text.size()));
    for (std::size_t i = 0; i < text.size(); ++i)
      file_.Put16(at + 4 + 2 * i, static_cast<unsigned char>(text[i]));
    return static_cast<std::uint32_t>(at);
  }
  std::uint32_t Bytes(const kd::Bytes& bytes) {
    const std::size_t at = Append(bytes.size());
    std::copy(bytes.begin(), bytes.end(), file_.bytes.begin() + static_cast<std::ptrdiff_t>(at));
    return static_cast<std::uint32_t>(at);
  }
  /// A CONTEXT record with these two registers.
  kd::Bytes Context(std::uint64_t pc, std::uint64_t sp, std::uint64_t frame = 0) const {
    const kd::ContextLayout* layout = kd::FindContextLayout(machine_);
    kd::Bytes context(layout->size);
    const auto put = [&](std::size_t at, std::uint64_t value) {
      for (std::size_t i = 0; i < layout->pointer_size; ++i)
        context[at + i] = static_cast<std::byte>(value >> 8 * i);
    };
    put(layout->pc_offset, pc);
    put(layout->sp_offset, sp);
    put(layout->frame_offset, frame);
    return context;
  }
  struct Thread {
    std::uint32_t id = 0;
    std::uint64_t teb = 0, stack = 0;
    kd::Bytes stack_bytes, context;
  };
  void Threads(const std::vector<Thread>& threads) {
    const std::size_t list = Stream(3, 4 + threads.size() * 0x30);
    file_.Put32(list, static_cast<std::uint32_t>(threads.size()));
    for (std::size_t i = 0; i < threads.size(); ++i) {
      const std::size_t at = list + 4 + i * 0x30;
      const Thread& thread = threads[i];
      file_.Put32(at, thread.id).Put32(at + 4, 1).Put64(at + 0x10, thread.teb).Put64(at + 0x18, thread.stack);
      Location(at + 0x20, thread.stack_bytes);
      Location(at + 0x28, thread.context);
    }
  }
  struct Image {
    std::uint64_t base = 0;
    std::uint32_t size = 0, timestamp = 0;
    std::string name;
  };
  void Modules(const std::vector<Image>& images) {
    const std::size_t list = Stream(4, 4 + images.size() * 0x6C);
    file_.Put32(list, static_cast<std::uint32_t>(images.size()));
    for (std::size_t i = 0; i < images.size(); ++i) {
      const std::size_t at = list + 4 + i * 0x6C;
      file_.Put64(at, images[i].base).Put32(at + 8, images[i].size).Put32(at + 0x10, images[i].timestamp);
      file_.Put32(at + 0x14, String(images[i].name));
    }
  }
  struct Range {
    std::uint64_t address = 0;
    kd::Bytes bytes;
  };
  void Memory(const std::vector<Range>& ranges) {
    const std::size_t list = Stream(5, 4 + ranges.size() * 0x10);
    file_.Put32(list, static_cast<std::uint32_t>(ranges.size()));
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      file_.Put64(list + 4 + i * 0x10, ranges[i].address);
      Location(list + 12 + i * 0x10, ranges[i].bytes);
    }
  }
  void Memory64(const std::vector<Range>& ranges) {
    const std::size_t list = Stream(9, 16 + ranges.size() * 0x10);
    file_.Put64(list, ranges.size()).Put64(list + 8, file_.bytes.size());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      file_.Put64(list + 16 + i * 0x10, ranges[i].address)
          .Put64(list + 24 + i * 0x10, ranges[i].bytes.size());
      Bytes(ranges[i].bytes);
    }
  }
  void Exception(std::uint32_t thread, std::uint32_t code, std::uint64_t address, const kd::Bytes& context) {
    const std::size_t at = Stream(6, 0xA8);
    file_.Put32(at, thread).Put32(at + 8, code).Put64(at + 0x18, address).Put32(at + 0x20, 2);
    file_.Put64(at + 0x28, 1).Put64(at + 0x30, 0xDEAD);
    Location(at + 0xA0, context);
  }

  DumpBuilder& file() { return file_; }
  Result<Minidump> Open() const { return Minidump::Open(std::make_unique<MemoryFile>(file_.bytes)); }

 private:
  static constexpr std::size_t kMostStreams = 16;

  std::size_t Append(std::size_t size) {
    const std::size_t at = file_.bytes.size();
    file_.bytes.resize(at + size);
    return at;
  }
  void Location(std::size_t at, const kd::Bytes& bytes) {
    const std::uint32_t offset = Bytes(bytes);
    file_.Put32(at, static_cast<std::uint32_t>(bytes.size())).Put32(at + 4, offset);
  }

  kd::Machine machine_;
  DumpBuilder file_;
  std::uint32_t streams_ = 0;
};

}  // namespace longwire::dump::test

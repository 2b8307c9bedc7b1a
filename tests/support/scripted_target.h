#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/kd/context.h"
#include "proto/kd/framer.h"
#include "proto/kd/manipulate.h"
#include "proto/kd/packet.h"
#include "proto/kd/state_change.h"

namespace longwire::test {

/// The target side of the KD protocol as a value: bytes of the host go in, bytes for the host come out,
/// nothing waits. A machine (AMD64, or x86 when made so) with mapped pages, CONTEXTs, special registers and a
/// breakpoint table that behaves as kd-protocol.md 2.5 and 3.6 say. What a test wants different, it sets.
class ScriptedTarget {
 public:
  struct Seen {
    kd::Api api{};
    std::uint16_t processor = 0;
    std::uint64_t address = 0;  ///< u64 at 10
    std::uint32_t count = 0;    ///< u32 at 18
    kd::Bytes payload;
  };

  /// x86: addresses below are those of the machine; on the wire they are sign-extended, and no other form of
  /// them is found.
  explicit ScriptedTarget(kd::Machine machine = kd::Machine::kAmd64);

  // ---- what the target is
  void Map(std::uint64_t address, std::uint64_t size);
  void Poke(std::uint64_t address, const kd::Bytes& bytes);
  void Poke32(std::uint64_t address, std::uint32_t value);
  void Poke64(std::uint64_t address, std::uint64_t value);
  kd::Bytes Peek(std::uint64_t address, std::size_t size) const;  ///< raw: with breakpoint instructions
  bool Mapped(std::uint64_t address) const { return pages_.contains(address >> 12); }

  std::uint32_t processors = 2;
  std::uint64_t debugger_data_list = 0;
  std::uint64_t kernel_base = 0, loaded_module_list = 0;
  std::array<kd::Bytes, 4> contexts;           ///< CONTEXT records
  std::array<kd::Bytes, 4> specials;           ///< special registers
  std::set<kd::Api> refused;                   ///< answered with C0000001
  std::set<kd::Api> mute;                      ///< acknowledged and not answered
  std::set<kd::Api> held;                      ///< acknowledged, carried out by CarryOutHeld()
  std::set<kd::Api> unanswered;                ///< carried out, and the reply is lost
  std::set<kd::Api> unacknowledged;            ///< the next is carried out, its acknowledge is lost
  std::set<kd::Api> lost;                      ///< the next is not heard; the stop is reported again instead
  std::set<kd::Api> upset;                     ///< the same, but the target resets the link before
  std::uint32_t most_read = 3944;              ///< longer reads are clipped and succeed
  std::optional<std::uint32_t> claimed_bytes;  ///< what reads say they gave, whatever they gave
  bool whole_reads = false;                    ///< a read that meets an absent page gives nothing at all
  bool stop_on_break_in = true;
  std::uint64_t break_in_address = 0xFFFFF80000001000;  ///< x86: 80001000
  /// Called for Continue2: trace flag and Dr7.
  std::function<void(bool trace, std::uint64_t dr7)> on_continue;

  // ---- what the target does
  void Stop(std::uint32_t code, std::uint64_t pc, std::uint16_t processor = 0, std::uint64_t dr6 = 0);
  void LoadSymbols(const std::string& path, std::uint64_t base, bool unload = false);
  void UnloadAll();
  void CommandString(const std::string& name, const std::string& command);
  void Print(const std::string& text);
  void Prompt(const std::string& text, std::uint32_t maximum);
  void CreateFile(const std::string& name);
  void Restart();  ///< the stream begins anew: the next packet carries SYNC
  void GiveUp();   ///< the same of a target that keeps what it has: it only gave the host up for a while
  /// Numbers packets as on KDNET from now on, as a target that has just started.
  void NumberAsKdnet();
  void ReportAgain() { Send(kd::PacketType::kStateChange64, last_state_); }
  /// Sends what waits for its acknowledge once more.
  void Retransmit() {
    if (awaiting_ack_) Transmit();
  }

  /// Holds nothing any more; the replies are in TakeOutput().
  void CarryOutHeld();

  /// Takes bytes of the host.
  void Receive(kd::ByteView bytes);
  kd::Bytes TakeOutput() { return std::exchange(output_, {}); }

  // ---- what was seen
  std::vector<Seen> requests;
  std::vector<std::pair<kd::PacketType, kd::Bytes>> answers;  ///< prompt and file answers
  int break_ins = 0;
  bool running = true;
  std::size_t Count(kd::Api api) const;
  std::map<std::uint32_t, std::uint64_t> breakpoints;  ///< address by handle

 private:
  void Send(kd::PacketType type, kd::Bytes payload);
  void Transmit();
  void OnControl(const kd::Framer::Item& item);
  void OnAcknowledged();
  void SendControl(kd::PacketType type, std::uint32_t id);
  bool Loses(const kd::Framer::Item& item);
  void OnManipulate(const kd::Bytes& payload);
  void CarryOut(const Seen& seen, const kd::Bytes& payload);
  void Reply(kd::Bytes head, std::uint32_t status, kd::ByteView data = {});
  void ReadMemory(kd::Bytes head, std::uint64_t address, std::uint32_t count);
  kd::Bytes StateChange(std::uint32_t state, std::uint64_t pc, std::uint16_t processor);
  std::uint64_t Wire(std::uint64_t address) const { return kd::ExtendAddress(machine_, address); }
  std::uint64_t Plain(std::uint64_t address) const;
  std::uint64_t LoadRegister(const kd::Bytes& record, std::size_t offset) const;
  void StoreRegister(kd::Bytes& record, std::size_t offset, std::uint64_t value) const;
  void PutControlReport(kd::Bytes& payload, std::uint64_t pc, std::uint16_t processor) const;
  void AnswerVersion(kd::Bytes head);
  void AnswerContinue(const kd::Bytes& payload);
  kd::Bytes* Registers(std::uint16_t processor, std::array<kd::Bytes, 4>& records);

  std::vector<std::pair<Seen, kd::Bytes>> held_requests_;
  kd::Machine machine_;
  const kd::ContextLayout* layout_;
  const kd::SpecialLayout* special_layout_;
  kd::Framer framer_{std::chrono::seconds(1)};
  kd::Bytes output_;
  std::map<std::uint64_t, std::array<std::byte, 4096>> pages_;
  std::map<std::uint32_t, std::byte> originals_;
  std::deque<std::pair<kd::PacketType, kd::Bytes>> unsent_;
  bool awaiting_ack_ = false;
  bool kdnet_ = false;
  std::uint32_t next_tx_ = kd::kInitialPacketId | kd::kSyncBit, expect_rx_ = kd::kInitialPacketId;
  kd::Bytes last_state_;
};

}  // namespace longwire::test

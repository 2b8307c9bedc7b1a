#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/gdb/target_description.h"
#include "proto/kd/context.h"
#include "server/gdbstub/gdb_line.h"

namespace longwire {

/// Registers of the processors behind a gdb stub, in the shapes of a KD target: CONTEXT and special registers
/// (kd-protocol.md 5.9, 5.10), made of what the stub's description names. What a stub does not tell is zero.
class StubRegisters {
 public:
  explicit StubRegisters(GdbLine& line) : line_(line) {}

  /// Reads the description. kUnsupported: none, or of a machine without known records.
  Task<Result<void>> ReadDescription(std::size_t packet_size);
  void SetThreads(std::vector<std::string> threads) { threads_ = std::move(threads); }
  const std::vector<std::string>& threads() const { return threads_; }
  kd::Machine machine() const { return machine_; }

  /// The processor that `m` and `g` are about.
  Task<Result<void>> Choose(std::uint16_t processor);
  /// By the stub's name; nullopt: it has none.
  Task<Result<std::optional<std::uint64_t>>> Value(std::uint16_t processor, std::string name);
  Task<Result<kd::Bytes>> GetContext(std::uint16_t processor);
  /// Changes what differs from the processor's registers.
  Task<Result<void>> SetContext(std::uint16_t processor, kd::Bytes context);
  Task<Result<kd::Bytes>> GetSpecial(std::uint16_t processor);

  /// The target ran, or was changed.
  void Forget() { raw_.clear(); }
  void Restart() {
    Forget();
    chosen_.reset();
    threads_.clear();
    machine_ = kd::Machine::kUnknown;
  }

 private:
  Task<Result<std::string>> ReadDocument(std::string name, std::size_t packet_size);
  Task<Result<kd::Bytes>> Raw(std::uint16_t processor);
  kd::Bytes Translate(std::span<const kd::RegisterField> fields, const kd::Bytes& raw,
                      std::size_t size) const;

  GdbLine& line_;
  gdb::TargetDescription description_;
  kd::Machine machine_ = kd::Machine::kUnknown;
  std::vector<std::string> threads_;
  std::optional<std::uint16_t> chosen_;
  std::map<std::uint16_t, kd::Bytes> raw_;  ///< answers to `g`
};

}  // namespace longwire

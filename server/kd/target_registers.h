#pragma once

#include <map>
#include <set>

#include "server/kd/kd_line.h"
#include "server/kd/target_facts.h"

namespace longwire {

/// Registers of a stopped target: CONTEXT records (remembered for the stop), control space, MSRs, ports.
/// A failure status of the target gives kTargetRefused.
class TargetRegisters {
 public:
  TargetRegisters(KdLine& line, TargetFacts& facts) : line_(line), facts_(facts) {}

  /// CONTEXT of a processor. GetContextEx, or GetContext once a target refused it (quirk Q13).
  Task<Result<kd::Bytes>> GetContext(std::uint16_t processor);
  /// Reads first when this stop has not: targets refuse otherwise (Q14).
  Task<Result<void>> SetContext(std::uint16_t processor, kd::Bytes context);
  Task<Result<kd::Bytes>> ReadControlSpace(std::uint16_t processor, std::uint64_t selector,
                                           std::uint32_t size);
  Task<Result<void>> WriteControlSpace(std::uint16_t processor, std::uint64_t selector, kd::Bytes data);
  Task<Result<std::uint64_t>> ReadMsr(std::uint16_t processor, std::uint32_t number);
  Task<Result<void>> WriteMsr(std::uint16_t processor, std::uint32_t number, std::uint64_t value);
  Task<Result<std::uint32_t>> ReadIo(std::uint64_t port, std::uint32_t size);
  Task<Result<void>> WriteIo(std::uint64_t port, std::uint32_t size, std::uint32_t value);

  /// A request answered by a status only.
  Task<Result<void>> Ask(kd::Bytes request, const char* what);

  void Forget() { contexts_.clear(); }

 private:
  Task<Result<kd::Bytes>> Reply(kd::Bytes request, const char* what);

  KdLine& line_;
  TargetFacts& facts_;
  std::map<std::uint16_t, kd::Bytes> contexts_;
};

}  // namespace longwire

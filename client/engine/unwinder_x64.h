#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "client/engine/unwind_info.h"
#include "client/engine/unwinder.h"

namespace longwire {

/// Undoes one x64 frame (engine.md 8.1) on a register file. Pure over the source's hooks; keeps no state
/// between frames.
class X64FrameUnwinder {
 public:
  enum class Outcome : std::uint8_t {
    kUnwound,        ///< by unwind data
    kLeaf,           ///< no entry for the address in its module
    kNoInformation,  ///< the module has no readable or valid unwind data: treated as a leaf
    kMachineFrame,   ///< unwound across a machine frame
    kUnreadable      ///< the stack cannot be read; registers are meaningless
  };

  X64FrameUnwinder(const UnwindSource& source, RegisterSet& registers);

  /// Undoes the frame at rip of `module`. `interrupted`: rip is not a return address, so prolog and epilog
  /// are possible and the function is looked up with rip itself.
  Outcome Unwind(const UnwindModule& module, bool interrupted);
  /// Undoes a frame without any unwind data: rip = [rsp], rsp += 8.
  Outcome PopReturnAddress();

  std::uint64_t rip() const { return rip_; }
  std::uint64_t rsp() const { return general_[4]; }

 private:
  std::optional<RuntimeFunction> FindFunction(std::uint32_t rva) const;
  std::optional<RuntimeFunction> ReadFunction(std::uint32_t rva) const;
  std::optional<RuntimeFunction> Resolve(RuntimeFunction function) const;
  std::optional<UnwindInfo> ReadUnwindInfo(const RuntimeFunction& function) const;
  RuntimeFunction PrimaryOf(RuntimeFunction function) const;
  std::uint64_t FrameBase(const UnwindInfo& info, std::uint32_t offset) const;
  bool ApplyCodes(const UnwindInfo& info, std::uint32_t offset);
  bool ApplyCode(const UnwindCode& code, const UnwindInfo& info, std::uint64_t frame_base);
  bool ApplyMachineFrame(bool has_error_code);
  std::optional<Outcome> TryEpilog(const RuntimeFunction& function, const UnwindInfo& info);
  bool LeavesFunction(std::uint64_t target, const RuntimeFunction& function, const UnwindInfo& info) const;
  bool Load(std::uint64_t address, std::uint64_t& value) const;
  void Store();

  const UnwindSource& source_;
  RegisterSet& registers_;
  UnwindModule module_;
  std::array<std::uint64_t, 16> general_{};
  std::uint64_t rip_ = 0;
  bool machine_frame_ = false;
};

}  // namespace longwire

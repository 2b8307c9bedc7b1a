#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/dump/minidump.h"
#include "server/dump/dump_space.h"

namespace longwire {

/// A process as its minidump holds it: what is numbered are its threads.
class ProcessSpace final : public DumpSpace {
 public:
  explicit ProcessSpace(dump::Minidump dump);

  kd::Machine machine() const override { return dump_.machine(); }
  const std::string& kind() const override { return kind_; }
  const std::vector<std::string>& warnings() const override { return dump_.warnings(); }
  rpc::TargetDescription Describe() const override;
  std::uint32_t crashed() const override { return crashed_; }
  std::uint32_t count() const override { return static_cast<std::uint32_t>(dump_.threads().size()); }
  rpc::StopEvent Stop(std::uint32_t thread) const override;
  kd::Bytes Context(std::uint32_t thread) const override;
  kd::Bytes ControlSpace(std::uint32_t, std::uint64_t) const override { return {}; }
  std::size_t ReadVirtual(std::uint64_t address, std::span<std::byte> out) const override {
    return dump_.ReadVirtual(address, out);
  }
  std::size_t ReadPhysical(std::uint64_t, std::span<std::byte>) const override { return 0; }
  std::optional<kd::PagingMode> paging() const override { return std::nullopt; }

 private:
  dump::Minidump dump_;
  std::string kind_;
  std::uint32_t crashed_ = 0;
};

}  // namespace longwire

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/dump/page_map.h"
#include "proto/dump/triage.h"

namespace longwire::dump {

/// A kernel dump of any kind: its header and the memory it holds (engine.md 1.2 to 1.8). Only the
/// pages asked for are read.
class KernelDump {
 public:
  /// Errors: kMalformed, kUnsupported. What is damaged but not needed is named in warnings().
  static Result<KernelDump> Open(std::unique_ptr<DumpFile> file);

  const KernelHeader& header() const { return header_; }
  /// For a person: "triage dump", "full dump", "bitmap dump"...
  const std::string& kind() const { return kind_; }
  /// Null unless the dump holds windows of virtual memory instead of pages.
  const Triage* triage() const { return triage_ ? &*triage_ : nullptr; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Reads the present prefix of [address, address + out.size()) and returns its length; always 0 of a triage
  /// dump.
  std::size_t ReadPhysical(std::uint64_t address, std::span<std::byte> out) const;
  /// Triage dumps only: others translate.
  std::size_t ReadVirtual(std::uint64_t address, std::span<std::byte> out) const;

 private:
  std::unique_ptr<DumpFile> file_;
  KernelHeader header_;
  std::string kind_;
  std::optional<PageMap> pages_;
  std::optional<Triage> triage_;
  std::vector<std::string> warnings_;
};

}  // namespace longwire::dump

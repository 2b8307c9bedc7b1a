#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"

namespace longwire::gdb {

/// One register as a stub describes it.
struct Register {
  std::string name;
  std::uint32_t number = 0;  ///< of `p` and `P`
  std::uint32_t bits = 0;
  std::uint32_t offset = 0;  ///< bytes, in the answer to `g`; numbers follow one another there
};

/// What a stub's XML tells: its architecture and its registers by number. Reads the small part of XML that
/// stubs write; entities and document types are not expanded, so that no text grows.
class TargetDescription {
 public:
  /// Parts that documents include, by name, the first being "target.xml".
  using Documents = std::map<std::string, std::string, std::less<>>;

  /// Names of the documents that `text` includes.
  static std::vector<std::string> Includes(std::string_view text);
  /// Follows includes inside `documents`, each once. Errors: kMalformed, kLimitExceeded.
  static Result<TargetDescription> Parse(const Documents& documents);

  /// `i386:x86-64`, `i386`, `aarch64`...; empty if not told.
  const std::string& architecture() const { return architecture_; }
  const std::vector<Register>& registers() const { return registers_; }
  const Register* Find(std::string_view name) const;

  static constexpr std::size_t kMaxRegisters = 4096, kMaxIncludes = 64, kMaxText = 1u << 20;

 private:
  Result<void> Read(std::string_view text, const Documents& documents, unsigned depth);

  std::string architecture_;
  std::vector<Register> registers_;
  std::uint32_t next_number_ = 0;
  unsigned included_ = 0;
};

}  // namespace longwire::gdb

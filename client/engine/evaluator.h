#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "client/engine/machine.h"
#include "proto/error.h"

namespace longwire {

/// What an expression may ask. Every member must be set. Errors come back as the evaluator's error.
struct EvaluationScope {
  Architecture architecture = Architecture::kAmd64;
  unsigned radix = 16;
  /// Kernel mode (engine.md 2.2): constants 80000000..FFFFFFFF extend their sign; on a 64-bit target only
  /// those typed with eight digits or fewer. On a 32-bit target registers, symbols and `poi` extend too.
  bool sign_extend_32 = false;
  std::function<Result<std::uint64_t>(std::string_view name)>
      symbol;  ///< address of `mod!sym`, `sym`, or `mod`
  std::function<Result<std::uint64_t>(std::string_view name)>
      register_value;  ///< registers and pseudo-registers, no `@`
  std::function<Result<std::size_t>(std::uint64_t address, std::span<std::byte> out)> read_virtual;
  std::function<Result<std::size_t>(std::uint64_t address, std::span<std::byte> out)> read_physical;
};

/// Consumes an expression from the front of `text`; leaves `text` behind it. MASM syntax
/// (engine.md 2.2, 2.4). Errors carry the user-visible text of engine.md 2.13.
Result<std::uint64_t> EvaluateMasm(std::string_view& text, const EvaluationScope& scope);
/// The whole text must be one expression.
Result<std::uint64_t> EvaluateMasmAll(std::string_view text, const EvaluationScope& scope);

struct AddressRange {
  std::uint64_t address = 0;
  std::uint64_t count = 0;   ///< elements of the command's size
  bool has_count = false;    ///< false: the command's default
  bool has_address = false;  ///< false: continue where the last one ended
};
/// `[address [end | L[?|-]count]]` (engine.md 2.3). `address` may carry `%` (flat) or `&segment:offset` (real
/// mode).
Result<AddressRange> ParseRange(std::string_view& text, unsigned element_size, const EvaluationScope& scope);

}  // namespace longwire

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "client/target/target.h"
#include "proto/error.h"
#include "proto/plan/plan_builder.h"

namespace longwire {

/// An image in target memory.
struct ImageRange {
  std::uint64_t base = 0, size = 0;
};

/// Reads the headers, the debug directory and the CodeView record of 64- or 32-bit images with one plan, so
/// that their identity can be told from memory already read. Failures show up when the memory is asked for.
void ReadImageIdentities(Target& target, std::span<const ImageRange> images);

/// The part of a plan that does this for one image.
void AppendImageIdentity(plan::PlanBuilder& builder, const ImageRange& image);

/// The functions of x64 images found by looking next to the target: one plan looks at every word of a stack
/// segment that may be a return address into one of the images, and reads the function's table entry, its
/// unwind data and the code behind the call. What it read is remembered by the target; the entries are kept
/// here.
class FunctionFinder {
 public:
  /// RUNTIME_FUNCTION: begin, end, unwind data; RVAs.
  using Entry = std::array<std::uint32_t, 3>;
  static constexpr std::uint64_t kCodeBytes = 48;  ///< an epilog is at most this long

  /// `program_counter` is looked up too, if it lies in an image. The identities of `unidentified` come along,
  /// as ReadImageIdentities would read them. Partial answers are kept on failure.
  Result<void> Prepare(Target& target, std::span<const ImageRange> images,
                       std::span<const ImageRange> unidentified, std::uint64_t program_counter,
                       std::uint64_t stack, std::uint64_t words);
  std::optional<Entry> Find(std::uint64_t base, std::uint32_t rva) const;

 private:
  void Take(const plan::Output& output, std::span<const ImageRange> images);

  std::map<std::pair<std::uint64_t, std::uint32_t>, Entry> asked_;  ///< by image base and RVA looked for
};

}  // namespace longwire

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/commands/typed_value.h"
#include "client/engine/report.h"

namespace longwire {

/// What `dt` was asked for (engine.md 3.2).
struct TypePrintOptions {
  unsigned depth = 0;                      ///< -r[N]: levels of structures to expand
  bool blocks = false;                     ///< -b: expand all nested structures, no pointers
  bool verbose = false;                    ///< -v
  bool compact = false;                    ///< -c
  bool no_indent = false;                  ///< -i
  bool no_offsets = false;                 ///< -o
  bool physical = false;                   ///< -p
  std::optional<unsigned> array_elements;  ///< -a[N]: elements on lines of their own
  /// Fields to show; empty: all. "A.B" goes into A, "A." expands it, "Ab*" is a pattern.
  std::vector<std::string> fields;
};

/// Writes a structure or another type, with values when there is an address: rows of kind "field".
class TypePrinter {
 public:
  TypePrinter(Session& session, TypePrintOptions options, Report& report)
      : session_(session), options_(std::move(options)), report_(report) {}

  /// Reads the whole of it at once. kNotFound: "Field(s) X not found"; kCancelled; kLimitExceeded.
  Result<void> Print(const TypeReference& type, std::optional<std::uint64_t> address);
  /// One whose bytes were put together elsewhere.
  Result<void> Print(const TypeReference& type, const MemoryView& view);

 private:
  struct Level {
    TypeReference type;
    const MemoryView* view = nullptr;  ///< null: types only
    std::uint64_t offset = 0;          ///< of this structure in `view`
    std::uint64_t shift = 0;           ///< of a base class inside the structure that is shown
    unsigned indent = 1, depth = 0;
    unsigned nesting = 0;  ///< structures and base classes around this one
    bool pointers = true;  ///< whether -r follows pointers here
    std::string path;
  };
  Result<void> Print(const TypeReference& type, const TypeInfo& info, const MemoryView* view,
                     std::optional<std::uint64_t> address);
  Result<bool> ShowFields(const Level& level, const std::vector<std::string>& selection);
  Result<void> ShowField(const Level& level, const TypeField& field, const std::vector<std::string>& inner,
                         bool chosen);
  Result<void> Expand(const Level& level, const TypeField& field, const std::vector<std::string>& inner,
                      bool asked);
  Result<void> ArrayElements(const Level& level, const TypeField& field, const TypeInfo& info);
  Result<void> Emit(const Level& level, const TypeField& field, const std::string& value);
  std::string Indent(unsigned levels) const;

  Session& session_;
  TypePrintOptions options_;
  Report& report_;
  std::size_t lines_ = 0;
  std::string compact_;
};

}  // namespace longwire

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/commands/memory_view.h"
#include "client/engine/report.h"
#include "client/engine/session.h"

namespace longwire {

/// How one of the `d*` commands shows memory (engine.md 3.1).
struct MemoryForm {
  enum class Kind : std::uint8_t {
    kInteger,
    kFloat,
    kBits,
    kSymbols,
    kPointers,
    kText
  } kind = Kind::kInteger;
  unsigned size = 1;        ///< bytes of an element; 0: a pointer of the target
  unsigned columns = 16;    ///< elements per line
  std::size_t bytes = 128;  ///< shown without a range
  bool text = false;        ///< a text column behind the elements
  char target = 0;          ///< kPointers: 'a', 'u', 'p': what the values point to; 0: none
};

/// Elements of a form and their lines: rows of kind "memory" with the address and the values of each line.
class MemoryLines {
 public:
  /// `own_columns`: the caller chose the number of columns, else pointers come 16 bytes to a line.
  MemoryLines(Session& session, MemoryForm form, bool own_columns = false);

  unsigned element_size() const { return form_.size; }
  const MemoryForm& form() const { return form_; }
  /// Writes the lines of a view. kCancelled.
  Result<void> Write(const MemoryView& view, Report& report);
  /// One line of at most `columns` elements from `offset` on.
  std::string Line(const MemoryView& view, std::size_t offset, std::vector<std::string>& values) const;
  /// "6c6c6548", "6f57206f`6c6c6548", "????????".
  std::string Element(const MemoryView& view, std::size_t offset) const;

 private:
  Result<void> WriteSymbols(const MemoryView& view, Report& report);
  Result<void> WritePointers(const MemoryView& view, Report& report);
  std::string TextColumn(const MemoryView& view, std::size_t offset, std::size_t end) const;

  Session& session_;
  MemoryForm form_;
};

/// Asks in one round trip for what naming these addresses needs.
void PrepareNames(Session& session, const std::vector<std::uint64_t>& addresses);

/// Zero-terminated text at an address, at most `maximum` characters; control characters become '.'. `wide`:
/// UTF-16. kUnreadable only if not even the first character can be read.
Result<std::string> ReadText(Session& session, AddressSpace space, std::uint64_t address, bool wide,
                             std::size_t maximum, std::size_t* characters = nullptr);
/// The same from bytes already read, up to a zero; `characters` receives how many came before it.
std::string TextOf(std::span<const std::byte> bytes, bool wide, std::size_t* characters = nullptr);

}  // namespace longwire

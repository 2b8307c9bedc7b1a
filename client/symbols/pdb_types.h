#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/symbols/byte_cursor.h"
#include "client/symbols/type_info.h"
#include "proto/error.h"

namespace longwire {

/// TypeIds with this bit name "pointer to" the rest: the file need not hold that pointer type ("mydrv!Foo
/// *").
constexpr TypeId kPointerTo = 0x80000000;

/// The type records (TPI stream) of a PDB. Ids are CodeView type indexes. Everything is found by one walk
/// over the records: the stream's own hash tables are not trustworthy in damaged files.
class PdbTypes {
 public:
  PdbTypes(std::span<const std::uint8_t> stream, unsigned pointer_size);

  /// Full definition first; exact before case-insensitive. Base types by their C name. kNotFound.
  Result<TypeId> Find(std::string_view name);
  /// Definitions of types that have a name.
  void ForEach(const std::function<bool(std::string_view)>& accepts,
               const std::function<bool(TypeId, std::string_view)>& visit);
  Result<TypeInfo> Describe(TypeId id);
  std::uint64_t SizeOf(TypeId id) { return SizeOf(id, 0); }
  std::string CName(TypeId id) { return CName(id, 0); }
  std::string DebuggerName(TypeId id) { return DebuggerName(id, 0); }
  std::vector<TypeId> Parameters(TypeId function);
  TypeId first() const { return first_; }
  TypeId end() const { return first_ + static_cast<TypeId>(offsets_.size()); }
  unsigned pointer_size() const { return pointer_size_; }

 private:
  struct Record {
    std::uint16_t kind = 0;
    std::span<const std::uint8_t> data;
  };
  /// Head of a structure, union or enumeration record.
  struct Tagged {
    bool ok = false, forward = false, is_union = false, is_enum = false, is_class = false;
    TypeId fields = 0, underlying = 0;
    std::uint64_t size = 0;
    std::string_view name, unique_name;
  };
  struct NameEntry {
    std::uint32_t hash = 0;
    TypeId id = 0;
  };

  Record Get(TypeId id) const;
  Tagged GetTagged(const Record& record) const;
  TypeId Resolve(TypeId id);  ///< without modifiers; forward references become definitions
  void BuildIndex();
  Result<void> DescribeSimple(TypeId id, TypeInfo& info);
  Result<void> DescribeTagged(const Record& record, TypeInfo& info);
  Result<void> DescribePointer(ByteCursor cursor, TypeInfo& info);
  Result<void> ReadFields(TypeId list, TypeInfo& info);
  bool ReadField(std::uint16_t kind, ByteCursor& cursor, TypeInfo& info, TypeId& next_list);
  void AddMember(TypeInfo& info, std::string_view name, TypeId type, std::uint64_t offset);
  std::uint64_t SizeOf(TypeId id, unsigned depth);
  std::string CName(TypeId id, unsigned depth);
  std::string DebuggerName(TypeId id, unsigned depth);
  TypeId PointeeOf(TypeId id, unsigned& size) const;

  std::span<const std::uint8_t> records_;
  unsigned pointer_size_;
  TypeId first_ = 0x1000;
  std::vector<std::uint32_t> offsets_;
  bool indexed_ = false;
  std::vector<NameEntry> index_;
};

/// What is known of a base type of CodeView (type index below 0x1000).
struct SimpleType {
  std::uint8_t kind = 0;
  TypeKind type = TypeKind::kNone;
  std::uint8_t size = 0;
  bool is_signed = false, is_char = false;
  const char* name = "";
  const char* c_name = "";
};
const SimpleType* FindSimpleType(std::uint8_t kind);
const SimpleType* FindSimpleType(std::string_view c_name);

/// Whether a compiler made the name up for a type that has none ("<unnamed-type-u>", "__unnamed",
/// "A::<unnamed-tag>").
bool IsUnnamed(std::string_view name);

/// A CodeView numeric leaf, sign-extended to 64 bits; the cursor fails on leaves that are no integers.
std::uint64_t ReadNumericLeaf(ByteCursor& cursor);

}  // namespace longwire

#include "client/symbols/pdb_types.h"

#include <algorithm>

#include "client/symbols/folded_name.h"

namespace longwire {
namespace {

// Type leaves (Microsoft's cvinfo.h).
enum Leaf : std::uint16_t {
  kLeafModifier = 0x1001,
  kLeafPointer = 0x1002,
  kLeafProcedure = 0x1008,
  kLeafMemberFunction = 0x1009,
  kLeafArgumentList = 0x1201,
  kLeafFieldList = 0x1203,
  kLeafBitField = 0x1205,
  kLeafBaseClass = 0x1400,
  kLeafVirtualBase = 0x1401,
  kLeafIndirectVirtualBase = 0x1402,
  kLeafIndex = 0x1404,
  kLeafVtable = 0x1409,
  kLeafVtableOffset = 0x140c,
  kLeafEnumerator = 0x1502,
  kLeafArray = 0x1503,
  kLeafClass = 0x1504,
  kLeafStructure = 0x1505,
  kLeafUnion = 0x1506,
  kLeafEnum = 0x1507,
  kLeafMember = 0x150d,
  kLeafStaticMember = 0x150e,
  kLeafMethod = 0x150f,
  kLeafNestedType = 0x1510,
  kLeafOneMethod = 0x1511,
  kLeafNestedTypeEx = 0x1512,
  kLeafInterface = 0x1519,
  kLeafBaseInterface = 0x151a,
};

constexpr std::uint16_t kForwardReference = 0x80, kHasUniqueName = 0x200;
constexpr unsigned kMaximumModifiers = 16;
constexpr std::size_t kMaximumFieldLists = 1024;  // a continuation chain in a damaged file may be a circle
constexpr std::size_t kMaximumFields = 1 << 20;

Error BadType(TypeId id) {
  return Error{Errc::kMalformed, "type " + std::to_string(id) + " of the symbol file is damaged"};
}

std::string_view WithoutKeyword(std::string_view name) {
  for (std::string_view keyword : {"struct ", "union ", "enum ", "class "})
    if (name.starts_with(keyword)) return name.substr(keyword.size());
  return name;
}

}  // namespace

std::uint64_t ReadNumericLeaf(ByteCursor& cursor) {
  const std::uint16_t leaf = cursor.U16();
  if (leaf < 0x8000) return leaf;
  switch (leaf) {
    case 0x8000: return static_cast<std::uint64_t>(static_cast<std::int8_t>(cursor.U8()));
    case 0x8001: return static_cast<std::uint64_t>(static_cast<std::int16_t>(cursor.U16()));
    case 0x8002: return cursor.U16();
    case 0x8003: return static_cast<std::uint64_t>(static_cast<std::int64_t>(cursor.I32()));
    case 0x8004: return cursor.U32();
    case 0x8009:
    case 0x800a: return cursor.U64();
    default: cursor.Fail(); return 0;
  }
}

PdbTypes::PdbTypes(std::span<const std::uint8_t> stream, unsigned pointer_size)
    : pointer_size_(pointer_size) {
  ByteCursor header(stream);
  header.U32();  // version
  const std::uint32_t header_size = header.U32();
  const TypeId first = header.U32();
  const TypeId end = header.U32();
  const std::uint32_t record_bytes = header.U32();
  if (!header.ok() || header_size > stream.size() || first < 0x1000 || end < first || end >= kPointerTo)
    return;
  records_ = stream.subspan(header_size, std::min<std::size_t>(record_bytes, stream.size() - header_size));
  first_ = first;
  offsets_.reserve(std::min<std::size_t>(end - first, records_.size() / 4));
  ByteCursor cursor(records_);
  while (offsets_.size() < end - first && cursor.remaining() >= 4) {
    const auto offset = static_cast<std::uint32_t>(cursor.position());
    const std::uint16_t length = cursor.U16();
    cursor.Skip(length);
    if (length < 2 || !cursor.ok()) break;
    offsets_.push_back(offset);
  }
}

PdbTypes::Record PdbTypes::Get(TypeId id) const {
  if (id < first_ || id - first_ >= offsets_.size()) return {};
  ByteCursor cursor(records_.subspan(offsets_[id - first_]));
  const std::uint16_t length = cursor.U16();
  Record record;
  record.kind = cursor.U16();
  record.data = cursor.Take(length - 2);
  return record;
}

PdbTypes::Tagged PdbTypes::GetTagged(const Record& record) const {
  Tagged tagged;
  ByteCursor cursor(record.data);
  cursor.U16();  // member count
  const std::uint16_t options = cursor.U16();
  switch (record.kind) {
    case kLeafClass:
    case kLeafStructure:
    case kLeafInterface:
      tagged.is_class = record.kind == kLeafClass;
      tagged.fields = cursor.U32();
      cursor.Skip(8);
      tagged.size = ReadNumericLeaf(cursor);
      break;
    case kLeafUnion:
      tagged.is_union = true;
      tagged.fields = cursor.U32();
      tagged.size = ReadNumericLeaf(cursor);
      break;
    case kLeafEnum:
      tagged.is_enum = true;
      tagged.underlying = cursor.U32();
      tagged.fields = cursor.U32();
      break;
    default: return tagged;
  }
  tagged.forward = (options & kForwardReference) != 0;
  tagged.name = cursor.CString();
  tagged.ok = cursor.ok();
  if (tagged.ok && (options & kHasUniqueName) != 0) tagged.unique_name = cursor.CString();
  return tagged;
}

void PdbTypes::BuildIndex() {
  if (indexed_) return;
  indexed_ = true;
  for (TypeId id = first_; id < end(); ++id) {
    const Tagged tagged = GetTagged(Get(id));
    if (tagged.ok && !tagged.name.empty()) index_.push_back({FoldedHash(tagged.name), id});
  }
  std::sort(index_.begin(), index_.end(), [](const NameEntry& a, const NameEntry& b) {
    return std::pair(a.hash, a.id) < std::pair(b.hash, b.id);
  });
}

Result<TypeId> PdbTypes::Find(std::string_view name) {
  name = WithoutKeyword(name);
  while (name.ends_with(' ')) name.remove_suffix(1);
  if (name.ends_with('*')) {
    auto pointee = Find(name.substr(0, name.size() - 1));
    if (!pointee || (*pointee & kPointerTo) == 0)
      return pointee ? Result<TypeId>(*pointee | kPointerTo) : pointee;
    return Error{Errc::kNotFound, "pointers to pointers have no type number of their own"};
  }
  if (const SimpleType* simple = FindSimpleType(name)) return TypeId{simple->kind};
  BuildIndex();
  const std::uint32_t hash = FoldedHash(name);
  auto entry = std::lower_bound(index_.begin(), index_.end(), hash,
                                [](const NameEntry& e, std::uint32_t value) { return e.hash < value; });
  TypeId best = 0;
  int best_rank = 0;
  for (; entry != index_.end() && entry->hash == hash; ++entry) {
    const Tagged tagged = GetTagged(Get(entry->id));
    if (!EqualFolded(tagged.name, name)) continue;
    const int rank = 1 + (tagged.forward ? 0 : 1) + (tagged.name == name ? 2 : 0);
    if (rank > best_rank) {
      best_rank = rank;
      best = entry->id;
    }
  }
  if (best_rank == 0) return Error{Errc::kNotFound, "no type " + std::string(name)};
  return best;
}

void PdbTypes::ForEach(const std::function<bool(std::string_view)>& accepts,
                       const std::function<bool(TypeId, std::string_view)>& visit) {
  for (TypeId id = first_; id < end(); ++id) {
    const Tagged tagged = GetTagged(Get(id));
    if (!tagged.ok || tagged.forward || tagged.name.empty() || IsUnnamed(tagged.name)) continue;
    if (!accepts(tagged.name)) continue;
    if (!visit(id, tagged.name)) return;
  }
}

TypeId PdbTypes::Resolve(TypeId id) {
  Record record = Get(id);
  for (unsigned i = 0; record.kind == kLeafModifier && i < kMaximumModifiers; ++i) {
    id = ByteCursor(record.data).U32();
    record = Get(id);
  }
  const Tagged reference = GetTagged(record);
  if (!reference.ok || !reference.forward) return id;
  BuildIndex();
  const std::uint32_t hash = FoldedHash(reference.name);
  auto entry = std::lower_bound(index_.begin(), index_.end(), hash,
                                [](const NameEntry& e, std::uint32_t value) { return e.hash < value; });
  for (; entry != index_.end() && entry->hash == hash; ++entry) {
    const Tagged tagged = GetTagged(Get(entry->id));
    if (tagged.forward || tagged.name != reference.name || tagged.is_enum != reference.is_enum) continue;
    if (tagged.unique_name == reference.unique_name) return entry->id;
  }
  return id;
}

Result<TypeInfo> PdbTypes::Describe(TypeId id) {
  TypeInfo info;
  info.id = Resolve(id);
  info.name = DebuggerName(info.id);
  info.c_name = CName(info.id);
  info.size = SizeOf(info.id);
  if ((info.id & kPointerTo) != 0) {
    info.kind = TypeKind::kPointer;
    info.referent = info.id & ~kPointerTo;
    return info;
  }
  Result<void> done;
  if (info.id < 0x1000) {
    done = DescribeSimple(info.id, info);
    if (!done) return done.error();
    return info;
  }
  const Record record = Get(info.id);
  ByteCursor cursor(record.data);
  switch (record.kind) {
    case kLeafPointer: done = DescribePointer(cursor, info); break;
    case kLeafArray: {
      info.kind = TypeKind::kArray;
      info.referent = cursor.U32();
      const std::uint64_t element = SizeOf(info.referent);
      info.count = element == 0 ? 0 : info.size / element;
      break;
    }
    case kLeafBitField:
      info.kind = TypeKind::kBitField;
      info.referent = cursor.U32();
      break;
    case kLeafProcedure:
    case kLeafMemberFunction:
      info.kind = TypeKind::kFunction;
      info.referent = cursor.U32();
      info.parameters = Parameters(info.id);
      break;
    case kLeafClass:
    case kLeafStructure:
    case kLeafInterface:
    case kLeafUnion:
    case kLeafEnum: done = DescribeTagged(record, info); break;
    case 0: return Error{Errc::kNotFound, "the symbol file has no type " + std::to_string(id)};
    default: info.kind = TypeKind::kNone; break;
  }
  if (!done) return done.error();
  return info;
}

Result<void> PdbTypes::DescribeSimple(TypeId id, TypeInfo& info) {
  if (id >> 8 != 0) {  // the mode: pointer to a base type
    info.kind = TypeKind::kPointer;
    info.referent = id & 0xff;
    return {};
  }
  const SimpleType* simple = FindSimpleType(static_cast<std::uint8_t>(id));
  if (simple == nullptr) {
    info.kind = TypeKind::kNone;
    return {};
  }
  info.kind = simple->type;
  info.is_signed = simple->is_signed;
  info.is_char = simple->is_char;
  return {};
}

Result<void> PdbTypes::DescribePointer(ByteCursor cursor, TypeInfo& info) {
  info.kind = TypeKind::kPointer;
  info.referent = cursor.U32();
  if (!cursor.ok()) return BadType(info.id);
  return {};
}

Result<void> PdbTypes::DescribeTagged(const Record& record, TypeInfo& info) {
  const Tagged tagged = GetTagged(record);
  if (!tagged.ok) return BadType(info.id);
  info.is_union = tagged.is_union;
  if (tagged.is_enum) {
    info.kind = TypeKind::kEnum;
    info.referent = tagged.underlying;
    const SimpleType* simple = FindSimpleType(static_cast<std::uint8_t>(tagged.underlying));
    info.is_signed = tagged.underlying < 0x100 && simple != nullptr && simple->is_signed;
  } else {
    info.kind = TypeKind::kStruct;
  }
  if (tagged.forward || tagged.fields == 0) return {};
  auto read = ReadFields(tagged.fields, info);
  // Some compilers write -1 of a 4-byte enumeration as 0xffffffff: the underlying type decides.
  const unsigned spare = info.size > 0 && info.size < 8 ? 64 - 8 * static_cast<unsigned>(info.size) : 0;
  if (info.is_signed && spare != 0)
    for (TypeEnumerator& e : info.enumerators)
      e.value = static_cast<std::int64_t>(static_cast<std::uint64_t>(e.value) << spare) >> spare;
  return read;
}

Result<void> PdbTypes::ReadFields(TypeId list, TypeInfo& info) {
  for (std::size_t lists = 0; list != 0; ++lists) {
    const Record record = Get(list);
    if (record.kind != kLeafFieldList || lists > kMaximumFieldLists) return BadType(info.id);
    ByteCursor cursor(record.data);
    TypeId next = 0;
    while (cursor.remaining() >= 2) {
      if (cursor.Peek() >= 0xf0) {  // LF_PADn: n bytes to the next member, this one included
        cursor.Skip(std::max<std::size_t>(1, cursor.Peek() & 0x0f));
        continue;
      }
      if (!ReadField(cursor.U16(), cursor, info, next) || !cursor.ok()) return BadType(info.id);
      if (info.fields.size() + info.enumerators.size() > kMaximumFields) return BadType(info.id);
    }
    list = next;
  }
  return {};
}

bool PdbTypes::ReadField(std::uint16_t kind, ByteCursor& cursor, TypeInfo& info, TypeId& next_list) {
  const std::uint16_t attributes = cursor.U16();
  switch (kind) {
    case kLeafBaseClass:
    case kLeafBaseInterface: {
      TypeField field;
      field.type = cursor.U32();
      field.offset = ReadNumericLeaf(cursor);
      field.name = DebuggerName(field.type);
      field.base_class = true;
      info.fields.push_back(std::move(field));
      return true;
    }
    case kLeafVirtualBase:
    case kLeafIndirectVirtualBase:  // its offset is known at run time only
      cursor.Skip(8);
      ReadNumericLeaf(cursor);
      ReadNumericLeaf(cursor);
      return true;
    case kLeafIndex: next_list = cursor.U32(); return true;
    case kLeafVtable: AddMember(info, "__VFN_table", cursor.U32(), 0); return true;
    case kLeafVtableOffset: cursor.Skip(8); return true;
    case kLeafEnumerator: {
      const auto value = static_cast<std::int64_t>(ReadNumericLeaf(cursor));
      info.enumerators.push_back({std::string(cursor.CString()), value});
      return true;
    }
    case kLeafMember: {
      const TypeId type = cursor.U32();
      const std::uint64_t offset = ReadNumericLeaf(cursor);
      AddMember(info, cursor.CString(), type, offset);
      return true;
    }
    case kLeafStaticMember: {
      const TypeId type = cursor.U32();
      AddMember(info, cursor.CString(), type, 0);
      info.fields.back().is_static = true;
      return true;
    }
    case kLeafMethod:
    case kLeafNestedType:
    case kLeafNestedTypeEx:
      cursor.U32();
      cursor.CString();
      return true;
    case kLeafOneMethod: {
      cursor.U32();
      const unsigned property = attributes >> 2 & 7;
      if (property == 4 || property == 6) cursor.U32();  // introduces a vtable slot
      cursor.CString();
      return true;
    }
    default: return false;
  }
}

void PdbTypes::AddMember(TypeInfo& info, std::string_view name, TypeId type, std::uint64_t offset) {
  TypeField field;
  field.name = name;
  field.offset = offset;
  field.type = type;
  const Record record = Get(type);
  if (record.kind == kLeafBitField) {
    ByteCursor bits(record.data);
    field.type = bits.U32();
    field.bit_count = bits.U8();
    field.bit_position = bits.U8();
  }
  info.fields.push_back(std::move(field));
}

std::vector<TypeId> PdbTypes::Parameters(TypeId function) {
  const Record record = Get(Resolve(function));
  ByteCursor cursor(record.data);
  if (record.kind != kLeafProcedure && record.kind != kLeafMemberFunction) return {};
  cursor.Skip(record.kind == kLeafProcedure ? 8 : 16);
  const Record list = Get(cursor.U32());
  if (list.kind != kLeafArgumentList) return {};
  ByteCursor arguments(list.data);
  const std::uint32_t count = arguments.U32();
  std::vector<TypeId> parameters;
  for (std::uint32_t i = 0; i < count && arguments.remaining() >= 4; ++i)
    parameters.push_back(arguments.U32());
  return parameters;
}

}  // namespace longwire

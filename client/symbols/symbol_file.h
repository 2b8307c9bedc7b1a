#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/symbols/type_info.h"
#include "proto/error.h"

namespace longwire {

/// Identity of a PDB: GUID in file byte order, and age (engine.md 7.1).
struct PdbIdentity {
  std::array<std::uint8_t, 16> guid{};
  std::uint32_t age = 0;
  std::string name;  ///< file name as the image records it, may hold a path
  friend bool operator==(const PdbIdentity& a, const PdbIdentity& b) {
    return a.guid == b.guid && a.age == b.age;
  }
  std::string Key() const;  ///< 32 upper-case hexadecimal digits and the age
};

struct Symbol {
  std::string name;  ///< undecorated where that is known
  std::uint32_t rva = 0;
  std::uint64_t size = 0;  ///< 0 if unknown
  TypeId type = 0;         ///< 0 for publics
  bool is_function = false, is_public = false;
};

struct SourceLine {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t displacement = 0;
};

/// A part of a variable that the compiler keeps apart from the others, up to the next part.
struct VariablePiece {
  std::uint32_t at = 0;  ///< offset in the variable
  std::string register_name;
  std::optional<std::int64_t> offset;  ///< in memory, relative to the register; nullopt: in the register
};

/// Where a local variable lives at one instruction.
struct VariableLocation {
  enum class Kind : std::uint8_t {
    kUnavailable,
    kRegister,
    kRegisterRelative,
    kPieces
  } kind = Kind::kUnavailable;
  std::string register_name;          ///< "rcx", "rsp"
  std::int64_t offset = 0;            ///< kRegisterRelative; relative to the register's value in the frame
  std::vector<VariablePiece> pieces;  ///< kPieces: by offset; parts that have none are optimized out
};
struct LocalVariable {
  std::string name;
  TypeId type = 0;
  bool is_parameter = false;
  VariableLocation location;
};

/// Symbols and types of one image; PDB now, DWARF later. Not thread-safe. Damaged files give errors or fewer
/// answers, never a crash.
class SymbolFile {
 public:
  virtual ~SymbolFile() = default;
  virtual const PdbIdentity& identity() const = 0;
  virtual bool has_private_symbols() const = 0;

  /// By name; a case-insensitive match when there is no exact one. kNotFound.
  virtual Result<Symbol> FindSymbol(std::string_view name) = 0;
  /// Nearest symbol at or below `rva`; kNotFound.
  virtual Result<Symbol> NearestSymbol(std::uint32_t rva) = 0;
  /// Next symbol above `rva`; kNotFound.
  virtual Result<Symbol> NextSymbol(std::uint32_t rva) = 0;
  /// Every symbol whose name the predicate accepts; stops when `visit` returns false.
  virtual void ForEachSymbol(const std::function<bool(std::string_view)>& accepts,
                             const std::function<bool(const Symbol&)>& visit) = 0;

  virtual Result<TypeId> FindType(std::string_view name) = 0;
  virtual void ForEachType(const std::function<bool(std::string_view)>& accepts,
                           const std::function<bool(TypeId, std::string_view)>& visit) = 0;
  /// Resolves forward references. kNotFound, kMalformed.
  virtual Result<TypeInfo> DescribeType(TypeId id) = 0;

  virtual Result<SourceLine> FindLine(std::uint32_t rva) = 0;
  /// Locals and parameters in scope at `rva`; kNotFound when there are only public symbols.
  virtual Result<std::vector<LocalVariable>> FindLocals(std::uint32_t rva) = 0;
};

/// Opens a PDB. kMalformed with the reason for damaged files, kNotFound, kIo.
Result<std::unique_ptr<SymbolFile>> OpenPdb(const std::string& path);

}  // namespace longwire

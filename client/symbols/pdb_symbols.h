#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "client/symbols/byte_cursor.h"
#include "client/symbols/pdb_container.h"
#include "client/symbols/pdb_types.h"
#include "client/symbols/symbol_file.h"
#include "proto/error.h"

namespace longwire {

/// Symbol records (Microsoft's cvinfo.h) this reader knows.
enum SymbolRecordKind : std::uint16_t {
  kSymEnd = 0x0006,
  kSymFrameProc = 0x1012,
  kSymThunk = 0x1102,
  kSymBlock = 0x1103,
  kSymRegister = 0x1106,
  kSymUdt = 0x1108,
  kSymBpRelative = 0x110b,
  kSymLocalData = 0x110c,
  kSymGlobalData = 0x110d,
  kSymPublic = 0x110e,
  kSymLocalProc = 0x110f,
  kSymGlobalProc = 0x1110,
  kSymRegisterRelative = 0x1111,
  kSymProcRef = 0x1125,
  kSymLocalProcRef = 0x1127,
  kSymSepCode = 0x1132,
  kSymLocal = 0x113e,
  kSymDefRange = 0x113f,
  kSymDefRangeSubfield = 0x1140,
  kSymDefRangeRegister = 0x1141,
  kSymDefRangeFrame = 0x1142,
  kSymDefRangeSubfieldRegister = 0x1143,
  kSymDefRangeFrameFullScope = 0x1144,
  kSymDefRangeRegisterRelative = 0x1145,
  kSymLocalProcId = 0x1146,
  kSymGlobalProcId = 0x1147,
  kSymInlineSite = 0x114d,
  kSymInlineSiteEnd = 0x114e,
  kSymProcIdEnd = 0x114f,
  kSymInlineSite2 = 0x115d,
};

struct SymbolRecord {
  std::uint32_t offset = 0;  ///< in the stream
  std::uint16_t kind = 0;
  std::span<const std::uint8_t> data;
};
/// The record at the cursor; false at the end or at a damaged record.
bool NextSymbolRecord(ByteCursor& cursor, SymbolRecord& record);
bool IsProcedure(std::uint16_t kind);

/// S_GPROC32 and its kin.
struct ProcedureRecord {
  std::uint32_t length = 0, offset = 0;
  TypeId type = 0;
  std::uint16_t section = 0;
  std::string_view name;
};
std::optional<ProcedureRecord> ParseProcedure(const SymbolRecord& record);

/// Names and addresses of a PDB: publics and globals by one walk over the symbol records, functions of a
/// compiland when an address or a reference leads there. Private names win over public ones at the same
/// address.
class PdbSymbols {
 public:
  PdbSymbols(const PdbContainer& container, PdbTypes& types);

  bool has_private_symbols() {
    Index();
    return has_private_;
  }
  Result<Symbol> Find(std::string_view name);
  Result<Symbol> Nearest(std::uint32_t rva);
  Result<Symbol> Next(std::uint32_t rva);
  void ForEach(const std::function<bool(std::string_view)>& accepts,
               const std::function<bool(const Symbol&)>& visit);
  /// Type a typedef (S_UDT) stands for; kNotFound.
  Result<TypeId> FindTypedef(std::string_view name);
  /// Compiland whose code or data holds the RVA.
  std::optional<std::uint32_t> ModuleAt(std::uint32_t rva) const;
  /// A procedure of that compiland which covers the RVA: the offset of its record in the module stream.
  std::optional<std::uint32_t> ProcedureAt(std::uint32_t module, std::uint32_t rva);

 private:
  struct Entry {
    std::uint32_t offset = 0;  ///< of the record
    std::uint32_t rva = 0;     ///< meaningless for procedure references
    std::uint16_t kind = 0;
  };
  struct NameEntry {
    std::uint32_t hash = 0, entry = 0;
  };
  struct ModuleSymbol {
    std::uint32_t rva = 0, offset = 0, length = 0;
  };

  void Index();
  void IndexRecord(const SymbolRecord& record);
  void IndexDecorated();
  std::string DisplayName(std::string_view raw) const;
  std::string_view RawName(const Entry& entry) const;
  SymbolRecord RecordAt(std::span<const std::uint8_t> stream, std::uint32_t offset) const;
  std::optional<Symbol> Make(const Entry& entry);
  std::optional<Symbol> MakeFromModule(std::uint32_t module, std::uint32_t offset);
  std::optional<Symbol> Lookup(const std::vector<NameEntry>& names, std::string_view name);
  const std::vector<ModuleSymbol>& ModuleSymbols(std::uint32_t module);

  const PdbContainer& container_;
  PdbTypes& types_;
  bool indexed_ = false, decorated_indexed_ = false, has_private_ = false, is_x86_ = false;
  std::vector<Entry> entries_;         ///< publics, globals, procedure references, in stored order
  std::vector<std::uint32_t> by_rva_;  ///< entries with an address, sorted
  std::vector<NameEntry> names_, decorated_names_, typedefs_;
  std::unordered_map<std::uint32_t, std::vector<ModuleSymbol>> modules_;
};

}  // namespace longwire

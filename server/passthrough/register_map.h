#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/kd/bytes.h"
#include "proto/kd/context.h"

namespace longwire {

/// A register as gdb knows it, and where a KD target keeps it.
struct ServedRegister {
  enum class Source : std::uint8_t {
    kContext,  ///< `size` bytes at `offset` of the CONTEXT record
    kTagWord,  ///< made of the byte that FXSAVE keeps in its place
    kSpecial,  ///< of KSPECIAL_REGISTERS
    kMsr,      ///< model-specific register `offset`
  };
  std::string name;
  std::string_view feature;
  std::string_view type;
  std::uint32_t bits = 0;  ///< on gdb's side; the target's bytes are cut or extended with zeros
  Source source = Source::kContext;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

/// The registers of a machine in the numbers, sizes and names of gdb's features (org.gnu.gdb.i386.core,
/// org.gnu.gdb.aarch64.core, ...). Those of the CONTEXT record come first and are what `g` holds; the others
/// are read one by one.
class RegisterMap {
 public:
  /// nullopt: a machine without a known CONTEXT.
  static std::optional<RegisterMap> For(kd::Machine machine);

  const std::vector<ServedRegister>& registers() const { return registers_; }
  kd::Machine machine() const { return machine_; }
  /// The number by gdb's name.
  std::optional<std::size_t> Find(std::string_view name) const;
  /// target.xml.
  std::string Describe() const;
  /// Triple of the machine's code, for debuggers that read no target.xml.
  std::string_view triple() const;

  /// The answer to `g`, of a whole record.
  kd::Bytes Pack(kd::ByteView context) const;
  /// Changes `context` to the `G` data, which may be shorter than all registers.
  void Unpack(kd::ByteView packed, kd::Bytes& context) const;
  /// One register of the record it is kept in.
  kd::Bytes Get(const ServedRegister& one, kd::ByteView record) const;
  void Set(const ServedRegister& one, kd::ByteView value, kd::Bytes& record) const;

 private:
  void Add(std::string_view feature, std::string name, std::string_view type, std::uint32_t bits,
           std::string_view field);
  void AddAt(std::string_view feature, std::string name, std::string_view type, std::uint32_t bits,
             std::uint32_t offset, std::uint32_t size);
  void AddSpecial(std::string_view feature, std::string name, std::string_view field);
  void AddX87(std::uint32_t control, std::uint32_t status, std::uint32_t first, std::uint32_t step);
  void AddAmd64();
  void AddX86();
  void AddArm64();

  kd::Machine machine_ = kd::Machine::kUnknown;
  std::vector<ServedRegister> registers_;
};

}  // namespace longwire

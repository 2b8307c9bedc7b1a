// Our own decoders of PDB records (types, symbols, scopes, lines) over streams cut from the input. LLVM,
// which finds the streams in a file, is not part of this: the container below takes its place at link time.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "client/symbols/byte_cursor.h"
#include "client/symbols/pdb_container.h"
#include "client/symbols/pdb_file.h"

namespace longwire {
namespace {

constexpr std::uint32_t kSectionSize = 0x1000, kSections = 4, kModules = 2;
std::span<const std::uint8_t> input;

}  // namespace

/// Four 16-bit numbers and four streams: flags, the lengths of the types and of the global symbols, these
/// two, the length of the symbols of the compilands (all have the same), these; the rest is their lines.
class PdbContainer::Streams {
 public:
  Streams() {
    ByteCursor cursor(input);
    flags = cursor.U16();
    const std::uint16_t type_bytes = cursor.U16();
    const std::uint16_t symbol_bytes = cursor.U16();
    types = cursor.Take(std::min<std::size_t>(type_bytes, cursor.remaining()));
    symbols = cursor.Take(std::min<std::size_t>(symbol_bytes, cursor.remaining()));
    const std::uint16_t module_bytes = cursor.U16();
    module.symbols = cursor.Take(std::min<std::size_t>(module_bytes, cursor.remaining()));
    module.lines = cursor.Take(cursor.remaining());
    for (std::uint32_t i = 0; i < kModules; ++i)
      contributions.push_back({kSectionSize * (i + 1), kSectionSize, i});
  }

  std::uint16_t flags = 0;
  PdbIdentity identity;
  std::span<const std::uint8_t> types, symbols;
  PdbModuleStream module;
  std::vector<PdbContribution> contributions;
};

PdbContainer::PdbContainer(std::unique_ptr<Streams> streams) : streams_(std::move(streams)) {}
PdbContainer::~PdbContainer() = default;

Result<std::unique_ptr<PdbContainer>> PdbContainer::Open(const std::string&) {
  return std::unique_ptr<PdbContainer>(new PdbContainer(std::make_unique<Streams>()));
}

const PdbIdentity& PdbContainer::identity() const { return streams_->identity; }
std::uint16_t PdbContainer::machine() const {
  constexpr std::uint16_t kMachines[] = {0x8664, 0x14c, 0xaa64, 0};
  return kMachines[streams_->flags & 3];
}
bool PdbContainer::stripped() const { return (streams_->flags & 4) != 0; }
std::span<const std::uint8_t> PdbContainer::types() const { return streams_->types; }
std::span<const std::uint8_t> PdbContainer::symbol_records() const { return streams_->symbols; }
std::size_t PdbContainer::module_count() const { return kModules; }
PdbModuleStream PdbContainer::Module(std::size_t index) const {
  return index < kModules ? streams_->module : PdbModuleStream{};
}
const std::vector<PdbContribution>& PdbContainer::contributions() const { return streams_->contributions; }
std::optional<std::uint32_t> PdbContainer::Rva(std::uint16_t section, std::uint32_t offset) const {
  if (section == 0 || section > kSections || offset >= kSectionSize) return std::nullopt;
  return section * kSectionSize + offset;
}
std::string_view PdbContainer::String(std::uint32_t offset) const {
  if (offset >= streams_->symbols.size()) return {};
  return ByteCursor(streams_->symbols.subspan(offset)).CString();
}

std::string UndecorateCxxName(std::string_view decorated) { return std::string(decorated.substr(1)); }

}  // namespace longwire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longwire;
  // Everything is walked once per record: larger inputs are only slower.
  if (size > 1 << 14) return 0;
  input = {data, size};
  if (!ReadWholePdb("")) std::abort();
  auto file = OpenPdbInProcess("");
  if (!file) std::abort();
  for (const std::uint32_t rva : {0u, kSectionSize, kSectionSize + 0x10, kSectionSize * 2, 0xffffffffu}) {
    (void)(*file)->FindLine(rva);
    (void)(*file)->FindLocals(rva);
    const auto nearest = (*file)->NearestSymbol(rva);
    if (nearest && nearest->rva > rva) std::abort();
    const auto next = (*file)->NextSymbol(rva);
    if (next && next->rva <= rva) std::abort();
  }
  // What is listed is found by its name, whatever was found then.
  (*file)->ForEachType([](std::string_view) { return true; },
                       [&](TypeId, std::string_view name) { return (*file)->FindType(name).has_value(); });
  (void)(*file)->FindType("_S *");
  return 0;
}

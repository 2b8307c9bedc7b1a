#include "client/symbols/pdb_lines.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string>

#include "client/symbols/byte_cursor.h"

namespace longwire {
namespace {

constexpr std::uint32_t kSubsectionLines = 0xf2, kSubsectionChecksums = 0xf4;
constexpr std::uint32_t kIgnoredSubsection = 0x80000000;
// Line numbers that mean "compiler-made code": never step into, always step into.
constexpr std::uint32_t kNeverStepInto = 0xfeefee, kAlwaysStepInto = 0xf00f00;

using Bytes = std::span<const std::uint8_t>;

void ForEachSubsection(Bytes lines, const std::function<bool(std::uint32_t kind, Bytes data)>& visit) {
  ByteCursor cursor(lines);
  while (cursor.remaining() >= 8) {
    const std::uint32_t kind = cursor.U32();
    const std::uint32_t size = cursor.U32();
    const Bytes data = cursor.Take(size);
    if (!cursor.ok()) return;
    if ((kind & kIgnoredSubsection) == 0 && !visit(kind, data)) return;
    cursor.Skip(std::min<std::size_t>(cursor.remaining(), (4 - size % 4) % 4));
  }
}

std::string FileOfChecksum(const PdbContainer& container, Bytes lines, std::uint32_t checksum_offset) {
  std::string file;
  ForEachSubsection(lines, [&](std::uint32_t kind, Bytes data) {
    if (kind != kSubsectionChecksums || checksum_offset >= data.size()) return true;
    file = container.String(ByteCursor(data.subspan(checksum_offset)).U32());
    return false;
  });
  return file;
}

// visit(code offset in the contribution, line, checksum offset); false stops.
using LineVisitor = std::function<bool(std::uint32_t, std::uint32_t, std::uint32_t)>;

void ForEachLine(ByteCursor& blocks, const LineVisitor& visit) {
  while (blocks.remaining() >= 12) {
    const std::uint32_t checksum = blocks.U32();
    const std::uint32_t count = blocks.U32();
    const std::uint32_t size = blocks.U32();
    if (size < 12) return;
    ByteCursor block(blocks.Take(size - 12));
    if (!blocks.ok()) return;
    for (std::uint32_t i = 0; i < count && block.remaining() >= 8; ++i) {
      const std::uint32_t offset = block.U32();
      if (!visit(offset, block.U32() & 0xffffff, checksum)) return;
    }
  }
}

}  // namespace

Result<SourceLine> FindPdbLine(const PdbContainer& container, std::size_t module, std::uint32_t rva) {
  const Bytes lines = container.Module(module).lines;
  bool found = false;
  SourceLine best;
  std::uint32_t best_offset = 0, best_checksum = 0;
  ForEachSubsection(lines, [&](std::uint32_t kind, Bytes data) {
    if (kind != kSubsectionLines) return true;
    ByteCursor cursor(data);
    const std::uint32_t start = cursor.U32();
    const std::uint16_t section = cursor.U16();
    cursor.U16();  // flags
    const std::uint32_t size = cursor.U32();
    const auto base = container.Rva(section, start);
    if (!cursor.ok() || !base || rva < *base || rva - *base >= size) return true;
    const std::uint32_t wanted = rva - *base;
    ForEachLine(cursor, [&](std::uint32_t offset, std::uint32_t line, std::uint32_t checksum) {
      if (offset > wanted || (found && offset < best_offset)) return true;
      found = true;
      best_offset = offset;
      best_checksum = checksum;
      best.line = line;
      return true;
    });
    best.displacement = wanted - best_offset;
    return !found;
  });
  if (!found || best.line == kNeverStepInto || best.line == kAlwaysStepInto)
    return Error{Errc::kNotFound, "no source line for this address"};
  best.file = FileOfChecksum(container, lines, best_checksum);
  return best;
}

std::size_t CountPdbLines(const PdbContainer& container, std::size_t module) {
  const Bytes lines = container.Module(module).lines;
  std::size_t count = 0;
  ForEachSubsection(lines, [&](std::uint32_t kind, Bytes data) {
    ByteCursor cursor(data);
    cursor.Skip(12);
    if (kind == kSubsectionLines && cursor.ok())
      ForEachLine(cursor, [&](std::uint32_t, std::uint32_t, std::uint32_t) { return ++count != 0; });
    return true;
  });
  return count;
}

}  // namespace longwire

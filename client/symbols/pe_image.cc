#include "client/symbols/pe_image.h"

#include <algorithm>
#include <array>

#include "client/symbols/byte_cursor.h"

namespace longwire {
namespace {

constexpr std::uint32_t kMaximumHeaderOffset = 0x10000;
constexpr std::size_t kMaximumDirectories = 16, kMaximumSections = 96;
constexpr std::size_t kExportDirectory = 0, kDebugDirectory = 6;
constexpr std::uint32_t kDebugCodeView = 2, kDebugReproducible = 16;
constexpr std::uint32_t kMaximumDebugEntries = 64, kMaximumCodeViewRecord = 4096;
constexpr std::uint32_t kMaximumExports = 65536, kMaximumExportDirectory = 32 << 20;

Error NotPe(std::string why) { return Error{Errc::kMalformed, "not a PE image: " + std::move(why)}; }

// Reads exactly `size` bytes; a shorter answer is an empty vector.
std::vector<std::uint8_t> ReadBytes(const RvaReader& read, std::uint32_t rva, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  if (read(rva, std::as_writable_bytes(std::span(bytes))) < size) bytes.clear();
  return bytes;
}

struct DebugEntry {
  std::uint32_t type = 0, size = 0, rva = 0;
};

std::vector<DebugEntry> ReadDebugEntries(const PeHeaders& headers, const RvaReader& read) {
  if (headers.directories.size() <= kDebugDirectory) return {};
  const PeDirectory& directory = headers.directories[kDebugDirectory];
  const std::uint32_t count = std::min(directory.size / 28, kMaximumDebugEntries);
  if (directory.rva == 0 || count == 0) return {};
  const auto bytes = ReadBytes(read, directory.rva, std::size_t{count} * 28);
  std::vector<DebugEntry> entries;
  ByteCursor cursor(bytes);
  while (cursor.remaining() >= 28) {
    cursor.Skip(12);
    DebugEntry entry;
    entry.type = cursor.U32();
    entry.size = cursor.U32();
    entry.rva = cursor.U32();
    cursor.U32();  // file offset
    entries.push_back(entry);
  }
  return entries;
}

void ReadOptionalHeader(ByteCursor& cursor, PeHeaders& headers) {
  cursor.Skip(14);
  headers.entry_point = cursor.U32();
  cursor.Skip(headers.is_64bit ? 4 : 8);
  headers.image_base = headers.is_64bit ? cursor.U64() : cursor.U32();
  cursor.Skip(24);
  headers.size_of_image = cursor.U32();
  cursor.U32();  // size of headers
  headers.checksum = cursor.U32();
  cursor.Skip(headers.is_64bit ? 40 : 24);
  const std::uint32_t count = std::min<std::uint32_t>(cursor.U32(), kMaximumDirectories);
  for (std::uint32_t i = 0; i < count && cursor.remaining() >= 8; ++i) {
    const std::uint32_t rva = cursor.U32();
    headers.directories.push_back({rva, cursor.U32()});
  }
}

void ReadSections(const std::vector<std::uint8_t>& bytes, PeHeaders& headers) {
  ByteCursor cursor(bytes);
  while (cursor.remaining() >= 40) {
    PeSection section;
    for (std::uint8_t c : cursor.Take(8)) {
      if (c == 0) break;
      section.name += static_cast<char>(c);
    }
    section.virtual_size = cursor.U32();
    section.rva = cursor.U32();
    section.file_size = cursor.U32();
    section.file_offset = cursor.U32();
    cursor.Skip(12);
    section.characteristics = cursor.U32();
    headers.sections.push_back(std::move(section));
  }
}

}  // namespace

Result<PeHeaders> ParsePeHeaders(const RvaReader& read) {
  const auto dos = ReadBytes(read, 0, 64);
  if (dos.empty()) return Error{Errc::kUnreadable, "the image header cannot be read"};
  ByteCursor start(dos);
  if (start.U16() != 0x5a4d) return NotPe("it does not begin with MZ");
  start.Skip(58);
  const std::uint32_t offset = start.U32();
  if (offset > kMaximumHeaderOffset) return NotPe("its header is out of reach");
  const auto file_header = ReadBytes(read, offset, 24);
  if (file_header.empty()) return Error{Errc::kUnreadable, "the PE header cannot be read"};
  ByteCursor cursor(file_header);
  if (cursor.U32() != 0x4550) return NotPe("it has no PE signature");
  PeHeaders headers;
  headers.machine = cursor.U16();
  const std::uint16_t sections = cursor.U16();
  headers.timestamp = cursor.U32();
  cursor.Skip(8);
  const std::uint16_t optional_size = cursor.U16();
  // 240 bytes are all of it with 16 directories; a longer one is not read to its end.
  const auto optional = ReadBytes(read, offset + 24, std::min<std::size_t>(optional_size, 240));
  ByteCursor optional_cursor(optional);
  const std::uint16_t magic = optional_cursor.U16();
  if (magic != 0x10b && magic != 0x20b) return NotPe("its optional header is of an unknown kind");
  headers.is_64bit = magic == 0x20b;
  ReadOptionalHeader(optional_cursor, headers);
  if (!optional_cursor.ok()) return NotPe("its optional header is too short");
  if (sections > kMaximumSections) return NotPe("it has more than 96 sections");
  const auto table = ReadBytes(read, offset + 24 + optional_size, std::size_t{sections} * 40);
  if (table.empty() && sections != 0) return Error{Errc::kUnreadable, "the section table cannot be read"};
  ReadSections(table, headers);
  return headers;
}

std::string PdbIdentity::Key() const {
  // The first three fields are numbers, stored little-endian; the rest is printed in order (engine.md 7.1).
  static constexpr std::array<std::size_t, 16> kOrder = {3, 2, 1,  0,  5,  4,  7,  6,
                                                         8, 9, 10, 11, 12, 13, 14, 15};
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string key;
  for (std::size_t i : kOrder) {
    key += kDigits[guid[i] >> 4];
    key += kDigits[guid[i] & 15];
  }
  int shift = 28;
  while (shift > 0 && (age >> shift & 15) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) key += kDigits[age >> shift & 15];
  return key;
}

Result<PdbIdentity> ReadPdbIdentity(const PeHeaders& headers, const RvaReader& read) {
  for (const DebugEntry& entry : ReadDebugEntries(headers, read)) {
    if (entry.type != kDebugCodeView || entry.rva == 0 || entry.size < 25) continue;
    const auto record = ReadBytes(read, entry.rva, std::min(entry.size, kMaximumCodeViewRecord));
    ByteCursor cursor(record);
    if (cursor.U32() != 0x53445352) continue;  // RSDS
    PdbIdentity identity;
    const auto guid = cursor.Take(16);
    if (guid.size() != 16) continue;
    std::copy(guid.begin(), guid.end(), identity.guid.begin());
    identity.age = cursor.U32();
    identity.name = cursor.CString();
    if (cursor.ok()) return identity;
  }
  return Error{Errc::kNotFound, "the image does not say which PDB belongs to it"};
}

bool IsReproducibleBuild(const PeHeaders& headers, const RvaReader& read) {
  const auto entries = ReadDebugEntries(headers, read);
  return std::any_of(entries.begin(), entries.end(),
                     [](const DebugEntry& e) { return e.type == kDebugReproducible; });
}

Result<std::vector<PeExport>> ReadExports(const PeHeaders& headers, const RvaReader& read) {
  if (headers.directories.empty() || headers.directories[kExportDirectory].rva == 0)
    return Error{Errc::kNotFound, "the image exports nothing"};
  const PeDirectory directory = headers.directories[kExportDirectory];
  if (directory.size < 40 || directory.size > kMaximumExportDirectory)
    return Error{Errc::kMalformed, "the export directory has an impossible size"};
  // Tables and names lie within the directory, so that one read fetches them all.
  const auto bytes = ReadBytes(read, directory.rva, directory.size);
  if (bytes.empty()) return Error{Errc::kUnreadable, "the export directory cannot be read"};
  const std::span<const std::uint8_t> all(bytes);
  const auto at = [&](std::uint32_t rva) {
    const std::uint32_t offset = rva - directory.rva;
    return ByteCursor(rva >= directory.rva && offset < all.size() ? all.subspan(offset) : all.first(0));
  };
  ByteCursor cursor(all);
  cursor.Skip(20);
  const std::uint32_t functions = cursor.U32();
  const std::uint32_t names = cursor.U32();
  ByteCursor addresses = at(cursor.U32()), name_table = at(cursor.U32()), ordinals = at(cursor.U32());
  if (functions > kMaximumExports || names > kMaximumExports)
    return Error{Errc::kMalformed, "the export directory has more entries than an image can"};
  std::vector<std::uint32_t> rvas;
  for (std::uint32_t i = 0; i < functions && addresses.remaining() >= 4; ++i) rvas.push_back(addresses.U32());
  std::vector<PeExport> exports;
  for (std::uint32_t i = 0; i < names && name_table.remaining() >= 4 && ordinals.remaining() >= 2; ++i) {
    ByteCursor name = at(name_table.U32());
    const std::uint16_t index = ordinals.U16();
    const std::string_view text = name.CString();
    if (!name.ok() || text.empty() || index >= rvas.size()) continue;
    const std::uint32_t rva = rvas[index];
    const bool forwarder = rva >= directory.rva && rva - directory.rva < directory.size;
    if (rva != 0 && !forwarder) exports.push_back({std::string(text), rva});
  }
  return exports;
}

}  // namespace longwire

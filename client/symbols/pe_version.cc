#include "client/symbols/pe_version.h"

#include <algorithm>
#include <optional>
#include <span>

#include "client/symbols/byte_cursor.h"
#include "proto/utf16.h"

namespace longwire {
namespace {

constexpr std::size_t kResourceDirectory = 2;
constexpr std::uint32_t kVersionResource = 16;
constexpr std::uint32_t kMaximumEntries = 4096, kMaximumVersionSize = 64 << 10;
constexpr std::uint32_t kSubdirectory = 0x80000000;

using Bytes = std::span<const std::uint8_t>;

std::optional<std::vector<std::uint8_t>> ReadBytes(const RvaReader& read, std::uint32_t rva,
                                                   std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  if (read(rva, std::as_writable_bytes(std::span(bytes))) < size) return std::nullopt;
  return bytes;
}

// Offset of the entry with `id` in the resource directory at `offset`, or of its first entry.
std::optional<std::uint32_t> FindEntry(const RvaReader& read, PeDirectory root, std::uint32_t offset,
                                       std::optional<std::uint32_t> id) {
  if (offset > root.size) return std::nullopt;
  const auto head = ReadBytes(read, root.rva + offset, 16);
  if (!head) return std::nullopt;
  ByteCursor cursor(*head);
  cursor.Skip(12);
  const std::uint32_t count = std::uint32_t{cursor.U16()} + cursor.U16();
  const auto entries =
      ReadBytes(read, root.rva + offset + 16, std::size_t{std::min(count, kMaximumEntries)} * 8);
  if (!entries) return std::nullopt;
  ByteCursor table(*entries);
  while (table.remaining() >= 8) {
    const std::uint32_t name = table.U32();
    const std::uint32_t target = table.U32();
    if (!id || name == *id) return target;
  }
  return std::nullopt;
}

/// One node of the version tree: wLength, wValueLength, wType, key, value, children.
struct Node {
  std::string key;
  Bytes value, children;
  bool ok = false;
};

std::size_t Padding(std::size_t position) { return (4 - position % 4) % 4; }

// Takes a node from the front of `bytes`, which must start 4-aligned in the resource.
Node TakeNode(Bytes& bytes) {
  Node node;
  ByteCursor cursor(bytes);
  const std::uint16_t length = cursor.U16();
  const std::uint16_t value_length = cursor.U16();
  const std::uint16_t is_text = cursor.U16();
  if (length < 6 || length > bytes.size()) return node;
  const Bytes own = bytes.first(length);
  std::u16string key;
  for (char16_t c; (c = cursor.U16()) != 0 && cursor.ok();) key += c;
  node.key = Utf8FromUtf16(key);
  cursor.Skip(std::min(Padding(cursor.position()), cursor.remaining()));
  const std::size_t value_bytes = is_text == 1 ? std::size_t{value_length} * 2 : value_length;
  std::size_t at = std::min(cursor.position(), own.size());
  node.value = own.subspan(at, std::min(value_bytes, own.size() - at));
  at += node.value.size();
  at = std::min(at + Padding(at), own.size());
  node.children = own.subspan(at);
  node.ok = true;
  bytes = bytes.subspan(std::min(bytes.size(), length + Padding(length)));
  return node;
}

std::string TextOf(Bytes value) {
  ByteCursor cursor(value);
  std::u16string text;
  while (cursor.remaining() >= 2) {
    const char16_t c = cursor.U16();
    if (c == 0) break;
    text += c;
  }
  return Utf8FromUtf16(text);
}

void ReadFixed(Bytes value, PeVersion& version) {
  ByteCursor cursor(value);
  if (cursor.U32() != 0xfeef04bd) return;
  const auto high_low = [&cursor] {
    const std::uint64_t high = cursor.U32();
    return high << 32 | cursor.U32();
  };
  cursor.U32();  // structure version
  version.file_version = high_low();
  version.product_version = high_low();
  version.flags_mask = cursor.U32();
  version.flags = cursor.U32();
  version.os = cursor.U32();
  version.type = cursor.U32();
  version.subtype = cursor.U32();
  version.date = high_low();
}

void ReadStrings(Bytes tables, PeVersion& version) {
  const Node table = TakeNode(tables);
  Bytes strings = table.children;
  while (!strings.empty()) {
    const Node string = TakeNode(strings);
    if (!string.ok) return;
    version.strings.emplace_back(string.key, TextOf(string.value));
  }
}

void ReadTranslations(Bytes variables, PeVersion& version) {
  const Node translation = TakeNode(variables);
  ByteCursor cursor(translation.value);
  while (cursor.remaining() >= 4) {
    const std::uint16_t language = cursor.U16();
    version.translations.emplace_back(language, cursor.U16());
  }
}

Result<PeVersion> ParseVersion(Bytes resource) {
  const Node root = TakeNode(resource);
  if (!root.ok || root.key != "VS_VERSION_INFO")
    return Error{Errc::kMalformed, "the version resource is damaged"};
  PeVersion version;
  ReadFixed(root.value, version);
  Bytes children = root.children;
  while (!children.empty()) {
    const Node child = TakeNode(children);
    if (!child.ok) break;
    if (child.key == "StringFileInfo" && version.strings.empty()) ReadStrings(child.children, version);
    if (child.key == "VarFileInfo" && version.translations.empty()) ReadTranslations(child.children, version);
  }
  return version;
}

}  // namespace

Result<PeVersion> ReadPeVersion(const PeHeaders& headers, const RvaReader& read) {
  const Error none{Errc::kNotFound, "the image has no version resource"};
  if (headers.directories.size() <= kResourceDirectory) return none;
  const PeDirectory root = headers.directories[kResourceDirectory];
  if (root.rva == 0 || root.size == 0) return none;
  auto entry = FindEntry(read, root, 0, kVersionResource);
  for (int level = 0; level < 2 && entry && (*entry & kSubdirectory) != 0;
       ++level)  // resource name, then language
    entry = FindEntry(read, root, *entry & ~kSubdirectory, std::nullopt);
  if (!entry || (*entry & kSubdirectory) != 0 || *entry > root.size) return none;
  const auto data = ReadBytes(read, root.rva + *entry, 8);
  if (!data) return Error{Errc::kUnreadable, "the version resource cannot be read"};
  ByteCursor cursor(*data);
  const std::uint32_t rva = cursor.U32();
  const std::uint32_t size = cursor.U32();
  if (size > kMaximumVersionSize) return Error{Errc::kMalformed, "the version resource is too large"};
  const auto resource = ReadBytes(read, rva, size);
  if (!resource) return Error{Errc::kUnreadable, "the version resource cannot be read"};
  return ParseVersion(*resource);
}

std::string FormatVersion(std::uint64_t version) {
  return std::to_string(version >> 48) + "." + std::to_string(version >> 32 & 0xffff) + "." +
         std::to_string(version >> 16 & 0xffff) + "." + std::to_string(version & 0xffff);
}

}  // namespace longwire

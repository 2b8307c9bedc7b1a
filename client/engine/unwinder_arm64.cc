#include "client/engine/unwinder_arm64.h"

#include <algorithm>
#include <array>
#include <string>

namespace longwire {
namespace {

using Kind = Arm64Operation::Kind;
constexpr std::uint8_t kFp = 29, kLr = 30;
constexpr std::size_t kMaximumRecord = 4096, kEntryBytes = 8;

std::uint32_t Load32(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

Arm64Operation Allocate(std::uint32_t size) { return {.kind = Kind::kAllocate, .size = size}; }

Arm64Operation Save(std::uint8_t first, std::uint8_t count, std::uint32_t offset,
                    std::uint32_t write_back = 0) {
  return {.kind = Kind::kSave, .first = first, .count = count, .offset = offset, .write_back = write_back};
}

Arm64Operation SaveFloat(std::uint8_t first, std::uint8_t count, std::uint32_t offset,
                         std::uint32_t write_back = 0) {
  Arm64Operation operation = Save(first, count, offset, write_back);
  operation.floating = true;
  return operation;
}

/// Codes of one, two and four bytes, as the format lists them by their first bits. Moves `at` behind the
/// code.
Arm64Operation DecodeCode(std::span<const std::byte> codes, std::size_t& at) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return at + i < codes.size() ? std::to_integer<std::uint32_t>(codes[at + i]) : 0;
  };
  const std::uint32_t first = byte(0), pair = first << 8 | byte(1);
  const std::uint32_t z6 = pair & 0x3F, z5 = pair & 0x1F;
  const auto x4 = static_cast<std::uint8_t>(pair >> 6 & 0xF), x3 = static_cast<std::uint8_t>(pair >> 6 & 7),
             x5 = static_cast<std::uint8_t>(pair >> 5 & 0xF), f5 = static_cast<std::uint8_t>(pair >> 5 & 7);
  std::size_t size = 1;
  Arm64Operation out;
  if (first < 0x20) {
    out = Allocate(first * 16);
  } else if (first < 0x40) {
    out = Save(19, 2, 0, (first & 0x1F) * 8);
  } else if (first < 0x80) {
    out = Save(kFp, 2, (first & 0x3F) * 8);
  } else if (first < 0xC0) {
    out = Save(kFp, 2, 0, ((first & 0x3F) + 1) * 8);
  } else if (first < 0xE0) {
    size = 2;
    if (first < 0xC8) {
      out = Allocate((pair & 0x7FF) * 16);
    } else if (first < 0xCC) {
      out = Save(19 + x4, 2, z6 * 8);
    } else if (first < 0xD0) {
      out = Save(19 + x4, 2, 0, (z6 + 1) * 8);
    } else if (first < 0xD4) {
      out = Save(19 + x4, 1, z6 * 8);
    } else if (first < 0xD6) {
      out = Save(19 + x5, 1, 0, (z5 + 1) * 8);
    } else if (first < 0xD8) {
      out = Save(19 + 2 * x3, 1, z6 * 8);
      out.last = kLr;
    } else if (first < 0xDA) {
      out = SaveFloat(8 + x3, 2, z6 * 8);
    } else if (first < 0xDC) {
      out = SaveFloat(8 + x3, 2, 0, (z6 + 1) * 8);
    } else if (first < 0xDE) {
      out = SaveFloat(8 + x3, 1, z6 * 8);
    } else if (first == 0xDE) {
      out = SaveFloat(8 + f5, 1, 0, (z5 + 1) * 8);
    } else {
      out.kind = Kind::kUnknown;
    }
  } else {
    switch (first) {
      case 0xE0:
        size = 4;
        out = Allocate((byte(1) << 16 | byte(2) << 8 | byte(3)) * 16);
        break;
      case 0xE1: out.kind = Kind::kSetFrame; break;
      case 0xE2:
        size = 2;
        out = {.kind = Kind::kAddFrame, .size = byte(1) * 8};
        break;
      case 0xE3: break;
      case 0xE5:
      case 0xEC: out.is_instruction = false; break;
      case 0xE9:
        out.kind = Kind::kMachineFrame;
        out.is_instruction = false;
        break;
      case 0xFC: out.kind = Kind::kStripLr; break;
      default: out.kind = Kind::kUnknown;
    }
  }
  at += size;
  return out;
}

/// The codes from `at` to their end. save_next stands before the pair it goes on from, and widens it.
std::vector<Arm64Operation> DecodeCodes(std::span<const std::byte> codes, std::size_t at) {
  constexpr std::byte kEnd{0xE4}, kSaveNext{0xE6};
  std::vector<Arm64Operation> operations;
  std::size_t waiting = 0;
  while (at < codes.size() && codes[at] != kEnd) {
    if (codes[at] == kSaveNext) {
      ++waiting;
      ++at;
      continue;
    }
    Arm64Operation operation = DecodeCode(codes, at);
    for (; waiting > 0; --waiting) {
      Arm64Operation next = operation;
      next.first = static_cast<std::uint8_t>(next.first + 2 * waiting);
      next.offset += static_cast<std::uint32_t>(16 * waiting);
      next.write_back = 0;
      if (operation.kind != Kind::kSave || operation.count != 2 || next.first > kFp)
        next.kind = Kind::kUnknown;
      operations.push_back(next);
    }
    operations.push_back(operation);
  }
  return operations;
}

std::uint32_t Instructions(const std::vector<Arm64Operation>& operations) {
  return static_cast<std::uint32_t>(
      std::count_if(operations.begin(), operations.end(), [](const auto& o) { return o.is_instruction; }));
}

/// Undoes operations on registers; what it cannot read or does not know ends it.
class Undo {
 public:
  Undo(const UnwindSource& source, RegisterSet& registers) : source_(source), registers_(registers) {}

  Arm64Outcome Apply(const std::vector<Arm64Operation>& operations, std::uint32_t skip) {
    for (const Arm64Operation& operation : operations) {
      if (operation.is_instruction && skip > 0) {
        --skip;
        continue;
      }
      if (operation.kind == Kind::kUnknown) return Arm64Outcome::kNoInformation;
      if (operation.kind == Kind::kMachineFrame) return ApplyMachineFrame();
      if (!ApplyOne(operation)) return Arm64Outcome::kUnreadable;
    }
    registers_.Set("pc", Get("lr"));
    return Arm64Outcome::kUnwound;
  }

 private:
  std::uint64_t Get(const std::string& name) const { return registers_.Get(name).value_or(0); }

  bool Restore(const std::string& name, std::uint64_t address) {
    std::array<std::byte, 8> bytes{};
    if (source_.read_memory(address, bytes) != bytes.size()) return false;
    return registers_.Set(name, std::uint64_t{Load32(bytes, 4)} << 32 | Load32(bytes, 0));
  }

  bool ApplyOne(const Arm64Operation& operation) {
    const std::uint64_t sp = Get("sp");
    switch (operation.kind) {
      case Kind::kAllocate: registers_.Set("sp", sp + operation.size); return true;
      case Kind::kSetFrame: registers_.Set("sp", Get("fp")); return true;
      case Kind::kAddFrame: registers_.Set("sp", Get("fp") - operation.size); return true;
      case Kind::kSave: return ApplySave(operation, sp);
      case Kind::kStripLr: {
        // The signature fills the bits beyond 48-bit addresses, except bit 55, which tells the half.
        constexpr std::uint64_t kHigh = 0xFFFF000000000000;
        const std::uint64_t lr = Get("lr");
        registers_.Set("lr", (lr >> 55 & 1) != 0 ? lr | kHigh : lr & ~kHigh);
        return true;
      }
      default: return true;
    }
  }

  bool ApplySave(const Arm64Operation& operation, std::uint64_t sp) {
    std::uint64_t at = sp + operation.offset;
    const std::string prefix = operation.floating ? "d" : "x";
    for (unsigned i = 0; i < operation.count; ++i, at += 8) {
      if (!Restore(prefix + std::to_string(operation.first + i), at)) return false;
    }
    if (operation.last && !Restore("x" + std::to_string(*operation.last), at)) return false;
    registers_.Set("sp", sp + operation.write_back);
    return true;
  }

  Arm64Outcome ApplyMachineFrame() {
    const std::uint64_t sp = Get("sp");
    if (!Restore("pc", sp + 8) || !Restore("sp", sp)) return Arm64Outcome::kUnreadable;
    return Arm64Outcome::kMachineFrame;
  }

  const UnwindSource& source_;
  RegisterSet& registers_;
};

/// Binary search in .pdata: entries of 8 bytes, by the function's RVA.
std::optional<std::pair<std::uint32_t, std::uint32_t>> FindEntry(const UnwindSource& source,
                                                                 const UnwindModule& module,
                                                                 std::uint32_t rva) {
  const auto directory = source.exception_directory(module.base);
  if (!directory) return std::nullopt;
  std::uint32_t low = 0, high = directory->second / kEntryBytes;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> found;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    std::array<std::byte, kEntryBytes> entry{};
    const std::uint32_t at = directory->first + middle * static_cast<std::uint32_t>(kEntryBytes);
    if (source.read_image(module.base, at, entry) != entry.size()) return std::nullopt;
    if (Load32(entry, 0) <= rva) {
      found = {Load32(entry, 0), Load32(entry, 4)};
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return found;
}

std::optional<Arm64Unwind> ReadUnwind(const UnwindSource& source, const UnwindModule& module,
                                      std::uint32_t word) {
  if ((word & 3) != 0) return DecodePackedArm64(word);
  std::vector<std::byte> record(kMaximumRecord);
  record.resize(source.read_image(module.base, word, record));
  return DecodeArm64Unwind(record);
}

}  // namespace

/// The canonical prolog the packed form stands for, instruction by instruction.
std::optional<Arm64Unwind> DecodePackedArm64(std::uint32_t word) {
  const std::uint32_t flag = word & 3, float_field = word >> 13 & 7, frame = (word >> 23) * 16;
  const auto integers = static_cast<std::uint8_t>(word >> 16 & 0xF);
  const bool homes = (word >> 20 & 1) != 0;
  const std::uint32_t chain = word >> 21 & 3;
  if ((flag != 1 && flag != 2) || integers > 10) return std::nullopt;
  const auto floats = static_cast<std::uint8_t>(float_field == 0 ? 0 : float_field + 1);
  const std::uint32_t integer_bytes = integers * 8u + (chain == 1 ? 8 : 0), float_bytes = floats * 8u;
  const std::uint32_t saved = (integer_bytes + float_bytes + (homes ? 64 : 0) + 15) & ~15u;
  if (saved > frame) return std::nullopt;
  std::vector<Arm64Operation> forward;
  if (chain == 2) forward.push_back({.kind = Kind::kStripLr});
  // The first store of the area allocates all of it.
  const auto store = [&](Arm64Operation operation) {
    if (operation.offset == 0) operation.write_back = saved;
    forward.push_back(operation);
  };
  for (std::uint8_t i = 0; i < integers; i += 2) {
    Arm64Operation operation = Save(19 + i, integers - i >= 2 ? 2 : 1, i * 8u);
    if (chain == 1 && integers - i == 1) operation.last = kLr;
    store(operation);
  }
  if (chain == 1 && integers % 2 == 0) store(Save(kLr, 1, integers * 8u));
  for (std::uint8_t i = 0; i < floats; i += 2)
    store(SaveFloat(8 + i, floats - i >= 2 ? 2 : 1, integer_bytes + i * 8u));
  for (int i = 0; homes && i < 4; ++i) {
    const bool first = integer_bytes + float_bytes == 0 && i == 0;
    forward.push_back(first ? Allocate(saved) : Arm64Operation{});
  }
  const std::uint32_t locals = frame - saved;
  constexpr std::uint32_t kMostPair = 512, kMostImmediate = 4080;
  if (chain >= 2 && locals != 0 && locals <= kMostPair) {
    forward.push_back(Save(kFp, 2, 0, locals));
  } else if (locals != 0) {
    if (locals > kMostImmediate) forward.push_back(Allocate(kMostImmediate));
    forward.push_back(Allocate(locals > kMostImmediate ? locals - kMostImmediate : locals));
    if (chain >= 2) forward.push_back(Save(kFp, 2, 0));
  }
  if (chain >= 2) forward.push_back({.kind = Kind::kSetFrame});
  Arm64Unwind unwind;
  unwind.length = (word >> 2 & 0x7FF) * 4;
  unwind.prolog.assign(forward.rbegin(), forward.rend());
  unwind.has_prolog = flag == 1;
  // One epilog at the end: the prolog backwards without `mov fp,sp` and the home stores, and a return.
  Arm64Unwind::Epilog epilog;
  for (const Arm64Operation& operation : unwind.prolog) {
    if (operation.kind != Kind::kSetFrame && operation.kind != Kind::kNothing)
      epilog.operations.push_back(operation);
  }
  const std::uint32_t size = (Instructions(epilog.operations) + 1) * 4;
  epilog.start = size <= unwind.length ? unwind.length - size : unwind.length;
  unwind.epilogs.push_back(std::move(epilog));
  return unwind;
}

std::optional<Arm64Unwind> DecodeArm64Unwind(std::span<const std::byte> bytes) {
  if (bytes.size() < 4) return std::nullopt;
  const std::uint32_t header = Load32(bytes, 0);
  if ((header >> 18 & 3) != 0) return std::nullopt;
  std::uint32_t epilogs = header >> 22 & 0x1F, words = header >> 27;
  const bool single = (header >> 21 & 1) != 0;
  std::size_t at = 4;
  if (epilogs == 0 && words == 0) {
    if (bytes.size() < 8) return std::nullopt;
    epilogs = Load32(bytes, 4) & 0xFFFF;
    words = Load32(bytes, 4) >> 16 & 0xFF;
    at = 8;
  }
  const std::size_t scopes = single ? 0 : epilogs, codes_at = at + scopes * 4;
  if (codes_at + words * 4 > bytes.size()) return std::nullopt;
  const std::span<const std::byte> codes = bytes.subspan(codes_at, words * 4);
  Arm64Unwind unwind;
  unwind.length = (header & 0x3FFFF) * 4;
  unwind.prolog = DecodeCodes(codes, 0);
  for (std::size_t i = 0; i < scopes; ++i) {
    const std::uint32_t scope = Load32(bytes, at + i * 4);
    unwind.epilogs.push_back({(scope & 0x3FFFF) * 4, DecodeCodes(codes, scope >> 22)});
  }
  if (single) {
    Arm64Unwind::Epilog epilog{0, DecodeCodes(codes, epilogs)};
    const std::uint32_t size = (Instructions(epilog.operations) + 1) * 4;
    epilog.start = size <= unwind.length ? unwind.length - size : unwind.length;
    unwind.epilogs.push_back(std::move(epilog));
  }
  return unwind;
}

Arm64Outcome UnwindArm64(const UnwindSource& source, const UnwindModule& module, bool interrupted,
                         RegisterSet& registers) {
  const std::uint64_t pc = registers.program_counter() - (interrupted ? 0 : 4);
  const auto rva = static_cast<std::uint32_t>(pc - module.base);
  if (!source.exception_directory || !source.read_image) return Arm64Outcome::kNoInformation;
  const auto entry = FindEntry(source, module, rva);
  const auto unwind = entry ? ReadUnwind(source, module, entry->second) : std::nullopt;
  if (!unwind) return Arm64Outcome::kNoInformation;
  if (rva - entry->first >= unwind->length) {
    if (!interrupted) return Arm64Outcome::kNoInformation;
    registers.Set("pc", registers.Get("lr").value_or(0));
    return Arm64Outcome::kLeaf;
  }
  RegisterSet caller = registers;
  Undo undo(source, caller);
  const std::uint32_t offset = rva - entry->first;
  const std::vector<Arm64Operation>* operations = &unwind->prolog;
  std::uint32_t skip = 0;
  const std::uint32_t prolog = unwind->has_prolog ? Instructions(unwind->prolog) : 0;
  if (interrupted && offset / 4 < prolog) {
    skip = prolog - offset / 4;
  } else if (interrupted) {
    for (const Arm64Unwind::Epilog& epilog : unwind->epilogs) {
      if (offset < epilog.start || (offset - epilog.start) / 4 > Instructions(epilog.operations)) continue;
      operations = &epilog.operations;
      skip = (offset - epilog.start) / 4;
      break;
    }
  }
  const Arm64Outcome outcome = undo.Apply(*operations, skip);
  if (outcome != Arm64Outcome::kNoInformation) registers = std::move(caller);
  return outcome;
}

}  // namespace longwire

#include "server/gdbstub/stub_registers.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "proto/gdb/hex.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxDocument = 256u << 10;

/// Where the names of the records and of gdb's descriptions differ.
std::string_view StubName(std::string_view field) {
  struct Alias {
    std::string_view field, stub;
  };
  static constexpr std::array<Alias, 8> kAliases{{{"efl", "eflags"},
                                                  {"fpcw", "fctrl"},
                                                  {"fpsw", "fstat"},
                                                  {"fp", "x29"},
                                                  {"lr", "x30"},
                                                  {"gsbase", "gs_base"},
                                                  {"gsswap", "k_gs_base"},
                                                  {"fsbase", "fs_base"}}};
  const auto* found =
      std::find_if(kAliases.begin(), kAliases.end(), [&](const Alias& a) { return a.field == field; });
  return found == kAliases.end() ? field : found->stub;
}

kd::Machine MachineOf(std::string_view architecture) {
  if (architecture == "i386:x86-64") return kd::Machine::kAmd64;
  if (architecture.starts_with("i386")) return kd::Machine::kX86;
  if (architecture.starts_with("aarch64")) return kd::Machine::kArm64;
  return kd::Machine::kUnknown;
}

}  // namespace

Task<Result<std::string>> StubRegisters::ReadDocument(std::string name, std::size_t packet_size) {
  std::string text;
  const std::string length = gdb::EncodeNumber(std::max<std::size_t>(packet_size, 64) - 8);
  while (text.size() < kMaxDocument) {
    Result<std::string> part = co_await line_.Ask("qXfer:features:read:" + name + ":" +
                                                  gdb::EncodeNumber(text.size()) + "," + length);
    if (!part) co_return part.error();
    const char kind = part->empty() ? '\0' : part->front();
    if (kind != 'l' && kind != 'm') {
      co_return Error{Errc::kUnsupported, "this gdb stub does not describe its registers (" + name +
                                              "); use one that does, as QEMU's (-gdb tcp::1234)"};
    }
    text.append(*part, 1);
    if (kind == 'l') co_return text;
    if (part->size() == 1) break;
  }
  co_return Error{Errc::kLimitExceeded, "the gdb stub's description of its registers does not end"};
}

Task<Result<void>> StubRegisters::ReadDescription(std::size_t packet_size) {
  gdb::TargetDescription::Documents documents;
  std::vector<std::string> wanted{"target.xml"};
  while (!wanted.empty() && documents.size() < gdb::TargetDescription::kMaxIncludes) {
    const std::string name = std::move(wanted.back());
    wanted.pop_back();
    if (documents.contains(name)) continue;
    Result<std::string> text = co_await ReadDocument(name, packet_size);
    if (!text) co_return text.error();
    for (std::string& include : gdb::TargetDescription::Includes(*text)) wanted.push_back(std::move(include));
    documents[name] = std::move(*text);
  }
  auto parsed = gdb::TargetDescription::Parse(documents);
  if (!parsed) co_return parsed.error();
  machine_ = MachineOf(parsed->architecture());
  if (machine_ == kd::Machine::kUnknown) {
    co_return Error{Errc::kUnsupported, "the gdb stub's machine, '" + parsed->architecture() +
                                            "', is none that can be debugged; x86-64, i386 and aarch64 are"};
  }
  description_ = std::move(*parsed);
  co_return Result<void>{};
}

Task<Result<void>> StubRegisters::Choose(std::uint16_t processor) {
  if (chosen_ == processor) co_return Result<void>{};
  if (processor >= threads_.size()) co_return Error{Errc::kUsage, "there is no such processor"};
  Result<std::string> set = co_await line_.Ask("Hg" + threads_[processor]);
  if (!set) co_return set.error();
  if (*set != "OK") co_return Error{Errc::kTargetRefused, "the gdb stub refused to choose a processor"};
  chosen_ = processor;
  co_return Result<void>{};
}

Task<Result<kd::Bytes>> StubRegisters::Raw(std::uint16_t processor) {
  if (const auto known = raw_.find(processor); known != raw_.end()) co_return known->second;
  Result<void> chosen = co_await Choose(processor);
  if (!chosen) co_return chosen.error();
  Result<std::string> reply = co_await line_.Ask("g");
  if (!reply) co_return reply.error();
  std::replace(reply->begin(), reply->end(), 'x', '0');  // registers that are not available
  const auto bytes = gdb::DecodeHex(*reply);
  if (!bytes || bytes->empty()) {
    co_return Error{Errc::kTargetRefused, "the gdb stub refused to give the registers"};
  }
  raw_[processor] = *bytes;
  co_return *bytes;
}

Task<Result<std::optional<std::uint64_t>>> StubRegisters::Value(std::uint16_t processor, std::string name) {
  Result<kd::Bytes> raw = co_await Raw(processor);
  if (!raw) co_return raw.error();
  const gdb::Register* found = description_.Find(name);
  if (found == nullptr || found->offset + found->bits / 8 > raw->size()) {
    co_return std::optional<std::uint64_t>{};
  }
  const auto bytes = std::span(*raw).subspan(found->offset, std::min(found->bits / 8, 8u));
  co_return std::optional<std::uint64_t>(kd::Load64(bytes, 0));
}

kd::Bytes StubRegisters::Translate(std::span<const kd::RegisterField> fields, const kd::Bytes& raw,
                                   std::size_t size) const {
  kd::Bytes record(size);
  for (const kd::RegisterField& field : fields) {
    const gdb::Register* source = description_.Find(StubName(field.name));
    if (source == nullptr || field.offset + field.size > size) continue;
    const std::size_t bytes = std::min<std::size_t>(source->bits / 8, field.size);
    if (source->offset + bytes > raw.size()) continue;
    std::memcpy(record.data() + field.offset, raw.data() + source->offset, bytes);
  }
  return record;
}

Task<Result<kd::Bytes>> StubRegisters::GetContext(std::uint16_t processor) {
  Result<kd::Bytes> raw = co_await Raw(processor);
  if (!raw) co_return raw.error();
  const kd::ContextLayout* layout = kd::FindContextLayout(machine_);
  kd::Bytes context = Translate(layout->registers, *raw, layout->size);
  kd::Store(std::span(context), layout->flags_offset, layout->all_flags);
  if (const auto* copy = kd::FindContextRegister(machine_, "mxcsr");
      copy && machine_ == kd::Machine::kAmd64) {
    constexpr std::size_t kMxCsrOfSaveArea = 0x118;  // FltSave.MxCsr repeats it
    kd::Store(std::span(context), kMxCsrOfSaveArea, kd::Load32(context, copy->offset));
  }
  co_return context;
}

Task<Result<void>> StubRegisters::SetContext(std::uint16_t processor, kd::Bytes context) {
  const kd::ContextLayout* layout = kd::FindContextLayout(machine_);
  if (layout == nullptr || context.size() != layout->size) {
    co_return Error{Errc::kUsage, "this is no CONTEXT record of this machine"};
  }
  Result<kd::Bytes> before = co_await GetContext(processor);
  if (!before) co_return before.error();
  Result<void> chosen = co_await Choose(processor);
  if (!chosen) co_return chosen;
  kd::Bytes raw = raw_[processor];
  for (const kd::RegisterField& field : layout->registers) {
    const gdb::Register* sink = description_.Find(StubName(field.name));
    const auto wanted = std::span(context).subspan(field.offset, field.size);
    if (std::equal(wanted.begin(), wanted.end(), before->begin() + field.offset)) continue;
    if (sink == nullptr || sink->offset + sink->bits / 8 > raw.size()) {
      if (field.name == "contextflags") continue;
      co_return Error{Errc::kUnsupported,
                      "this gdb stub does not let the register " + std::string(field.name) + " be changed"};
    }
    const auto bytes = std::span(raw).subspan(sink->offset, sink->bits / 8);
    std::copy_n(wanted.begin(), std::min(wanted.size(), bytes.size()), bytes.begin());
    Result<std::string> set =
        co_await line_.Ask("P" + gdb::EncodeNumber(sink->number) + "=" + gdb::EncodeHex(bytes));
    if (set && set->empty()) set = co_await line_.Ask("G" + gdb::EncodeHex(raw));
    if (!set) co_return set.error();
    if (*set != "OK") {
      Forget();
      co_return Error{Errc::kTargetRefused,
                      "the gdb stub refused to change the register " + std::string(field.name)};
    }
  }
  Forget();
  co_return Result<void>{};
}

Task<Result<kd::Bytes>> StubRegisters::GetSpecial(std::uint16_t processor) {
  const kd::SpecialLayout* layout = kd::FindSpecialLayout(machine_);
  Result<kd::Bytes> raw = co_await Raw(processor);
  if (!raw) co_return raw.error();
  co_return Translate(layout->registers, *raw, layout->size);
}

}  // namespace longwire

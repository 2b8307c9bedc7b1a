#include "proto/gdb/target_description.h"

#include <algorithm>
#include <optional>

namespace longwire::gdb {
namespace {

constexpr std::uint32_t kMaxRegisterBits = 65'536;
constexpr unsigned kMaxDepth = 4;

Error Malformed(const char* what) {
  return Error{Errc::kMalformed, std::string("the stub's description of its registers ") + what};
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

/// Goes from tag to tag; comments and declarations are skipped.
class TagReader {
 public:
  explicit TagReader(std::string_view text) : text_(text) {}

  /// The inside of the next `<...>`; nullopt at the end.
  std::optional<std::string_view> Next() {
    for (;;) {
      const std::size_t start = text_.find('<', at_);
      if (start == std::string_view::npos) return std::nullopt;
      const bool comment = text_.substr(start).starts_with("<!--");
      const std::size_t end = comment ? text_.find("-->", start + 4) : text_.find('>', start);
      if (end == std::string_view::npos) return std::nullopt;
      at_ = end + (comment ? 3 : 1);
      const std::string_view inside = text_.substr(start + 1, end - start - 1);
      if (comment || inside.starts_with('!') || inside.starts_with('?')) continue;
      return inside;
    }
  }
  /// Text between the last tag and the next.
  std::string_view Content() const { return text_.substr(at_, text_.find('<', at_) - at_); }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

std::string_view NameOf(std::string_view tag) {
  return tag.substr(0, std::min(tag.find_first_of(" \t\r\n/"), tag.size()));
}

std::optional<std::string_view> Attribute(std::string_view tag, std::string_view name) {
  for (std::size_t at = tag.find(name); at != std::string_view::npos; at = tag.find(name, at + 1)) {
    if (at == 0 || !IsBlank(tag[at - 1])) continue;
    std::string_view rest = Trim(tag.substr(at + name.size()));
    if (!rest.starts_with('=')) continue;
    rest = Trim(rest.substr(1));
    if (rest.empty() || (rest.front() != '"' && rest.front() != '\'')) return std::nullopt;
    const std::size_t end = rest.find(rest.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    return rest.substr(1, end - 1);
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Decimal(std::string_view text, std::uint32_t limit) {
  if (text.empty() || text.size() > 9) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return value > limit ? std::nullopt : std::optional(value);
}

bool IsInclude(std::string_view tag) { return NameOf(tag) == "xi:include"; }

}  // namespace

std::vector<std::string> TargetDescription::Includes(std::string_view text) {
  std::vector<std::string> names;
  TagReader reader(text);
  while (const auto tag = reader.Next()) {
    if (!IsInclude(*tag) || names.size() == kMaxIncludes) continue;
    if (const auto name = Attribute(*tag, "href")) names.emplace_back(*name);
  }
  return names;
}

Result<TargetDescription> TargetDescription::Parse(const Documents& documents) {
  TargetDescription description;
  const auto start = documents.find("target.xml");
  if (start == documents.end()) return Malformed("is missing");
  if (auto read = description.Read(start->second, documents, 0); !read) return read.error();
  auto& registers = description.registers_;
  std::stable_sort(registers.begin(), registers.end(),
                   [](const Register& a, const Register& b) { return a.number < b.number; });
  std::uint32_t offset = 0;
  for (std::size_t i = 0; i < registers.size(); ++i) {
    if (i != 0 && registers[i - 1].number == registers[i].number)
      return Malformed("gives two registers one number");
    registers[i].offset = offset;
    offset += (registers[i].bits + 7) / 8;
  }
  return description;
}

Result<void> TargetDescription::Read(std::string_view text, const Documents& documents, unsigned depth) {
  if (text.size() > kMaxText || depth > kMaxDepth || ++included_ > kMaxIncludes) {
    return Error{Errc::kLimitExceeded, "the stub's description of its registers is too large"};
  }
  TagReader reader(text);
  while (const auto tag = reader.Next()) {
    const std::string_view name = NameOf(*tag);
    if (name == "architecture") {
      architecture_ = Trim(reader.Content());
    } else if (IsInclude(*tag)) {
      const auto href = Attribute(*tag, "href");
      const auto found = href ? documents.find(*href) : documents.end();
      if (found == documents.end()) return Malformed("includes a part that is missing");
      if (auto read = Read(found->second, documents, depth + 1); !read) return read;
    } else if (name == "reg") {
      const auto called = Attribute(*tag, "name");
      const auto bits = Decimal(Attribute(*tag, "bitsize").value_or(""), kMaxRegisterBits);
      if (!called || !bits || *bits == 0) return Malformed("has a register without a name or size");
      if (registers_.size() == kMaxRegisters) return Malformed("has too many registers");
      const auto number = Attribute(*tag, "regnum");
      if (number) {
        const auto value = Decimal(*number, 1'000'000);
        if (!value) return Malformed("has a register with a number that is none");
        next_number_ = *value;
      }
      registers_.push_back({std::string(*called), next_number_++, *bits, 0});
    }
  }
  return {};
}

const Register* TargetDescription::Find(std::string_view name) const {
  const auto found = std::find_if(registers_.begin(), registers_.end(),
                                  [&](const Register& one) { return one.name == name; });
  return found == registers_.end() ? nullptr : &*found;
}

}  // namespace longwire::gdb

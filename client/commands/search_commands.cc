#include <algorithm>
#include <cctype>
#include <optional>

#include "client/commands/memory_form.h"
#include "client/commands/memory_write.h"
#include "client/commands/number_text.h"
#include "proto/plan/plan_builder.h"

namespace longwire {
namespace {

constexpr std::uint64_t kMaxHits = 65'536;
constexpr std::uint64_t kStringPieceBytes = 1u << 20;

struct SearchOptions {
  char type = 'b';          ///< b w d q a u
  bool any_string = false;  ///< -sa, -su
  bool addresses_only = false;
  unsigned minimum = 3;  ///< characters of any_string
};

/// `-d`, `-[1]a`, `-sa`, `-[l 5]sa`.
Result<SearchOptions> TakeOptions(Session& session, Arguments& arguments, const std::string& whole) {
  SearchOptions options;
  arguments.SkipBlanks();
  if (arguments.rest().empty() || arguments.rest().front() != '-') return options;
  arguments.text().remove_prefix(1);
  if (!arguments.rest().empty() && arguments.rest().front() == '[') {
    const std::size_t end = arguments.rest().find(']');
    if (end == std::string_view::npos) return SyntaxError("s" + whole);
    std::string_view flags = arguments.rest().substr(1, end - 1);
    arguments.text().remove_prefix(end + 1);
    while (!flags.empty()) {
      const char flag = flags.front();
      flags.remove_prefix(1);
      if (flag == '1') options.addresses_only = true;
      if (flag == 'l') {
        Result<std::uint64_t> minimum = EvaluateMasm(flags, session.Evaluation());
        if (!minimum) return minimum.error();
        if (*minimum == 0 || *minimum > 1024) return Error{Errc::kUsage, "^ Range error in 's" + whole + "'"};
        options.minimum = static_cast<unsigned>(*minimum);
      }
      if (flag != '1' && flag != 'l' && flag != ' ') {
        return Error{Errc::kUnsupported,
                     std::string("the search flag '") + flag + "' is not supported; there are 1 and l"};
      }
    }
  }
  std::string_view type = arguments.Word();
  if (type == "sa" || type == "su") {
    options.any_string = true;
    type.remove_prefix(1);
  }
  if (type.size() != 1 || std::string_view("bwdqau").find(type[0]) == std::string_view::npos)
    return SyntaxError("s" + whole);
  options.type = type[0];
  return options;
}

unsigned ElementSize(char type) {
  return type == 'q' ? 8 : type == 'd' ? 4 : type == 'w' || type == 'u' ? 2 : 1;
}

/// Every place of the pattern in [address, address + size) that is aligned to an element. One plan; more only
/// when its limits end it.
Result<std::vector<std::uint64_t>> Find(Session& session, std::uint64_t address, std::uint64_t size,
                                        const std::vector<std::byte>& pattern, unsigned element) {
  std::vector<std::uint64_t> hits;
  std::uint64_t from = address, left = size;
  while (left >= pattern.size() && hits.size() < kMaxHits) {
    if (session.interrupt().raised()) return Error{Errc::kCancelled, "cancelled by the user"};
    const plan::Plan search = MakeSearchPlan(session.address_space(), from, left, pattern);
    Result<plan::Output> output = session.target().Run(search);
    if (!output) return output.error();
    std::uint64_t last = from;
    for (const plan::Record& record : output->records) {
      last = record.value;
      if ((record.value - address) % element == 0) hits.push_back(record.value);
    }
    if (output->ending == plan::Ending::kFinished) break;
    if (output->records.empty()) {
      return Error{Errc::kLimitExceeded, "the range is too large to be searched at once; search it in parts"};
    }
    left -= last + 1 - from;
    from = last + 1;
  }
  return hits;
}

MemoryForm FormOf(char type) {
  using Kind = MemoryForm::Kind;
  switch (type) {
    case 'w': return {Kind::kInteger, 2, 8, 16};
    case 'd': return {Kind::kInteger, 4, 4, 16, true};
    case 'q': return {Kind::kInteger, 8, 2, 16};
    case 'u': return {Kind::kInteger, 2, 8, 16, true};
    default: return {Kind::kInteger, 1, 16, 16, true};
  }
}

Result<CommandFlow> ShowHits(Session& session, const std::vector<std::uint64_t>& hits,
                             const SearchOptions& options, Report& report) {
  if (options.addresses_only) {
    for (const std::uint64_t hit : hits)
      report.Row("hit", {{"address", Hex{hit}}}, "0x" + session.Address(hit));
    return CommandFlow::kPrompt;
  }
  std::vector<rpc::ReadRange> ranges;
  for (const std::uint64_t hit : hits) ranges.push_back({hit, 16});
  session.target().Prefetch(session.address_space(), ranges);
  MemoryLines lines(session, FormOf(options.type));
  for (const std::uint64_t hit : hits) {
    Result<MemoryView> view = ReadView(session, hit, 16);
    if (!view) return view.error();
    if (Result<void> written = lines.Write(*view, report); !written) return written.error();
  }
  return CommandFlow::kPrompt;
}

bool IsText(std::uint64_t c) { return (c >= 0x20 && c < 0x7f) || c == '\t'; }

/// `-sa`, `-su`: runs of printing characters.
Result<CommandFlow> ShowStrings(Session& session, const AddressRange& range, const SearchOptions& options,
                                Report& report) {
  const unsigned unit = options.type == 'u' ? 2 : 1;
  std::string run;
  std::uint64_t start = range.address;
  auto flush = [&] {
    if (run.size() >= options.minimum) {
      report.Row("text", {{"address", Hex{start}}, {"text", run}},
                 session.Address(start) + "  \"" + run + "\"");
    }
    run.clear();
  };
  for (std::uint64_t done = 0; done < range.count;) {
    const std::uint64_t size = std::min(kStringPieceBytes, range.count - done);
    Result<MemoryView> view = ReadView(session, range.address + done, size);
    if (!view) return view.error();
    for (std::uint64_t offset = 0; offset + unit <= view->size(); offset += unit) {
      const std::optional<std::uint64_t> c = view->Unsigned(offset, unit);
      if (!c || !IsText(*c)) {
        flush();
        continue;
      }
      if (run.empty()) start = view->address() + offset;
      run += static_cast<char>(*c);
      if (run.size() >= 4096) flush();
    }
    done += size;
  }
  flush();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Search(Session& session, Arguments& arguments, Report& report) {
  const std::string whole(arguments.rest());
  Result<SearchOptions> options = TakeOptions(session, arguments, whole);
  if (!options) return options.error();
  const unsigned element = ElementSize(options->type);
  Result<AddressRange> range = arguments.Range(element);
  if (!range) return range.error();
  if (!range->has_address || !range->has_count)
    return Error{Errc::kUsage, "^ Range error in 's" + whole + "'"};
  range->count *= element;
  if (options->any_string) {
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    return ShowStrings(session, *range, *options, report);
  }
  std::vector<std::byte> pattern;
  while (!arguments.AtEnd()) {
    if (Result<void> item = TakeItem(arguments, element, pattern, "s" + whole); !item) return item.error();
  }
  if (pattern.empty()) return SyntaxError("s" + whole);
  if (pattern.size() > plan::kMaxPatternBytes)
    return Error{Errc::kLimitExceeded, "a search pattern has at most 256 bytes"};
  Result<std::vector<std::uint64_t>> hits = Find(session, range->address, range->count, pattern, element);
  if (!hits) return hits.error();
  return ShowHits(session, *hits, *options, report);
}

}  // namespace

plan::Plan MakeSearchPlan(AddressSpace space, std::uint64_t address, std::uint64_t size,
                          const std::vector<std::byte>& pattern) {
  plan::PlanBuilder builder;
  if (space.kind == AddressSpace::Kind::kPageTable)
    builder.UsePageTable(builder.Constant(space.directory_base));
  const plan::Reg position = builder.Constant(address), length = builder.Constant(size),
                  found = builder.Allocate();
  const auto loop = builder.NewLabel(), none = builder.NewLabel();
  builder.Bind(loop);
  builder.Search(found, position, length, pattern, none);
  builder.EmitRegister(1, found);
  builder.Subtract(position, found, position);
  builder.Subtract(length, length, position);
  builder.AddImmediate(length, length, ~std::uint64_t{0});
  builder.AddImmediate(position, found, 1);
  builder.JumpZero(length, none);
  builder.Jump(loop);
  builder.Bind(none);
  builder.End();
  return builder.Build();
}

void AddSearchCommand(CommandTable& table) {
  table.Add({{"s"}, "s [-[1][l N]TYPE] RANGE PATTERN", "Searches memory, next to the target.", Search});
}

}  // namespace longwire

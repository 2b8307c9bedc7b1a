#include "client/engine/event_filters.h"

#include <cstdio>
#include <cstdlib>

namespace longwire {
namespace {

struct Known {
  const char* name;
  const char* description;
  std::uint32_t code;  ///< 0: not an exception
  FilterMode mode;
};
constexpr Known kKnown[] = {
    {"ct", "Create thread", 0, FilterMode::kIgnore},
    {"et", "Exit thread", 0, FilterMode::kIgnore},
    {"cpr", "Create process", 0, FilterMode::kIgnore},
    {"epr", "Exit process", 0, FilterMode::kIgnore},
    {"ld", "Load module", 0, FilterMode::kIgnore},
    {"ud", "Unload module", 0, FilterMode::kIgnore},
    {"ser", "System error", 0, FilterMode::kIgnore},
    {"ibp", "Initial breakpoint", 0, FilterMode::kIgnore},
    {"out", "Debuggee output", 0, FilterMode::kNotify},
    {"av", "Access violation", 0xc0000005, FilterMode::kBreak},
    {"asrt", "Assertion failure", 0xc0000420, FilterMode::kBreak},
    {"bpe", "Break instruction exception", 0x80000003, FilterMode::kBreak},
    {"sse", "Single step exception", 0x80000004, FilterMode::kBreak},
    {"wkd", "Wake debugger", 0x80000007, FilterMode::kBreak},
    {"ch", "Invalid handle", 0xc0000008, FilterMode::kBreak},
    {"eh", "C++ EH exception", 0xe06d7363, FilterMode::kSecondChance},
    {"clr", "CLR exception", 0xe0434352, FilterMode::kSecondChance},
    {"dz", "Integer divide-by-zero", 0xc0000094, FilterMode::kBreak},
    {"iov", "Integer overflow", 0xc0000095, FilterMode::kBreak},
    {"ii", "Illegal instruction", 0xc000001d, FilterMode::kBreak},
    {"ipe", "In-page I/O error", 0xc0000006, FilterMode::kBreak},
    {"isc", "Invalid system call", 0xc000001c, FilterMode::kBreak},
    {"lsq", "Invalid lock sequence", 0xc000001e, FilterMode::kBreak},
    {"gp", "Guard page violation", 0x80000001, FilterMode::kBreak},
    {"dm", "Data misaligned", 0x80000002, FilterMode::kBreak},
    {"sov", "Stack overflow", 0xc00000fd, FilterMode::kBreak},
    {"sbo", "Security check failure or stack buffer overrun", 0xc0000409, FilterMode::kBreak},
    {"vcpp", "Visual C++ exception", 0x406d1388, FilterMode::kIgnore},
    {"wos", "WOW64 single step exception", 0x4000001e, FilterMode::kBreak},
    {"wob", "WOW64 breakpoint", 0x4000001f, FilterMode::kBreak},
    {"*", "Other exception", 0, FilterMode::kSecondChance},
};
constexpr std::size_t kMaxFilters = 128;

}  // namespace

EventFilters::EventFilters() { Reset(); }

void EventFilters::Reset() {
  filters_.clear();
  for (const Known& known : kKnown) {
    EventFilter filter;
    filter.name = known.name;
    filter.description = known.description;
    if (known.code != 0) filter.code = known.code;
    filter.mode = known.mode;
    // A breakpoint or single step that nobody claims must not be delivered to the target's handlers.
    filter.handled = known.code == 0x80000003 || known.code == 0x80000004 || known.code == 0;
    filters_.push_back(std::move(filter));
  }
}

EventFilter* EventFilters::FindOrAdd(std::string_view name_or_code) {
  for (EventFilter& filter : filters_) {
    if (filter.name == name_or_code) return &filter;
  }
  std::string text(name_or_code);
  char* end = nullptr;
  unsigned long long code = std::strtoull(text.c_str(), &end, 16);
  if (text.empty() || *end != '\0' || code == 0 || code > 0xffffffff) return nullptr;
  for (EventFilter& filter : filters_) {
    if (filter.code == code) return &filter;
  }
  if (filters_.size() >= kMaxFilters) return nullptr;
  EventFilter filter;
  filter.name = text;
  filter.description = "Unknown exception";
  filter.code = static_cast<std::uint32_t>(code);
  filters_.push_back(std::move(filter));
  return &filters_.back();
}

const EventFilter* EventFilters::ForException(std::uint32_t code) const {
  const EventFilter* other = nullptr;
  for (const EventFilter& filter : filters_) {
    if (filter.code == code) return &filter;
    if (filter.name == "*") other = &filter;
  }
  return other;
}

const EventFilter* EventFilters::ForModule(bool unload) const {
  for (const EventFilter& filter : filters_) {
    if (filter.name == (unload ? "ud" : "ld")) return &filter;
  }
  return nullptr;
}

bool EventFilters::WantsModuleStops() const {
  return ForModule(false)->mode != FilterMode::kIgnore || ForModule(true)->mode != FilterMode::kIgnore;
}

std::string DescribeException(const EventFilters& filters, const rpc::ExceptionRecord& exception) {
  const EventFilter* filter = filters.ForException(exception.code);
  std::string description = filter && filter->code ? filter->description : "Unknown exception";
  char text[160];
  std::snprintf(text, sizeof text, "%s - code %08x (%s)", description.c_str(), exception.code,
                exception.first_chance ? "first chance" : "!!! second chance !!!");
  return text;
}

std::string_view FilterModeName(FilterMode mode) {
  switch (mode) {
    case FilterMode::kBreak: return "break";
    case FilterMode::kSecondChance: return "second-chance break";
    case FilterMode::kNotify: return "output";
    case FilterMode::kIgnore: return "ignore";
  }
  return "";
}

}  // namespace longwire

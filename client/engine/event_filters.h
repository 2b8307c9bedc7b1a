#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/rpc/messages.h"

namespace longwire {

/// What is done about an event (sxe, sxd, sxn, sxi).
enum class FilterMode : std::uint8_t {
  kBreak,         ///< sxe: stop at the first chance
  kSecondChance,  ///< sxd: stop at the second chance, tell about the first
  kNotify,        ///< sxn: tell and go on
  kIgnore,        ///< sxi
};

struct EventFilter {
  std::string name;                   ///< "av", "ld"
  std::string description;            ///< "Access violation"
  std::optional<std::uint32_t> code;  ///< of exceptions
  FilterMode mode = FilterMode::kBreak;
  bool handled = false;         ///< how a resumed exception goes back to the target
  std::string argument;         ///< `ld:mydrv`: only modules of this pattern
  std::string commands;         ///< -c, at the first chance
  std::string second_commands;  ///< -c2, at the second
};

/// The table of `sx` (engine.md 3.6). A plain value.
class EventFilters {
 public:
  EventFilters();

  const std::vector<EventFilter>& filters() const { return filters_; }
  /// By name, or by exception code (added if it is not in the table). Null: no such event.
  EventFilter* FindOrAdd(std::string_view name_or_code);
  const EventFilter* ForException(std::uint32_t code) const;
  const EventFilter* ForModule(bool unload) const;
  /// True if module loads or unloads must be reported as stops.
  bool WantsModuleStops() const;
  void Reset();  ///< sxr

 private:
  std::vector<EventFilter> filters_;
};

/// "Access violation - code c0000005 (first chance)".
std::string DescribeException(const EventFilters& filters, const rpc::ExceptionRecord& exception);
/// "break", "second-chance break", "output", "ignore".
std::string_view FilterModeName(FilterMode mode);

}  // namespace longwire

#include "client/engine/breakpoints.h"

#include <algorithm>
#include <map>
#include <set>

#include "client/engine/event_filters.h"
#include "client/engine/session.h"

namespace longwire {

Breakpoint* Breakpoints::Find(unsigned id) {
  for (auto& breakpoint : list_) {
    if (breakpoint->id == id) return breakpoint.get();
  }
  return nullptr;
}

Result<void> Breakpoints::Plant(Breakpoint& breakpoint) {
  if (breakpoint.planted != 0 || !breakpoint.enabled || breakpoint.unresolved) return {};
  Result<std::uint64_t> id =
      session_.target().SetBreakpoint({breakpoint.kind, breakpoint.address, breakpoint.size});
  if (!id) return id.error();
  breakpoint.planted = *id;
  return {};
}

Result<void> Breakpoints::Uproot(Breakpoint& breakpoint) {
  if (breakpoint.planted == 0) return {};
  std::uint64_t planted = std::exchange(breakpoint.planted, 0);
  // Two of the user's breakpoints may share one of the server's.
  for (auto& other : list_) {
    if (other.get() != &breakpoint && other->planted == planted) return {};
  }
  Result<void> cleared = session_.target().ClearBreakpoint(planted);
  if (!cleared && cleared.error().code != Errc::kNotFound) {
    breakpoint.planted = planted;
    return cleared;
  }
  return {};
}

Result<Breakpoint*> Breakpoints::Add(Breakpoint breakpoint, std::optional<unsigned> id,
                                     std::optional<unsigned>* redefined) {
  if (list_.size() >= kMaxBreakpoints) {
    return Error{Errc::kLimitExceeded, "too many breakpoints (256); remove some with bc"};
  }
  if (!id && !breakpoint.unresolved) {
    for (auto& other : list_) {
      if (!other->unresolved && other->address == breakpoint.address && other->kind == breakpoint.kind)
        id = other->id;
    }
  }
  if (id && Find(*id)) {
    if (Result<void> removed = Remove(*id); !removed) return removed.error();
    if (redefined) *redefined = *id;
  }
  if (!id) {
    id = 0;
    while (Find(*id)) ++*id;
  }
  breakpoint.id = *id;
  breakpoint.planted = 0;
  auto owned = std::make_unique<Breakpoint>(std::move(breakpoint));
  if (Result<void> planted = Plant(*owned); !planted) return planted.error();
  auto place = std::find_if(list_.begin(), list_.end(), [&](auto& other) { return other->id > *id; });
  Breakpoint* added = list_.insert(place, std::move(owned))->get();
  if (Result<void> asked = AskForModuleStops(); !asked) return asked.error();
  return added;
}

Result<void> Breakpoints::Renumber(const std::vector<std::pair<Breakpoint*, unsigned>>& changes) {
  std::map<const Breakpoint*, unsigned> wanted;
  for (const auto& [breakpoint, id] : changes) wanted[breakpoint] = id;
  std::set<unsigned> taken;
  for (const auto& breakpoint : list_) {
    const auto changed = wanted.find(breakpoint.get());
    const unsigned id = changed == wanted.end() ? breakpoint->id : changed->second;
    if (!taken.insert(id).second)
      return Error{Errc::kUsage, "there would be two breakpoints " + std::to_string(id)};
  }
  for (const auto& [breakpoint, id] : changes) breakpoint->id = id;
  std::sort(list_.begin(), list_.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
  return {};
}

Result<void> Breakpoints::Enable(Breakpoint& breakpoint, bool enabled) {
  bool before = std::exchange(breakpoint.enabled, enabled);
  Result<void> done = enabled ? Plant(breakpoint) : Uproot(breakpoint);
  if (!done) {
    breakpoint.enabled = before;
    return done;
  }
  return AskForModuleStops();
}

Result<void> Breakpoints::Remove(unsigned id) {
  auto found =
      std::find_if(list_.begin(), list_.end(), [&](auto& breakpoint) { return breakpoint->id == id; });
  if (found == list_.end())
    return Error{Errc::kNotFound, "Breakpoint " + std::to_string(id) + " does not exist"};
  if (Result<void> done = Uproot(**found); !done) return done;
  list_.erase(found);
  return AskForModuleStops();
}

Result<void> Breakpoints::AskForModuleStops() {
  bool wanted =
      session_.filters().WantsModuleStops() ||
      std::any_of(list_.begin(), list_.end(), [](auto& one) { return one->enabled && one->symbolic; });
  if (wanted == module_stops_) return {};
  rpc::Configure configure;
  configure.stop_on_module = wanted;
  if (Result<void> done = session_.target().Configure(configure); !done) return done;
  module_stops_ = wanted;
  return {};
}

void Breakpoints::MarkUprooted() {
  for (auto& breakpoint : list_) breakpoint->planted = 0;
  module_stops_ = false;
  uprooted_ = true;
}

void Breakpoints::SetAgain() {
  if (!uprooted_ || !session_.target().driving()) return;
  uprooted_ = false;
  unsigned set = 0;
  for (auto& breakpoint : list_) {
    Result<void> planted = Plant(*breakpoint);
    if (planted) {
      set += breakpoint->planted != 0 ? 1 : 0;
      continue;
    }
    if (planted.error().code == Errc::kTargetRunning) {
      uprooted_ = true;  // the stop known here is over; the next one is told
      return;
    }
    session_.Note("Unable to insert breakpoint " + std::to_string(breakpoint->id) + ": " +
                  planted.error().message + "\n");
  }
  if (set > 0) session_.Note("Breakpoints set again: " + std::to_string(set) + "\n");
}

void Breakpoints::Forget() {
  std::erase_if(list_, [](auto& breakpoint) { return !breakpoint->symbolic; });
  for (auto& breakpoint : list_) {
    breakpoint->planted = 0;
    breakpoint->unresolved = true;
  }
}

void Breakpoints::FollowModules() {
  for (auto& breakpoint : list_) {
    if (breakpoint->symbolic) Follow(*breakpoint);
  }
}

void Breakpoints::Follow(Breakpoint& breakpoint) {
  Result<std::uint64_t> address = session_.Evaluate(breakpoint.expression);
  if (address) *address = session_.Plain(*address);
  // Symbols that cannot be read just now do not move a breakpoint whose module is still there.
  if (!address && (breakpoint.unresolved || session_.modules().FindByAddress(breakpoint.address))) return;
  if (address && !breakpoint.unresolved && *address == breakpoint.address) return;
  if (Result<void> removed = Uproot(breakpoint); !removed) {
    session_.Note("Unable to remove breakpoint " + std::to_string(breakpoint.id) + ": " +
                  removed.error().message + "\n");
    return;
  }
  breakpoint.unresolved = !address;
  if (!address) return;
  breakpoint.address = *address;
  if (Result<void> planted = Plant(breakpoint); !planted) {
    session_.Note("Unable to insert breakpoint " + std::to_string(breakpoint.id) + ": " +
                  planted.error().message + "\n");
  }
}

std::vector<Breakpoint*> Breakpoints::HitBy(const rpc::StopEvent& stop) {
  std::vector<Breakpoint*> hit;
  for (auto& breakpoint : list_) {
    if (breakpoint->planted == 0) continue;
    if (std::find(stop.breakpoints.begin(), stop.breakpoints.end(), breakpoint->planted) !=
        stop.breakpoints.end()) {
      hit.push_back(breakpoint.get());
    }
  }
  return hit;
}

}  // namespace longwire

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/target/target.h"
#include "proto/error.h"
#include "proto/rpc/messages.h"

namespace longwire {

class Session;

/// One line of `bl`.
struct Breakpoint {
  static constexpr std::uint64_t kMaxDepth = 1023;
  unsigned id = 0;
  bool enabled = true;
  bool unresolved = false;  ///< set by name, and the name is not known yet
  bool symbolic = false;    ///< bu, or bp of an unknown name: follows its expression when modules come and go
  bool one_shot = false;    ///< /1
  rpc::BreakpointKind kind = rpc::BreakpointKind::kCode;
  std::uint32_t size = 1;
  std::uint64_t address = 0;  ///< unless unresolved
  std::string expression;     ///< as typed
  std::string commands;       ///< run at the hit
  std::uint64_t passes = 1, passes_left = 1;
  std::uint64_t process = 0, thread = 0;             ///< /p, /t: EPROCESS, KTHREAD; 0: any
  std::string condition;                             ///< /w: MASM; a hit counts when it is not 0
  std::optional<std::uint64_t> deepest, shallowest;  ///< /c, /C: frames of the stack, 1 to kMaxDepth
  std::uint64_t planted = 0;                         ///< id at the server, 0 if it is not set there
};

/// The user's breakpoints. The server plants and hides them; this table gives them their ids, conditions and
/// commands, and keeps both in step. Engine thread only.
class Breakpoints {
 public:
  static constexpr std::size_t kMaxBreakpoints = 256;

  explicit Breakpoints(Session& session) : session_(session) {}

  const std::vector<std::unique_ptr<Breakpoint>>& list() const { return list_; }
  Breakpoint* Find(unsigned id);
  /// Takes `breakpoint` with a new id, or `id` if that is set, in which case it replaces an older one. Plants
  /// it if it is enabled and resolved. A code breakpoint at an address that has one replaces it (`redefined`
  /// tells its id).
  Result<Breakpoint*> Add(Breakpoint breakpoint, std::optional<unsigned> id,
                          std::optional<unsigned>* redefined);
  /// Gives each of these another id. kUsage when two would be the same; then nothing changes.
  Result<void> Renumber(const std::vector<std::pair<Breakpoint*, unsigned>>& changes);
  Result<void> Enable(Breakpoint& breakpoint, bool enabled);
  Result<void> Remove(unsigned id);

  /// Brings symbolic breakpoints up to date after modules came or went: resolves those that waited, moves
  /// those whose module came back elsewhere, and makes those wait whose module is gone. Halted target only.
  void FollowModules();
  /// Asks the server for stops at module loads and unloads if a symbolic breakpoint or a filter (sxe ld)
  /// needs them, and takes the request back if none does any more. No round trip when nothing changed.
  Result<void> AskForModuleStops();
  /// The user's breakpoints a stop names, in id order.
  std::vector<Breakpoint*> HitBy(const rpc::StopEvent& stop);
  /// Whoever plants breakpoints has taken all of them out; SetAgain() at a stop brings them back.
  void MarkUprooted();
  /// Plants what MarkUprooted() left, and tells so; nothing while the server knows of no stop.
  void SetAgain();
  /// The target restarted: the server's breakpoints are gone, and addresses mean nothing any more. Symbolic
  /// breakpoints stay and wait for their modules.
  void Forget();

 private:
  Result<void> Plant(Breakpoint& breakpoint);
  Result<void> Uproot(Breakpoint& breakpoint);
  void Follow(Breakpoint& breakpoint);

  Session& session_;
  bool uprooted_ = false;
  bool module_stops_ = false;                      ///< what the server was asked for last
  std::vector<std::unique_ptr<Breakpoint>> list_;  ///< by id
};

}  // namespace longwire

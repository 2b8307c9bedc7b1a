#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/engine/report.h"
#include "proto/error.h"

struct lw_extension;
struct lw_command;

namespace longwire {

class Session;

/// One loaded extension. Closes its shared object when destroyed.
class Extension {
 public:
  /// `path` names a file. kNotFound, with the reason: not a shared object, not an extension, of a version we
  /// cannot serve, or with tables that cannot be right.
  static Result<std::unique_ptr<Extension>> Open(const std::string& path);
  /// Runs its load function, if it has one. The unload function runs at the end only if this succeeded.
  Result<void> Start(Session& session);
  ~Extension();
  Extension(const Extension&) = delete;
  Extension& operator=(const Extension&) = delete;

  const std::string& name() const { return name_; }  ///< file name without ".so"
  const std::string& path() const { return path_; }
  const lw_extension& table() const { return *table_; }
  const lw_command* FindCommand(std::string_view name) const;  ///< case-sensitive

 private:
  Extension() = default;
  std::string name_, path_;
  void* library_ = nullptr;
  const lw_extension* table_ = nullptr;
  bool started_ = false;
};

/// The chain of loaded extensions (remote-debugging.md 10.6): newest first, at most 32. Engine thread only.
class ExtensionHost {
 public:
  static constexpr std::size_t kMaxExtensions = 32;

  explicit ExtensionHost(Session& session);
  ~ExtensionHost();

  /// A path loads that file; a bare name is looked for in the search path. Loading one that is loaded moves
  /// it to the front. Errors read "Cannot load extension 'foo': reason".
  Result<const Extension*> Load(std::string_view name_or_path);
  Result<void> Unload(std::string_view name);  ///< empty: the one at the front
  Result<void> UnloadAll();
  Result<void> MoveToFront(std::string_view name);

  /// Runs `!COMMAND ARGS` (module empty: search the chain) or `!MODULE.COMMAND ARGS` (loads MODULE from the
  /// search path if needed). kNotFound: "No export COMMAND found". What an extension throws becomes an error;
  /// what makes it crash ends the debugger.
  Result<void> Run(std::string_view module, std::string_view command, std::string_view arguments,
                   Report& report);

  const std::vector<std::unique_ptr<Extension>>& chain() const { return chain_; }
  /// _NT_DEBUGGER_EXTENSION_PATH, then what .extpath set, then the directory of the bundled extensions.
  std::vector<std::string> SearchPath() const;
  const std::string& user_path() const { return user_path_; }
  void set_user_path(std::string path) { user_path_ = std::move(path); }

 private:
  Result<std::string> Locate(std::string_view name) const;
  Result<const Extension*> FindOwner(std::string_view module, std::string_view command);
  void LoadBundled();

  Session& session_;
  std::vector<std::unique_ptr<Extension>> chain_;
  std::string user_path_;
  bool bundled_tried_ = false;
  int running_ = 0;  ///< depth of Run: an extension must not be unloaded while its code is on the stack
};

}  // namespace longwire

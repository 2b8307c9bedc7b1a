#include "client/extensions/extension_host.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include "client/engine/session.h"
#include "client/extensions/host_table.h"
#include "client/extensions/longwire_extension.h"

namespace longwire {
namespace {

// The extension that brings !process and !thread; loaded when the first `!` command is typed.
constexpr std::string_view kBundled = "kdexts";

Error CannotLoad(std::string_view name, std::string_view reason) {
  return Error{Errc::kNotFound, "Cannot load extension '" + std::string(name) + "': " + std::string(reason)};
}

std::string ProgramDirectory() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return ".";
  return std::filesystem::path(std::string(path, static_cast<std::size_t>(length))).parent_path().string();
}

void AppendDirectories(std::vector<std::string>& out, std::string_view list) {
  while (!list.empty()) {
    const std::size_t end = list.find(';');
    if (end != 0) out.emplace_back(list.substr(0, end));
    list = end == std::string_view::npos ? std::string_view{} : list.substr(end + 1);
  }
}

constexpr std::uint32_t kMaxCommands = 4096;

const lw_command& CommandAt(const lw_extension& table, std::uint32_t index) {
  const char* first = reinterpret_cast<const char*>(table.commands);
  return *reinterpret_cast<const lw_command*>(first + std::size_t{index} * table.command_size);
}

bool HasField(const lw_extension& table, std::size_t offset, std::size_t size) {
  return table.size >= offset + size;
}

/// True if everything the debugger follows without asking again is there.
bool IsSound(const lw_extension& table) {
  if (!table.name || !table.description || !table.software_version) return false;
  if (table.command_count > kMaxCommands || (table.command_count != 0 && !table.commands)) return false;
  if (table.command_size < sizeof(lw_command) || table.command_size % alignof(lw_command) != 0) return false;
  for (std::uint32_t i = 0; i < table.command_count; ++i) {
    const lw_command& command = CommandAt(table, i);
    if (!command.name || !command.grammar || !command.help || !command.run) return false;
  }
  return true;
}

/// An extension's C++ exceptions end here: they must not unwind through the engine.
template <class Call>
Result<lw_status> Guarded(const std::string& what, Call call) {
  const auto thrown = [&](const char* reason) {
    return Error{Errc::kInternal, "The extension threw an exception in " + what + ": " + reason};
  };
  try {
    return call();
  } catch (const std::exception& exception) {
    return thrown(exception.what());
  } catch (...) {
    return thrown("of a type that is not known");
  }
}

}  // namespace

Result<std::unique_ptr<Extension>> Extension::Open(const std::string& path) {
  const std::string name = std::filesystem::path(path).stem().string();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return CannotLoad(name, dlerror());
  auto extension = std::unique_ptr<Extension>(new Extension);
  extension->library_ = library;
  extension->name_ = name;
  extension->path_ = path;
  auto query = reinterpret_cast<lw_extension_query_function>(dlsym(library, LW_EXTENSION_QUERY));
  if (!query)
    return CannotLoad(name, "it does not export " LW_EXTENSION_QUERY "; is it a Longwire extension?");
  const lw_extension* table = query(LW_EXTENSION_VERSION);
  if (!table || !HasField(*table, offsetof(lw_extension, command_size), sizeof table->command_size)) {
    return CannotLoad(name,
                      "it refuses version " + std::to_string(LW_EXTENSION_VERSION) + " of the interface");
  }
  if (table->version == 0 || table->version > LW_EXTENSION_VERSION) {
    return CannotLoad(name, "it was built for version " + std::to_string(table->version) +
                                " of the interface, this debugger has " +
                                std::to_string(LW_EXTENSION_VERSION) + "; use a newer debugger");
  }
  if (!IsSound(*table)) {
    return CannotLoad(name, "its table of commands is damaged");
  }
  extension->table_ = table;
  return extension;
}

Result<void> Extension::Start(Session& session) {
  if (HasField(*table_, offsetof(lw_extension, load), sizeof table_->load) && table_->load) {
    Report notes([&session](std::string_view text) { session.Note(text); });
    HostCall call(session, notes);
    const Result<lw_status> status =
        Guarded("its load function", [&] { return table_->load(&call.host(), call.handle()); });
    if (!status) return CannotLoad(name_, status.error().message);
    if (*status != 0) return CannotLoad(name_, "its load function refused");
  }
  started_ = true;
  return {};
}

Extension::~Extension() {
  if (started_ && HasField(*table_, offsetof(lw_extension, unload), sizeof table_->unload) && table_->unload)
    table_->unload();
  if (library_) dlclose(library_);
}

const lw_command* Extension::FindCommand(std::string_view name) const {
  for (std::uint32_t i = 0; i < table_->command_count; ++i) {
    if (name == CommandAt(*table_, i).name) return &CommandAt(*table_, i);
  }
  return nullptr;
}

ExtensionHost::ExtensionHost(Session& session) : session_(session) {}

ExtensionHost::~ExtensionHost() = default;

std::vector<std::string> ExtensionHost::SearchPath() const {
  std::vector<std::string> directories;
  if (const char* variable = std::getenv("_NT_DEBUGGER_EXTENSION_PATH"))
    AppendDirectories(directories, variable);
  AppendDirectories(directories, user_path_);
  // Beside the program in a build tree, under lib/ in an installation.
  directories.push_back(ProgramDirectory() + "/extensions");
  directories.push_back(ProgramDirectory() + "/../lib/longwire/extensions");
  return directories;
}

Result<std::string> ExtensionHost::Locate(std::string_view name) const {
  std::string file(name);
  if (!file.ends_with(".so")) file += ".so";
  if (file.find('/') != std::string::npos) {
    if (access(file.c_str(), R_OK) == 0) return file;
    return CannotLoad(name, std::string("no such file: ") + file);
  }
  std::string tried;
  for (const std::string& directory : SearchPath()) {
    std::string path = directory + "/" + file;
    if (access(path.c_str(), R_OK) == 0) return path;
    tried += (tried.empty() ? "" : ", ") + directory;
  }
  return CannotLoad(name, "no " + file + " in " + tried + "; add its directory with .extpath+");
}

Result<const Extension*> ExtensionHost::Load(std::string_view name_or_path) {
  Result<std::string> path = Locate(name_or_path);
  if (!path) return path.error();
  const std::string name = std::filesystem::path(*path).stem().string();
  for (const auto& extension : chain_) {
    if (extension->name() != name) continue;
    if (auto moved = MoveToFront(name); !moved) return moved.error();
    return chain_.front().get();
  }
  if (chain_.size() >= kMaxExtensions) {
    return CannotLoad(name, "32 extensions are loaded; unload one with .unload NAME");
  }
  Result<std::unique_ptr<Extension>> extension = Extension::Open(*path);
  if (!extension) return extension.error();
  if (Result<void> started = (*extension)->Start(session_); !started) return started.error();
  chain_.insert(chain_.begin(), std::move(*extension));
  return chain_.front().get();
}

Result<void> ExtensionHost::Unload(std::string_view name) {
  if (running_ > 0) return Error{Errc::kBusy, "An extension command is running; unload after it has ended."};
  if (chain_.empty()) return Error{Errc::kNotFound, "No extensions are loaded."};
  if (name.empty()) {
    chain_.erase(chain_.begin());
    return {};
  }
  auto it = std::find_if(chain_.begin(), chain_.end(), [&](const auto& extension) {
    return extension->name() == name || extension->path() == name;
  });
  if (it == chain_.end())
    return Error{Errc::kNotFound,
                 "Extension '" + std::string(name) + "' is not loaded; .chain lists those that are."};
  chain_.erase(it);
  return {};
}

Result<void> ExtensionHost::UnloadAll() {
  if (running_ > 0) return Error{Errc::kBusy, "An extension command is running; unload after it has ended."};
  chain_.clear();
  return {};
}

Result<void> ExtensionHost::MoveToFront(std::string_view name) {
  auto it = std::find_if(chain_.begin(), chain_.end(),
                         [&](const auto& extension) { return extension->name() == name; });
  if (it == chain_.end())
    return Error{Errc::kNotFound, "Extension '" + std::string(name) + "' is not loaded."};
  std::rotate(chain_.begin(), it, it + 1);
  return {};
}

void ExtensionHost::LoadBundled() {
  if (std::exchange(bundled_tried_, true)) return;
  if (auto loaded = Load(kBundled); !loaded) {
    session_.Note(loaded.error().message + "\n");
    return;
  }
  // What the user loaded before answers first.
  std::rotate(chain_.begin(), chain_.begin() + 1, chain_.end());
}

Result<const Extension*> ExtensionHost::FindOwner(std::string_view module, std::string_view command) {
  const Error no_export{Errc::kNotFound, "No export " + std::string(command) + " found"};
  const std::string wanted = std::filesystem::path(module).stem().string();
  for (const auto& extension : chain_) {
    const bool exports = extension->FindCommand(command) != nullptr;
    if (module.empty() ? !exports : strcasecmp(extension->name().c_str(), wanted.c_str()) != 0) continue;
    if (!exports) return no_export;
    return extension.get();
  }
  if (module.empty()) return no_export;
  Result<const Extension*> loaded = Load(module);
  if (loaded && !(*loaded)->FindCommand(command)) return no_export;
  return loaded;
}

Result<void> ExtensionHost::Run(std::string_view module, std::string_view command, std::string_view arguments,
                                Report& report) {
  LoadBundled();
  const Result<const Extension*> owner = FindOwner(module, command);
  if (!owner) return owner.error();
  HostCall call(session_, report);
  const std::string text(arguments);
  ++running_;
  const Result<lw_status> status = Guarded("!" + std::string(command), [&] {
    return (*owner)->FindCommand(command)->run(&call.host(), call.handle(), text.c_str());
  });
  --running_;
  if (!status) return status.error();
  if (*status == 0) return {};
  const bool known = *status <= static_cast<lw_status>(Errc::kInternal);
  return Error{known ? static_cast<Errc>(*status) : Errc::kInternal, call.ErrorText(command)};
}

}  // namespace longwire

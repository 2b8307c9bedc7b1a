#include "client/extensions/extension_host.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
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

bool HasField(const lw_extension& table, std::size_t offset, std::size_t size) { return table.size >= offset + size; }

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
  if (!query) return CannotLoad(name, "it does not export " LW_EXTENSION_QUERY "; is it a Longwire extension?");
  const lw_extension* table = query(LW_EXTENSION_VERSION);
  if (!table || !HasField(*table, offsetof(lw_extension, command_size), sizeof table->command_size)) {
    return CannotLoad(name, "it refuses version " + std::to_string(LW_EXTENSION_VERSION) + " of the interface");
  }
  if (table->version == 0 || table->version > LW_EXTENSION_VERSION) {
    return CannotLoad(name, "it was built for version " + std::to_string(table->version) + " of the interface, this debugger has " +
                                std::to_string(LW_EXTENSION_VERSION) + "; use a newer debugger");
  }
  if (table->command_size < sizeof(lw_command) || (table->command_count != 0 && !table->commands)) {
    return CannotLoad(name, "its table of commands is damaged");
  }
  extension->table_ = table;
  return extension;
}

Extension::~Extension() {
  if (table_ && HasField(*table_, offsetof(lw_extension, unload), sizeof table_->unload) && table_->unload) table_->unload();
  if (library_) dlclose(library_);
}

std::vector<const lw_command*> Extension::commands() const {
  std::vector<const lw_command*> commands;
  const char* at = reinterpret_cast<const char*>(table_->commands);
  for (std::uint32_t i = 0; i < table_->command_count; ++i, at += table_->command_size) {
    commands.push_back(reinterpret_cast<const lw_command*>(at));
  }
  return commands;
}

const lw_command* Extension::FindCommand(std::string_view name) const {
  for (const lw_command* command : commands()) {
    if (name == command->name) return command;
  }
  return nullptr;
}

ExtensionHost::ExtensionHost(Session& session) : session_(session) {}

ExtensionHost::~ExtensionHost() { UnloadAll(); }

std::vector<std::string> ExtensionHost::SearchPath() const {
  std::vector<std::string> directories;
  if (const char* variable = std::getenv("_NT_DEBUGGER_EXTENSION_PATH")) AppendDirectories(directories, variable);
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
  if (auto load = (*extension)->table().load) {
    Report ignored([this](std::string_view text) { session_.Note(text); });
    HostCall call(session_, ignored);
    if (load(&call.host(), call.handle()) != 0) return CannotLoad(name, "its load function refused");
  }
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
  auto it = std::find_if(chain_.begin(), chain_.end(),
                         [&](const auto& extension) { return extension->name() == name || extension->path() == name; });
  if (it == chain_.end()) return Error{Errc::kNotFound, "Extension '" + std::string(name) + "' is not loaded; .chain lists those that are."};
  chain_.erase(it);
  return {};
}

void ExtensionHost::UnloadAll() { chain_.clear(); }

Result<void> ExtensionHost::MoveToFront(std::string_view name) {
  auto it = std::find_if(chain_.begin(), chain_.end(), [&](const auto& extension) { return extension->name() == name; });
  if (it == chain_.end()) return Error{Errc::kNotFound, "Extension '" + std::string(name) + "' is not loaded."};
  std::rotate(chain_.begin(), it, it + 1);
  return {};
}

void ExtensionHost::LoadBundled() {
  if (std::exchange(bundled_tried_, true)) return;
  if (auto loaded = Load(kBundled); !loaded) session_.Note(loaded.error().message + "\n");
}

Result<void> ExtensionHost::Run(std::string_view module, std::string_view command, std::string_view arguments, Report& report) {
  LoadBundled();
  const Extension* owner = nullptr;
  if (!module.empty()) {
    auto it = std::find_if(chain_.begin(), chain_.end(), [&](const auto& extension) {
      return strcasecmp(extension->name().c_str(), std::string(module).c_str()) == 0;
    });
    if (it != chain_.end()) {
      owner = it->get();
    } else {
      Result<const Extension*> loaded = Load(module);
      if (!loaded) return loaded.error();
      owner = *loaded;
    }
    if (!owner->FindCommand(command)) owner = nullptr;
  } else {
    for (const auto& extension : chain_) {
      if (extension->FindCommand(command)) {
        owner = extension.get();
        break;
      }
    }
  }
  if (!owner) return Error{Errc::kNotFound, "No export " + std::string(command) + " found"};
  HostCall call(session_, report);
  const std::string text(arguments);
  ++running_;
  const lw_status status = owner->FindCommand(command)->run(&call.host(), call.handle(), text.c_str());
  --running_;
  if (status == 0) return {};
  return Error{static_cast<Errc>(status), call.ErrorText(command)};
}

}  // namespace longwire

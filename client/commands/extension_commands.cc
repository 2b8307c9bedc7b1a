#include <string>
#include <string_view>

#include "client/commands/command.h"
#include "client/extensions/extension_host.h"
#include "client/extensions/longwire_extension.h"

namespace longwire {
namespace {

Result<CommandFlow> Load(Session& session, Arguments& arguments, Report& report) {
  const std::string name = arguments.TakeRest();
  if (name.empty()) return Error{Errc::kUsage, ".load needs the name or path of an extension"};
  Result<const Extension*> loaded = session.extensions().Load(name);
  if (!loaded) return loaded.error();
  report.Row("extension", {{"name", (*loaded)->name()}, {"path", (*loaded)->path()}}, "");
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Unload(Session& session, Arguments& arguments, Report&) {
  if (Result<void> done = session.extensions().Unload(arguments.TakeRest()); !done) return done.error();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> UnloadAll(Session& session, Arguments&, Report&) {
  if (Result<void> done = session.extensions().UnloadAll(); !done) return done.error();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> SetDefault(Session& session, Arguments& arguments, Report&) {
  if (Result<void> done = session.extensions().MoveToFront(arguments.TakeRest()); !done) return done.error();
  return CommandFlow::kPrompt;
}

void ShowPath(Session& session, Report& report) {
  std::string path;
  for (const std::string& directory : session.extensions().SearchPath())
    path += (path.empty() ? "" : ";") + directory;
  report.Row("path", {{"path", path}}, "Extension search path is: " + path);
}

Result<CommandFlow> ExtensionPath(Session& session, Arguments& arguments, Report& report) {
  std::string text = arguments.TakeRest();
  const bool append = text.starts_with("+");
  if (append)
    text =
        text.substr(text.find_first_not_of(" \t", 1) == std::string::npos ? text.size()
                                                                          : text.find_first_not_of(" \t", 1));
  if (!text.empty()) {
    const std::string& old = session.extensions().user_path();
    session.extensions().set_user_path(append && !old.empty() ? old + ";" + text : text);
  }
  ShowPath(session, report);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Chain(Session& session, Arguments&, Report& report) {
  ShowPath(session, report);
  report.Line("Extension chain:");
  for (const auto& extension : session.extensions().chain()) {
    const lw_extension& table = extension->table();
    report.Row("extension",
               {{"name", extension->name()},
                {"path", extension->path()},
                {"version", std::string(table.software_version)},
                {"api", static_cast<std::int64_t>(table.version)}},
               "    " + extension->name() + ": image " + table.software_version + ", API " +
                   std::to_string(table.version) + "\n        [path: " + extension->path() + "]");
  }
  return CommandFlow::kPrompt;
}

/// `!command`, `!module.command`; the path form `!/dir/module.command` keeps dots of the path.
Result<CommandFlow> Run(Session& session, Arguments& arguments, Report& report) {
  const std::string_view word = arguments.Word();
  if (word.empty())
    return Error{Errc::kUsage,
                 "`!` needs the name of an extension command; !help lists those of the bundled extension"};
  const std::size_t slash = word.rfind('/');
  const std::size_t dot = word.find('.', slash == std::string_view::npos ? 0 : slash);
  std::string_view module = dot == std::string_view::npos ? std::string_view{} : word.substr(0, dot);
  std::string_view command = dot == std::string_view::npos ? word : word.substr(dot + 1);
  if (command == "load" && !module.empty()) {
    Result<const Extension*> loaded = session.extensions().Load(module);
    if (!loaded) return loaded.error();
    return CommandFlow::kPrompt;
  }
  if (module.empty() && command == "load") return Load(session, arguments, report);
  const std::string rest = arguments.TakeRest();
  if (Result<void> done = session.extensions().Run(module, command, rest, report); !done) return done.error();
  return CommandFlow::kPrompt;
}

}  // namespace

void AddExtensionCommands(CommandTable& table) {
  table.Add({{".load"},
             ".load NAME|PATH",
             "Loads an extension and puts it in front of the chain.",
             Load,
             false,
             false});
  table.Add({{".unload"},
             ".unload [NAME]",
             "Unloads an extension, by default the one in front.",
             Unload,
             false,
             false});
  table.Add({{".unloadall"}, ".unloadall", "Unloads every extension.", UnloadAll, false, false});
  table.Add({{".setdll"},
             ".setdll NAME",
             "Moves a loaded extension to the front of the chain.",
             SetDefault,
             false,
             false});
  table.Add({{".chain"},
             ".chain",
             "Lists the loaded extensions in the order they are searched.",
             Chain,
             false,
             false});
  table.Add({{".extpath"},
             ".extpath[+] [DIR;...]",
             "Shows, sets or appends to the extension search path.",
             ExtensionPath,
             false,
             false});
  table.Add({{"!"},
             "!COMMAND [ARGS] | !MODULE.COMMAND [ARGS]",
             "Runs a command of an extension.",
             Run,
             true,
             false});
}

}  // namespace longwire

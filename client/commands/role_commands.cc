// Commands about who drives the target and who watches.
#include <algorithm>
#include <charconv>

#include "client/commands/command.h"
#include "client/engine/role_text.h"

namespace longwire {
namespace {

std::string StateText(const rpc::Client& client) {
  std::string text(RoleName(client.role));
  if (client.waiting) text += ", waits for the link";
  if (client.lost) text += ", connection lost, kept for " + std::to_string(client.kept_ms / 1000) + " s";
  if (client.skipped_bytes > 0)
    text += ", missed " + std::to_string(client.skipped_bytes) + " bytes of output";
  return text;
}

void ReportClients(const rpc::ClientList& list, Report& report) {
  for (const rpc::Client& client : list.clients) {
    auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
    report.Row("client",
               {{"client", number(client.id)},
                {"name", client.name},
                {"role", std::string(RoleName(client.role))},
                {"self", client.self},
                {"lost", client.lost},
                {"waiting", client.waiting},
                {"since", number(client.since)},
                {"queued_bytes", number(client.queued_bytes)},
                {"skipped_bytes", number(client.skipped_bytes)}},
               std::string(client.self ? "." : " ") + " " + std::to_string(client.id) + "  " + client.name +
                   "  " + StateText(client));
  }
}

Result<CommandFlow> Driver(Session& session, Arguments& arguments, Report& report) {
  const bool take = arguments.Option("/t");
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  if (take) {
    if (session.target().driving()) return Error{Errc::kUsage, "this kd drives the target already"};
    if (Result<void> taken = session.target().TakeDriver(); !taken) return taken.error();
    return CommandFlow::kPrompt;
  }
  Result<rpc::ClientList> clients = session.target().Clients();
  if (!clients) return clients.error();
  ReportClients(*clients, report);
  if (clients->clients.empty()) report.Line("This kd drives the target, and nobody else can use it.");
  return CommandFlow::kPrompt;
}

/// By number, or by a name that only one of them has.
Result<std::uint64_t> FindClient(const rpc::ClientList& list, const std::string& who) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(who.data(), who.data() + who.size(), id);
  const bool number = error == std::errc() && end == who.data() + who.size();
  const rpc::Client* found = nullptr;
  for (const rpc::Client& client : list.clients) {
    if (client.self) continue;
    const bool matches = number ? client.id == id : client.name == who || client.name.starts_with(who + "@");
    if (!matches) continue;
    if (found) {
      return Error{Errc::kUsage, "several clients are called " + who + "; .driver shows their numbers"};
    }
    found = &client;
  }
  if (!found) return Error{Errc::kNotFound, "no other client '" + who + "'; .driver lists them"};
  return found->id;
}

Result<CommandFlow> HandOver(Session& session, Arguments& arguments, Report&) {
  const std::string who = arguments.TakeRest();
  if (who.empty()) return Error{Errc::kUsage, ".handover needs a client: its number or name of .driver"};
  Result<rpc::ClientList> clients = session.target().Clients();
  if (!clients) return clients.error();
  Result<std::uint64_t> client = FindClient(*clients, who);
  if (!client) return client.error();
  if (Result<void> done = session.target().HandOver(*client); !done) return done.error();
  return CommandFlow::kPrompt;
}

}  // namespace

void AddRoleCommands(CommandTable& table) {
  table.Add({{".driver"},
             ".driver [/t]",
             "Shows who drives the target and who watches; /t takes over from the present driver.",
             Driver,
             false,
             false});
  table.Add({{".handover"},
             ".handover CLIENT",
             "Makes another client the driver; CLIENT is its number or its name as .driver shows them.",
             HandOver,
             false,
             false});
}

}  // namespace longwire

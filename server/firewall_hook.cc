#include "server/firewall_hook.h"

#include <unistd.h>

#include <sstream>
#include <vector>

#include "transport/captured_command.h"
#include "transport/directory.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxOutput = 64u << 10;

std::vector<std::string> Hook(const Environment& environment) {
  std::vector<std::string> words;
  if (const auto named = environment("LONGWIRE_FIREWALL_HOOK")) {
    std::istringstream stream(*named);
    for (std::string word; stream >> word;) words.push_back(word);
  }
  if (words.empty() && ::access(kFirewallHook, X_OK) == 0) words.push_back(kFirewallHook);
  return words;
}

}  // namespace

std::optional<std::string> OpenFirewall(const Endpoint& endpoint, const Environment& environment,
                                        std::chrono::milliseconds limit) {
  if (!endpoint.icf_enable) return std::nullopt;
  if (endpoint.protocol != Protocol::kTcp)
    return "IcfEnable opened nothing: other machines reach a pipe through ssh.";
  const std::string port = std::to_string(endpoint.port.first);
  std::vector<std::string> words = Hook(environment);
  if (words.empty()) {
    return "IcfEnable opened nothing, as there is no " + std::string(kFirewallHook) +
           "; if a firewall runs here, open the port, for example with: nft add rule inet filter input tcp "
           "dport " +
           port + " accept";
  }
  const std::string way =
      "The firewall hook " + PrintableText(words[0]) + " did not open port " + port + ": ";
  words.insert(words.end(), {"tcp", port});
  const Result<CapturedOutput> run = RunCaptured(words, limit, kMaxOutput);
  if (!run) return way + run.error().message;
  if (run->exit_code == 0) return std::nullopt;
  const std::string complaint = PrintableText(run->errors.substr(0, run->errors.find_first_of("\r\n")));
  return way + "exit code " + std::to_string(run->exit_code) + (complaint.empty() ? "." : ", " + complaint);
}

}  // namespace longwire

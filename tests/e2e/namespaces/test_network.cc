#include "tests/e2e/namespaces/test_network.h"

#include <unistd.h>

#include <cstdlib>

namespace longwire::test {

TestNetwork::TestNetwork(int count) : count_(count), prefix_("lwtest" + std::to_string(::getpid()) + "-") {}

TestNetwork::~TestNetwork() {
  for (int machine = 0; machine <= count_; ++machine) Run("ip netns del " + NameOf(machine));
}

std::string TestNetwork::NameOf(int machine) const { return prefix_ + std::to_string(machine); }

bool TestNetwork::Run(const std::string& command) {
  return ::system(("PATH=$PATH:/usr/sbin:/sbin; { " + command + "; } >/dev/null 2>&1").c_str()) == 0;
}

bool TestNetwork::Join(int machine) {
  const std::string name = NameOf(machine), port = "port" + std::to_string(machine);
  const std::string net = "10.77." + std::to_string(machine);
  return Run("ip netns add " + name) &&
         Run("ip -n " + NameOf(0) + " link add " + port + " type veth peer name eth0 netns " + name) &&
         Run("ip -n " + NameOf(0) + " address add " + net + ".1/24 dev " + port) &&
         Run("ip -n " + NameOf(0) + " link set " + port + " up") &&
         Run("ip -n " + name + " link set lo up") &&
         Run("ip -n " + name + " address add " + net + ".2/24 dev eth0") &&
         Run("ip -n " + name + " link set eth0 up") &&
         Run("ip -n " + name + " route add default via " + net + ".1");
}

std::unique_ptr<TestNetwork> TestNetwork::Make(int count, std::string* why) {
  std::unique_ptr<TestNetwork> network(new TestNetwork(count));
  if (::geteuid() != 0) {
    *why = "network namespaces need root";
    return nullptr;
  }
  if (!network->Run("command -v ip && command -v nft")) {
    *why = "the programs ip and nft (packages iproute2 and nftables) are missing";
    return nullptr;
  }
  const std::string router = network->NameOf(0);
  bool made = network->Run("ip netns add " + router) &&
              network->Run("ip netns exec " + router + " sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'");
  for (int machine = 1; made && machine <= count; ++machine) made = network->Join(machine);
  if (made) return network;
  *why = "this system does not let root make network namespaces and veth pairs";
  return nullptr;
}

std::vector<std::string> TestNetwork::On(int machine, const std::vector<std::string>& words) const {
  std::vector<std::string> all = {"/usr/bin/env", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "ip", "netns", "exec",
                                  NameOf(machine)};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

bool TestNetwork::ForbidDiallingFrom(int machine) {
  const std::string nft = "ip netns exec " + NameOf(0) + " nft ";
  return Run(nft + "add table inet wall") &&
         Run(nft + "'add chain inet wall forward { type filter hook forward priority 0; }'") &&
         Run(nft + "'add rule inet wall forward iifname port" + std::to_string(machine) +
             " tcp flags syn / syn,ack drop'");
}

}  // namespace longwire::test

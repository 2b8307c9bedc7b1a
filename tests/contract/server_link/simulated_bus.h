#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/link/firewire_bus.h"
#include "tests/support/firewire_machine.h"

namespace longwire::test {

/// The nodes of a bus; a null one cannot be opened.
struct NodeTable {
  std::map<std::string, std::shared_ptr<FirewireMachine>> by_name;
  std::map<std::string, int> opened;
  int looks = 0;
};

/// A machine's node, whose transactions are done one turn later.
class SimulatedNode final : public FirewireNode {
 public:
  SimulatedNode(Executor executor, std::shared_ptr<FirewireMachine> machine)
      : executor_(std::move(executor)), machine_(std::move(machine)) {}
  Result<View> Look() override {
    machine_->Look();
    return View{machine_->rom, 2048};
  }
  Awaitable<Reply> Perform(firewire::BusRequest request) override {
    co_await boost::asio::post(executor_, boost::asio::use_awaitable);
    Reply reply;
    reply.outcome = machine_->Perform(request, reply.data);
    co_return reply;
  }
  void Close() noexcept override {}

 private:
  Executor executor_;
  std::shared_ptr<FirewireMachine> machine_;
};

/// Nothing waits on it. Without nodes it has no controller.
class SimulatedBus final : public FirewireBus {
 public:
  SimulatedBus(Executor executor, std::shared_ptr<NodeTable> nodes)
      : executor_(executor), nodes_(std::move(nodes)) {}
  Result<std::vector<std::string>> Nodes() override {
    ++nodes_->looks;
    if (nodes_->by_name.empty()) return Error{Errc::kLinkFailed, "no controller"};
    std::vector<std::string> names;
    for (const auto& [name, machine] : nodes_->by_name) names.push_back(name);
    return names;
  }
  Result<std::unique_ptr<FirewireNode>> Open(const std::string& name) override {
    ++nodes_->opened[name];
    if (!nodes_->by_name[name]) return Error{Errc::kLinkFailed, "it cannot be opened"};
    return std::unique_ptr<FirewireNode>(std::make_unique<SimulatedNode>(executor_, nodes_->by_name[name]));
  }

 private:
  Executor executor_;
  std::shared_ptr<NodeTable> nodes_;
};

}  // namespace longwire::test

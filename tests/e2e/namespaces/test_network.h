#ifndef TESTS_E2E_NAMESPACES_TEST_NETWORK_H_
#define TESTS_E2E_NAMESPACES_TEST_NETWORK_H_

#include <memory>
#include <string>
#include <vector>

namespace longwire::test {

/// Machines of this test alone: network namespaces 1 ... count, each behind a router of its own, joined by
/// veth pairs. They go with this object; processes in them have to be gone before.
class TestNetwork {
 public:
  /// Null when this user or this system may not; `why` then tells it in one sentence.
  static std::unique_ptr<TestNetwork> Make(int count, std::string* why);
  TestNetwork(const TestNetwork&) = delete;
  TestNetwork& operator=(const TestNetwork&) = delete;
  ~TestNetwork();

  static std::string AddressOf(int machine) { return "10.77." + std::to_string(machine) + ".2"; }
  /// `words`, run on that machine.
  std::vector<std::string> On(int machine, const std::vector<std::string>& words) const;
  /// The firewall lets nobody begin a connection from that machine; those towards it work.
  bool ForbidDiallingFrom(int machine);

 private:
  explicit TestNetwork(int count);
  std::string NameOf(int machine) const;  ///< 0: the router
  bool Run(const std::string& command);
  bool Join(int machine);

  int count_;
  std::string prefix_;
};

}  // namespace longwire::test

#endif  // TESTS_E2E_NAMESPACES_TEST_NETWORK_H_

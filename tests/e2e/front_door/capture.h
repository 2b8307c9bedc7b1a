#ifndef TESTS_E2E_FRONT_DOOR_CAPTURE_H_
#define TESTS_E2E_FRONT_DOOR_CAPTURE_H_

#include <memory>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {

/// tcpdump on the loopback interface: every byte from and to one port, as whoever owns the wire sees it.
class Capture {
 public:
  /// Null: there is no tcpdump, or this process may not capture; `*why` says which.
  static std::unique_ptr<Capture> Start(int port, std::string* why);

  /// Ends it: the capture file, packet heads included.
  std::string Finish();

 private:
  Capture() = default;

  TemporaryDirectory directory_;
  std::unique_ptr<ChildProcess> program_;
};

}  // namespace longwire::test

#endif  // TESTS_E2E_FRONT_DOOR_CAPTURE_H_

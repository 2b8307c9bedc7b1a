#pragma once

#include <string>
#include <vector>

#include "tests/support/own_ports.h"
#include "tests/support/temporary_directory.h"
#include "transport/scoped_descriptor.h"

namespace longwire::test {

/// Lines of all kinds behind which nobody is: who connects is let in, and never hears a thing.
class SilentLines {
 public:
  /// As many of each as said; their link strings are in links().
  void AddSockets(int count);    ///< of virtual machines that run on
  void AddTerminals(int count);  ///< serial lines nobody reads
  void AddAbsent(int count);     ///< virtual machines that are not there, waited for
  void AddListening(int count);  ///< virtual machines that are to connect
  void AddNetworks(int count);   ///< KDNET targets that are to come
  void AddPoked(int count);      ///< KDNET targets that are asked to come

  const std::vector<std::string>& links() const { return links_; }

 private:
  std::string Next() { return directory_.File("line" + std::to_string(links_.size())); }
  std::string Network();

  const int net_port_ = OwnNetPort();  ///< of all KDNET links, told apart by their keys
  TemporaryDirectory directory_;
  std::vector<ScopedDescriptor> descriptors_;
  std::vector<std::string> links_;
};

}  // namespace longwire::test

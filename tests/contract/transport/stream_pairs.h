#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "transport/stream.h"

namespace longwire::test {

using StreamPair = std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>;

/// One kind of stream under the contract: how to get two connected ends, and what it cannot do.
struct StreamKind {
  std::string name;
  std::function<Awaitable<Result<StreamPair>>(Executor)> connect;
  bool half_closes = true;  ///< a serial line cannot
  bool delivers_on_close =
      true;  ///< closing delivers what was written before; a line drops what its driver holds
};

std::vector<StreamKind> AllStreamKinds();

/// A directory of its own for sockets, removed when the program ends.
const std::string& ScratchDirectory();

}  // namespace longwire::test

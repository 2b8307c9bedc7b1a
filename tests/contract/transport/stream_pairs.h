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
  std::size_t buffers = 64u << 10;  ///< what can be written though nobody reads
};

std::vector<StreamKind> AllStreamKinds();

/// A cable between two serial lines, which are ptys: the paths of its ends. It loses one byte in `lose_every`
/// of each direction (0: none), and hangs up when an end that was open is closed.
struct Cable {
  std::string near, far;
};
Result<Cable> LayCable(Executor executor, unsigned lose_every = 0);

/// A directory of its own for sockets, removed when the program ends.
const std::string& ScratchDirectory();

}  // namespace longwire::test

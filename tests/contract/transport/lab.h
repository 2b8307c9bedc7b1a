#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "transport/endpoint.h"
#include "transport/stream.h"

namespace longwire::test {

/// A user's certificate store made by scripts/make_lab_ca: authority lab-ca, servers localhost, other and old
/// (expired), client tech, and stranger-ca of somebody else. Also a directory for pipes.
class Lab {
 public:
  /// Made at the first call, which also points XDG_CONFIG_HOME and XDG_RUNTIME_DIR at it. nullptr: this
  /// machine has no openssl program.
  static const Lab* Get();

  std::string Path(const std::string& file) const { return store_ + "/" + file; }
  const std::string& store() const { return store_; }

 private:
  bool Make();
  std::string store_;
};

/// A server's or client's string, parsed; the test fails if it is wrong.
Endpoint Server(const std::string& text);
Endpoint Client(const std::string& text);

/// A program beside the test; it is killed when this object goes.
class Program {
 public:
  /// Input from `input`, output and errors into the file `output`.
  Program(const std::vector<std::string>& words, const std::string& input, const std::string& output);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Waits without blocking the executor; nullopt: it still ran after `limit`.
  Awaitable<std::optional<int>> Exit(std::chrono::milliseconds limit = std::chrono::seconds(10));

 private:
  pid_t process_ = -1;
};

std::string Content(const std::string& path);
void Store(const std::string& path, const std::string& content);

}  // namespace longwire::test

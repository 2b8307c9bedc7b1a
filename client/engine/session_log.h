#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "proto/error.h"

namespace longwire {

/// The log file of a session: everything the console shows and what was typed (remote-debugging.md 5.9). At
/// most one is open.
class SessionLog {
 public:
  struct Options {
    bool append = false;
    bool unicode = false;  ///< UTF-16LE with a byte order mark instead of UTF-8
  };

  /// Closes the one that is open first. kIo with the reason; none is open then.
  Result<void> Open(const std::string& path, Options options);
  void Close();
  /// Path of the open log; empty without one.
  const std::string& path() const { return path_; }
  /// UTF-8 text; nothing happens without an open log. A log that cannot be written any more is closed and
  /// false is returned, once.
  bool Write(std::string_view text);

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::unique_ptr<std::FILE, CloseFile> file_;
  std::string path_;
  bool unicode_ = false;
};

}  // namespace longwire

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// One association of `.kdfiles`: what the target asks for, and the file of this machine it gets.
struct DriverFile {
  std::string target, host;
};

inline constexpr std::size_t kMaxDriverMapBytes = 1u << 20, kMaxDriverFiles = 4096;

/// Reads a driver replacement map (kd-protocol.md 4.2): blocks of three lines - `map`, the name on the
/// target, a path here - with blank lines and `#` comments only between blocks. kMalformed names the line.
Result<std::vector<DriverFile>> ParseDriverMap(std::string_view text);

/// The files a booting target may fetch from this machine in place of its own: only those the user mapped, to
/// read only. Engine thread.
class DriverFiles {
 public:
  /// The target asks for one piece at a time and gets no more than this.
  static constexpr std::size_t kMaxReadBytes = 64u << 10;
  /// A target that restarts does not close what it had open: the oldest goes.
  static constexpr std::size_t kMaxOpenFiles = 64;

  struct Answer {
    rpc::AnswerFile answer;
    std::vector<std::byte> data;
    std::string note;  ///< what the user is told; may be empty
  };

  DriverFiles() = default;
  DriverFiles(const DriverFiles&) = delete;
  DriverFiles& operator=(const DriverFiles&) = delete;
  ~DriverFiles() { CloseAll(); }

  const std::vector<DriverFile>& map() const { return map_; }
  const std::string& path() const { return path_; }  ///< of the map file; empty if none was loaded
  /// Replaces the map by that of a file; it stays as it is when the file is bad.
  Result<void> Load(const std::string& path);
  Result<void> Add(DriverFile file);  ///< replaces an association of the same name
  Result<void> Save(const std::string& path) const;
  void Clear();

  /// The file a target's name stands for; null: none. Names compare without case; a map entry without a
  /// backslash stands for every path that ends in it, with or without an extension.
  const DriverFile* Find(std::string_view target_name) const;
  Answer Serve(const rpc::FileRequested& request);
  void CloseAll();  ///< the target restarted

 private:
  Answer Open(const rpc::FileRequested& request);
  Answer Read(const rpc::FileRequested& request) const;

  std::vector<DriverFile> map_;
  std::string path_;
  std::map<std::uint64_t, int> open_;  ///< descriptors by handle
  std::uint64_t last_handle_ = 0;
};

}  // namespace longwire

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/link/link_port.h"

namespace longwire {

struct RecordingOptions {
  std::string directory;                     ///< made when missing; files in it are the owner's alone
  std::uint64_t max_file_bytes = 64u << 20;  ///< then the file is put aside and a new one begun
  unsigned max_files = 4;                    ///< of one link; the oldest is removed
  std::function<void(const std::string&)> log = [](const std::string&) {};
};

/// `port`, with every byte of its streams written down (docs/protocol.md, "Recordings"): the newest file of a
/// link is DIRECTORY/NAME.jsonl, older ones NAME.1.jsonl and so on. `name` is the canonical link, whose
/// secrets are masked; the bytes are those above any encryption of the link. A disk that is full ends the
/// recording, with a line in the log, never the link.
std::unique_ptr<LinkPort> MakeRecordingPort(std::unique_ptr<LinkPort> port, const std::string& name,
                                            RecordingOptions options);

/// The file name, without directory, in which the link `name` is recorded.
std::string RecordingFileName(const std::string& name);

}  // namespace longwire

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/kd/journal_entry.h"

namespace longwire {

/// The file of one link in the server's state directory, locked while this process lives. It survives the
/// process, not a crash of the host: it is not synced, because a stop of the whole server for the disk at
/// every breakpoint costs more than it saves, and attaching takes stray breakpoints out in any case.
class LinkJournal {
 public:
  /// For the link on `device`. `server`: what tells the servers of one directory apart, where it listens.
  /// kBusy: another process has that journal; kIo.
  static Result<std::unique_ptr<LinkJournal>> Open(const std::string& directory, const std::string& server,
                                                   const std::string& device);
  /// What earlier processes of `server` left behind, each locked from now on. `complain` hears of files that
  /// are none; they are removed.
  struct Found;
  static std::vector<Found> TakeOver(const std::string& directory, const std::string& server,
                                     const std::function<void(const std::string&)>& complain);

  ~LinkJournal();
  LinkJournal(const LinkJournal&) = delete;

  /// Replaces what is written, at once and as a whole; nothing happens if it is the same.
  Result<void> Write(const JournalEntry& entry);
  void Remove();

 private:
  LinkJournal(std::string stem, int lock) : stem_(std::move(stem)), lock_(lock) {}
  static Result<std::unique_ptr<LinkJournal>> Lock(const std::string& stem);

  std::string stem_;  ///< path without suffix
  int lock_;
  std::string written_;
};

struct LinkJournal::Found {
  JournalEntry entry;
  std::unique_ptr<LinkJournal> journal;
};

}  // namespace longwire

#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "server/link/link_target.h"
#include "server/target/work_limit.h"

namespace longwire {

/// A request of a client, waiting for its turn or being worked on.
struct Work {
  std::uint64_t ticket = 0;
  rpc::Request request;
  kd::Bytes bulk;
  LinkTarget::Done done;
  bool observer = false;
  WorkLimit limit;
  bool displaced = false;  ///< cancelled for the driver's sake
};

/// Work in order, one piece at a time; that of observers stands behind the driver's and gives way to it.
/// Bounded by the requests the sessions let in.
class WorkQueue {
 public:
  void Push(Work work) {
    if (!work.observer && current && current->observer) current->displaced = current->limit.cancelled = true;
    const auto behind = work.observer ? queue_.end()
                                      : std::find_if(queue_.begin(), queue_.end(),
                                                     [](const Work& other) { return other.observer; });
    queue_.insert(behind, std::move(work));
  }
  /// Makes the first piece the current one. False: there is none.
  bool Take() {
    if (queue_.empty()) return false;
    current = std::make_unique<Work>(std::move(queue_.front()));
    queue_.pop_front();
    return true;
  }
  void Cancel(std::uint64_t ticket) {
    if (current && current->ticket == ticket) current->limit.cancelled = true;
    const auto found = std::find_if(queue_.begin(), queue_.end(),
                                    [ticket](const Work& work) { return work.ticket == ticket; });
    if (found == queue_.end()) return;
    LinkTarget::Done done = std::move(found->done);
    queue_.erase(found);
    done(Error{Errc::kCancelled, "cancelled"}, {});
  }
  /// What has not begun ends with `why`; the current piece is told to end early.
  void FailWaiting(const Error& why) {
    if (current) current->limit.cancelled = true;
    auto queue = std::exchange(queue_, {});
    for (auto& work : queue) work.done(why, {});
  }
  /// Answers the current piece, which is released first: the client may close the link from within.
  void Finish(rpc::Answer answer, kd::Bytes bulk) {
    if (const auto* error = std::get_if<Error>(&answer);
        current->displaced && error != nullptr && error->code == Errc::kCancelled) {
      answer = Error{Errc::kBusy, "the driver of the link needs the target; ask again"};
    }
    const auto finished = std::move(current);
    finished->done(std::move(answer), std::move(bulk));
  }
  /// Nobody works on the current piece any more.
  void FailCurrent(const Error& why) {
    if (auto work = std::move(current)) work->done(why, {});
  }

  std::unique_ptr<Work> current;

 private:
  std::deque<Work> queue_;
};

}  // namespace longwire

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/diagnosis.h"
#include "server/kd/line_witness.h"
#include "server/kd/link_back_end.h"
#include "server/link/firewire_bus.h"

namespace longwire {

struct LinkDoctorOptions {
  /// What a link stands for; tests put their own ports and targets here.
  std::function<Result<LinkBackEnd>(Executor, const KernelLink&)> make_back_end = MakeLinkBackEnd;
  std::function<std::vector<std::string>()> firewire_devices = FirewireDevices;
  bool left_halted = false;                   ///< this process left the target stopped
  std::chrono::milliseconds listening{1500};  ///< how long the line is only listened to
  std::chrono::milliseconds probing{
      8000};  ///< for the target's answer; slow lines get up to four times as much
  std::chrono::milliseconds opening{4000};
  /// For a KDNET target, which says hello each three seconds, to begin a session.
  std::chrono::milliseconds hello{10'000};
};

/// Examines a link that nobody uses, from the device to the target. It listens first; then it attaches as a
/// session would: a running target is stopped by a break-in, asked for its version and resumed, a stopped
/// one stays stopped. Like every attach that clears breakpoints a dead session left. Belongs to one
/// executor.
class LinkDoctor : public std::enable_shared_from_this<LinkDoctor> {
 public:
  LinkDoctor(Executor executor, KernelLink link, LinkDoctorOptions options);

  /// Ends soon after diagnosis->Cancel(), with a target that it stopped running again.
  static Awaitable<void> Run(std::shared_ptr<LinkDoctor> self, std::shared_ptr<Diagnosis> diagnosis);

  struct Line;

 private:
  void JudgeBackEnd(const Error& error);
  Awaitable<std::unique_ptr<Stream>> Open(LinkPort& port);
  void JudgeNobody(const LinkPort& port);
  Awaitable<void> Examine(LinkBackEnd back_end, std::unique_ptr<Stream> stream);
  void JudgeTarget(const Line& line);

  Executor executor_;
  KernelLink link_;
  LinkDoctorOptions options_;
  std::shared_ptr<Diagnosis> diagnosis_;
};

}  // namespace longwire

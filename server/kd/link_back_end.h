#pragma once

#include <functional>
#include <memory>

#include "server/link/link_port.h"
#include "server/link/link_target.h"
#include "server/replay/recording_port.h"
#include "transport/kernel_string.h"

namespace longwire {

/// The two halves of a kernel link: where its bytes come from, and who speaks over them.
struct LinkBackEnd {
  std::unique_ptr<LinkPort> port;  ///< null: a target without a byte stream (a dump)
  /// `options` as the client and the server's owner wish; the maker sets what the kind of link demands.
  std::function<std::unique_ptr<LinkTarget>(TargetOptions options, LinkTarget::EventSink events)> make_target;
};

/// A target that speaks KD over `port`, with the timers `link` calls for.
LinkBackEnd MakeKdBackEnd(std::unique_ptr<LinkPort> port, const KernelLink& link);

/// The back end of this build for `link`. Errors as MakeLinkPort.
Result<LinkBackEnd> MakeLinkBackEnd(Executor executor, const KernelLink& link);

/// `back_end` with the traffic of its port written down; one without a port is left as it is.
Result<LinkBackEnd> Recorded(Result<LinkBackEnd> back_end, const KernelLink& link,
                             const RecordingOptions& recording);

}  // namespace longwire

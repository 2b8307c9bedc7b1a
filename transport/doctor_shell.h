#pragma once

#include "proto/finding.h"
#include "transport/remote_pipe.h"

namespace longwire {

/// What the command that should reach a pipe of another machine failed of: by its exit code, and by OpenSSH's
/// own words where those tell more.
Finding JudgeRemotePipe(const RemotePipeTry& outcome);

}  // namespace longwire

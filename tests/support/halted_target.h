#pragma once

#include <memory>
#include <string>

#include "client/target/interrupt.h"
#include "client/target/target.h"
#include "proto/error.h"

namespace longwire::test {

/// Opens the link of a `-k` string as kd does, asking the target to break in: `com:` links are served in this
/// process.
Result<std::unique_ptr<Target>> ConnectForTest(const std::string& kernel, Interrupt& interrupt);
/// The same, and waits for the stop. Null with a sentence in `error` when there is none within 30 s.
std::unique_ptr<Target> OpenHaltedTarget(const std::string& kernel, Interrupt& interrupt, std::string* error);

}  // namespace longwire::test

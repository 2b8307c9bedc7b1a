#ifndef TESTS_E2E_FRONT_DOOR_VISIT_H_
#define TESTS_E2E_FRONT_DOOR_VISIT_H_

#include <chrono>
#include <string>

#include "proto/error.h"

namespace longwire::test {

/// A client as kd is one, up to the Welcome: connects, TLS, password, hello. How long that took. An empty
/// password: none.
Result<std::chrono::milliseconds> Visit(int port, const std::string& password);

}  // namespace longwire::test

#endif  // TESTS_E2E_FRONT_DOOR_VISIT_H_

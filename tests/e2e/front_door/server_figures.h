#ifndef TESTS_E2E_FRONT_DOOR_SERVER_FIGURES_H_
#define TESTS_E2E_FRONT_DOOR_SERVER_FIGURES_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace longwire::test {

/// What /proc says of a process.
std::size_t ResidentKibibytes(pid_t pid);
/// The most since ForgetPeak(), or since it began where the kernel does not let the peak be forgotten.
std::size_t PeakKibibytes(pid_t pid);
void ForgetPeak(pid_t pid);
std::size_t OpenDescriptors(pid_t pid);
std::string DescriptorLimit(pid_t pid);
/// Used so far, by all threads in user and kernel mode.
double ProcessorSeconds(pid_t pid);
/// How often the main thread has gone to sleep so far.
std::size_t WakeUps(pid_t pid);

/// Polls until `holds`; false after `limit`.
bool Eventually(const std::function<bool()>& holds, std::chrono::seconds limit = std::chrono::seconds(60));

}  // namespace longwire::test

#endif  // TESTS_E2E_FRONT_DOOR_SERVER_FIGURES_H_

#include "tests/e2e/front_door/server_figures.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

namespace longwire::test {
namespace {

std::string Proc(pid_t pid, const std::string& file) { return "/proc/" + std::to_string(pid) + "/" + file; }

std::string LineOf(pid_t pid, const std::string& file, const std::string& key) {
  std::ifstream in(Proc(pid, file));
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) == 0) return line.substr(key.size());
  }
  return {};
}

std::size_t StatusNumber(pid_t pid, const std::string& key) {
  const std::string text = LineOf(pid, "status", key);
  return text.empty() ? 0 : std::stoul(text);
}

}  // namespace

std::size_t ResidentKibibytes(pid_t pid) { return StatusNumber(pid, "VmRSS:"); }
std::size_t PeakKibibytes(pid_t pid) { return StatusNumber(pid, "VmHWM:"); }
void ForgetPeak(pid_t pid) { std::ofstream(Proc(pid, "clear_refs")) << "5"; }

std::size_t OpenDescriptors(pid_t pid) {
  std::error_code ignored;
  const std::filesystem::directory_iterator all(Proc(pid, "fd"), ignored);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::string DescriptorLimit(pid_t pid) { return LineOf(pid, "limits", "Max open files"); }

std::size_t WakeUps(pid_t pid) { return StatusNumber(pid, "voluntary_ctxt_switches:"); }

double ProcessorSeconds(pid_t pid) {
  std::ifstream in(Proc(pid, "stat"));
  std::string text;
  std::getline(in, text);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  constexpr int kBeforeUserTime = 11;
  std::string passed;
  for (int i = 0; i < kBeforeUserTime; ++i) fields >> passed;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

bool Eventually(const std::function<bool()>& holds, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace longwire::test

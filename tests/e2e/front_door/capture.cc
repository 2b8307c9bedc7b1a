#include "tests/e2e/front_door/capture.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace longwire::test {

std::unique_ptr<Capture> Capture::Start(int port, std::string* why) {
  constexpr char kProgram[] = "/usr/bin/tcpdump";
  if (::access(kProgram, X_OK) != 0) {
    *why = "there is no tcpdump program";
    return nullptr;
  }
  std::unique_ptr<Capture> capture(new Capture);
  // As root it would otherwise become a user who may not write into the directory.
  capture->program_ = std::make_unique<ChildProcess>(std::vector<std::string>{
      kProgram, "-i", "lo", "-s", "0", "-B", "16384", "-U", "--immediate-mode", "-n", "-Z", "root", "-w",
      capture->directory_.File("capture"), "tcp port " + std::to_string(port)});
  if (capture->program_->WaitFor("listening on lo")) return capture;
  *why = "this process may not capture: " + capture->program_->both();
  return nullptr;
}

std::string Capture::Finish() {
  // What was sent last is in the kernel's buffer until tcpdump has taken it; a signal would leave it there.
  const auto size = [this] { return std::filesystem::file_size(directory_.File("capture")); };
  std::uintmax_t before = 0;
  for (int seconds = 0; seconds < 30 && (before == 0 || before != size()); ++seconds) {
    before = size();
    program_->WaitFor("nothing is printed", std::chrono::seconds(1));
  }
  program_->Signal(SIGINT);
  (void)program_->Wait();
  std::ifstream file(directory_.File("capture"), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace longwire::test

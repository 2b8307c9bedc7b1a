#include "tests/contract/transport/lab.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/contract/transport/stream_pairs.h"
#include "tests/support/coro_test.h"

namespace longwire::test {
namespace {

namespace fs = std::filesystem;

bool Shell(const std::string& command) { return ::system((command + " >/dev/null 2>&1").c_str()) == 0; }

}  // namespace

const Lab* Lab::Get() {
  static Lab lab;
  static const bool made = lab.Make();
  return made ? &lab : nullptr;
}

bool Lab::Make() {
  const std::string home = ScratchDirectory() + "/config";
  ::setenv("XDG_CONFIG_HOME", home.c_str(), 1);
  ::setenv("XDG_RUNTIME_DIR", ScratchDirectory().c_str(), 1);
  store_ = home + "/longwire/certificates";
  if (!Shell("command -v openssl")) return false;
  const std::string make = LONGWIRE_SOURCE_DIR "/scripts/make_lab_ca";
  const std::string elsewhere = ScratchDirectory() + "/elsewhere";
  const bool made = Shell(make + " " + store_ + " localhost other") &&
                    Shell("LAB_CA_DAYS=-1 " + make + " " + store_ + " old") &&
                    Shell(make + " --client tech " + store_) && Shell(make + " " + elsewhere + " stranger");
  EXPECT_TRUE(made) << "scripts/make_lab_ca failed";
  std::error_code ignored;
  fs::copy_file(elsewhere + "/lab-ca.pem", Path("stranger-ca.pem"), ignored);
  return made;
}

Endpoint Server(const std::string& text) {
  const auto endpoint = ParseServerEndpoint(text);
  EXPECT_TRUE(endpoint) << text << ": " << endpoint.error().message;
  return endpoint ? *endpoint : Endpoint{};
}

Endpoint Client(const std::string& text) {
  const auto endpoint = ParseClientEndpoint(text);
  EXPECT_TRUE(endpoint) << text << ": " << endpoint.error().message;
  return endpoint ? *endpoint : Endpoint{};
}

Program::Program(const std::vector<std::string>& words, const std::string& input, const std::string& output) {
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, input.c_str(), O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_adddup2(&files, 1, 2);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int failed = ::posix_spawnp(&process_, arguments[0], &files, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  EXPECT_EQ(failed, 0) << words[0];
  if (failed != 0) process_ = -1;
}

Program::~Program() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

Awaitable<std::optional<int>> Program::Exit(std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (process_ > 0 && std::chrono::steady_clock::now() < until) {
    int status = 0;
    if (::waitpid(process_, &status, WNOHANG) == process_) {
      process_ = -1;
      co_return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
    }
    co_await Pause(std::chrono::milliseconds(5));
  }
  co_return std::nullopt;
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void Store(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace longwire::test

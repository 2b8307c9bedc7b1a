#include "tests/e2e/passthrough/offered_link.h"

#include <unistd.h>

#include <regex>

namespace longwire::test {
namespace {

int PortIn(const std::string& text, const std::string& kind) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(kind + " at 127\\.0\\.0\\.1:(\\d+) for "))
             ? std::stoi(match[1])
             : 0;
}

}  // namespace

void OfferedLink::SetUp() {
  std::string error;
  machine_ = TestMachine::Start({}, &error);
  ASSERT_NE(machine_, nullptr) << error;
  pipe_ = "lw-pass-" + std::to_string(::getpid());
  server_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{KDSRV_PATH, "-v", "--state", "none", "-t", "npipe:pipe=" + pipe_, "--gdb",
                               link() + "=127.0.0.1:0", "--raw", link() + "=127.0.0.1:0"});
  ASSERT_TRUE(server_->WaitFor("raw at ")) << server_->error();
  ASSERT_TRUE(server_->WaitFor("\n"));
  gdb_port_ = PortIn(server_->error(), "gdb");
  raw_port_ = PortIn(server_->error(), "raw");
  ASSERT_NE(gdb_port_, 0) << server_->error();
  ASSERT_NE(raw_port_, 0) << server_->error();
}

std::string OfferedLink::ThroughServer() const {
  return "kdsrv:server=@{npipe:server=.,pipe=" + pipe_ + "},trans=@{" + link() + "}";
}

std::string OfferedLink::ThroughRawPort() const {
  return "com:ipport=" + std::to_string(raw_port_) + ",port=127.0.0.1";
}

std::string OfferedLink::RunKd(const std::string& kernel, const std::string& commands) const {
  ChildProcess kd(
      {KD_PATH, "-kqm", "-bonc", "-k", kernel, "-y", machine_->symbol_directory(), "-c", commands});
  kd.Wait(kLimit);
  return kd.both();
}

std::unique_ptr<ChildProcess> OfferedLink::StartKd(const std::string& kernel) const {
  return std::make_unique<ChildProcess>(
      std::vector<std::string>{KD_PATH, "-kqm", "-bonc", "-k", kernel, "-y", machine_->symbol_directory()},
      ChildProcess::Input::kPipe);
}

std::string OfferedLink::RunGdb(const std::vector<std::string>& commands) const {
  std::vector<std::string> words{"/usr/bin/gdb",
                                 "-nx",
                                 "-batch",
                                 "-ex",
                                 "set remotetimeout 30",
                                 "-ex",
                                 "target remote 127.0.0.1:" + std::to_string(gdb_port_)};
  for (const std::string& command : commands) words.insert(words.end(), {"-ex", command});
  ChildProcess gdb(words);
  gdb.Wait(kLimit);
  return gdb.both();
}

std::unique_ptr<ChildProcess> OfferedLink::StartGdb() const {
  auto gdb = std::make_unique<ChildProcess>(
      std::vector<std::string>{"/usr/bin/gdb", "-nx", "-q", "-ex", "set confirm off", "-ex",
                               "set remotetimeout 30", "-ex",
                               "target remote 127.0.0.1:" + std::to_string(gdb_port_)},
      ChildProcess::Input::kPipe);
  gdb->Write("echo attached\\n\n");
  EXPECT_TRUE(gdb->WaitFor("attached")) << gdb->both();
  return gdb;
}

std::uint64_t OfferedLink::AddressOf(const std::string& symbol) const {
  const std::string shown = RunKd(ThroughServer(), "? " + symbol + ";qd");
  std::smatch match;
  if (!std::regex_search(shown, match,
                         std::regex("Evaluate expression: -?\\d+ = ([0-9a-f]{8})`([0-9a-f]{8})"))) {
    ADD_FAILURE() << shown;
    return 0;
  }
  return std::stoull(match[1].str() + match[2].str(), nullptr, 16);
}

std::string OfferedLink::Status() const {
  ChildProcess status({KDSRV_PATH, "--status", "--json"});
  status.Wait(kLimit);
  const std::string all = status.out();  // of every server of this user
  const std::size_t at = all.find(machine_->socket_path());
  return at == std::string::npos ? "" : all.substr(at, all.find("{\"link\"", at) - at);
}

}  // namespace longwire::test

#include "tests/e2e/acceptance/scene.h"

#include <fstream>
#include <iterator>

#include "tests/support/own_ports.h"

namespace longwire::test {

const VariantNames kVariantA{'a', "lwdemo", "lwbus", "lwlate", "smss.exe", "explorer.exe", "19041"};
const VariantNames kVariantB{'b', "quartz", "cobalt", "amber", "init.exe", "desk.exe", "22621"};

void Scene::StartServer(std::vector<std::string> more, int port) {
  const std::string ports = port != 0 ? std::to_string(port) : OwnPorts();
  std::vector<std::string> words = {
      KDSRV_PATH, "-v", "-t", "tcp:port=" + ports + ",password=" + kPassword, "--state", state_.path()};
  words.insert(words.end(), more.begin(), more.end());
  server_ = std::make_unique<ChildProcess>(words);
  ASSERT_TRUE(server_->WaitFor("listening on ")) << server_->both();
  ASSERT_TRUE(server_->WaitFor(",Password=*\n")) << server_->both();
  const std::string text = server_->both();
  port_ = std::stoi(text.substr(text.find("Port=") + 5));
}

std::unique_ptr<TestMachine> Scene::StartMachine(TestMachineOptions options) {
  std::string error;
  // A busy host must not see every packet twice.
  if (options.ack_timeout_ms == 0) options.ack_timeout_ms = 1000;
  auto machine = TestMachine::Start(options, &error);
  EXPECT_TRUE(machine) << error;
  return machine;
}

std::string Scene::KernelString(const TestMachine& machine, const std::string& password, int port) const {
  return "kdsrv:server=@{tcp:server=127.0.0.1,port=" + std::to_string(port != 0 ? port : port_) +
         ",password=" + password + "},trans=@{com:pipe,port=" + machine.socket_path() + "}";
}

std::unique_ptr<ChildProcess> Scene::Kd(const TestMachine& machine, const std::string& commands,
                                        std::vector<std::string> more, ChildProcess::Input input) {
  std::vector<std::string> words = {KD_PATH, "-k", KernelString(machine), "-y", machine.symbol_directory(),
                                    "-kqm"};
  if (!commands.empty()) words.insert(words.end(), {"-c", commands});
  words.insert(words.end(), more.begin(), more.end());
  return std::make_unique<ChildProcess>(words, input);
}

std::unique_ptr<ChildProcess> Scene::AttachedKd(const TestMachine& machine, std::vector<std::string> more) {
  auto kd = Kd(machine, "", std::move(more), ChildProcess::Input::kPipe);
  EXPECT_TRUE(kd->WaitFor("kd> ")) << kd->both() << server_->both();
  return kd;
}

std::string Scene::Output(const TestMachine& machine, const std::string& commands,
                          std::vector<std::string> more, int exit_code) {
  auto kd = Kd(machine, commands, std::move(more));
  const auto ended = kd->Wait(std::chrono::seconds(60));
  EXPECT_TRUE(ended == exit_code) << "exit code " << ended.value_or(-1) << "\n" << kd->both();
  return kd->both();
}

std::unique_ptr<TestMachine> VariantScene::StartVariant(TestMachineOptions options) {
  options.variant = names().variant;
  return StartMachine(options);
}

std::string VariantScene::Named(std::string text) const {
  const std::pair<std::string, std::string> replaced[] = {
      {"DEMO", names().demo}, {"LATE", names().late}, {"BUS", names().bus}};
  for (const auto& [word, name] : replaced) {
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + name.size())) {
      text.replace(at, word.size(), name);
    }
  }
  return text;
}

std::string CommandLineOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace longwire::test

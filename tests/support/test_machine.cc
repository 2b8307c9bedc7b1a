#include "tests/support/test_machine.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

namespace longwire::test {
namespace {

using std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kPollInterval = std::chrono::milliseconds(1);

std::string AppendLine(const TestMachineOptions& options) {
  std::string line;
  if (options.extra_processes != 0) line += "processes=" + std::to_string(options.extra_processes) + " ";
  if (options.break_at_boot) line += "break ";
  if (options.report_symbols) line += "symbols ";
  if (options.ack_timeout_ms != 0) line += "timeout=" + std::to_string(options.ack_timeout_ms) + " ";
  return line;
}

/// What the monitor prints up to its next prompt; ends early when it hangs up or stays silent.
std::string ReadToPrompt(int monitor) {
  constexpr std::string_view kPrompt = "(qemu) ";
  std::string text;
  while (!text.ends_with(kPrompt)) {
    pollfd ready{monitor, POLLIN, 0};
    char buffer[4096];
    const int patience = static_cast<int>(std::chrono::milliseconds(kPatience).count());
    if (poll(&ready, 1, patience) <= 0) break;
    const ssize_t count = read(monitor, buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

// The file appears before QEMU listens on it, so the kernel's table of sockets is asked instead.
bool Listens(const std::string& path) {
  std::ifstream table("/proc/net/unix");
  for (std::string line; std::getline(table, line);) {
    if (line.size() > path.size() && line.ends_with(path) && line.find(" 00010000 ") != std::string::npos)
      return true;
  }
  return false;
}

[[noreturn]] void RunQemu(const std::vector<std::string>& arguments, const std::string& log, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  int file = open(log.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (file < 0 || nothing < 0) _exit(127);
  dup2(nothing, 0);
  dup2(file, 1);
  dup2(file, 2);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(127);
}

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string TargetDirectory() {
  const char* directory = std::getenv("LW_TARGET_DIR");
  return directory != nullptr ? directory : LW_TARGET_DIR;
}

std::unique_ptr<TestMachine> TestMachine::Start(const TestMachineOptions& options, std::string* error) {
  std::unique_ptr<TestMachine> machine(new TestMachine);
  if (!machine->Launch(options, error) || !machine->WaitUntilListening(error)) return nullptr;
  return machine;
}

bool TestMachine::Launch(const TestMachineOptions& options, std::string* error) {
  symbol_directory_ = TargetDirectory() + "/" + options.variant;
  const std::string kernel = symbol_directory_ + "/machine.elf";
  if (!std::filesystem::exists(kernel)) {
    *error = kernel + " is missing; build lw_test_machine";
    return false;
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "lw-machine-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    *error = "cannot make " + pattern + ": " + std::strerror(errno);
    return false;
  }
  directory_ = pattern;
  socket_path_ = directory_ + "/com1";
  monitor_path_ = directory_ + "/monitor";
  std::vector<std::string> arguments = {
      "qemu-system-x86_64",
      "-M",
      "microvm",
      "-accel",
      "tcg",
      "-nodefaults",
      "-display",
      "none",
      "-m",
      "64",
      "-kernel",
      kernel,
      "-append",
      AppendLine(options),
      "-monitor",
      "unix:" + monitor_path_ + ",server=on,wait=off",
      "-serial",
      "unix:" + socket_path_ + (options.boot_when_connected ? ",server=on,wait=on" : ",server=on,wait=off")};
  if (options.gdb_stub) {
    arguments.insert(arguments.end(), {"-gdb", "unix:" + stub_path() + ",server=on,wait=off"});
  }
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) RunQemu(arguments, directory_ + "/qemu.log", parent);
  if (pid_ < 0) *error = std::string("cannot fork: ") + std::strerror(errno);
  return pid_ > 0;
}

bool TestMachine::WaitUntilListening(std::string* error) const {
  for (const auto deadline = steady_clock::now() + kPatience; steady_clock::now() < deadline;) {
    if (Listens(socket_path_) && Listens(monitor_path_)) return true;
    if (!alive()) break;
    std::this_thread::sleep_for(kPollInterval);
  }
  *error = "QEMU did not open its serial port: " + FileText(directory_ + "/qemu.log");
  return false;
}

TestMachine::~TestMachine() {
  Kill();
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

int TestMachine::Connect() const { return ConnectTo(socket_path_); }

int TestMachine::ConnectTo(const std::string& path) const {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return -1;
  std::memcpy(address.sun_path, path.data(), path.size());
  for (const auto deadline = steady_clock::now() + kPatience; steady_clock::now() < deadline;) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
    close(fd);
    std::this_thread::sleep_for(kPollInterval);
  }
  return -1;
}

// Lines of "ffff800000001000: 0x48 0x8b"; the monitor echoes the command before them.
std::vector<std::uint8_t> TestMachine::Memory(std::uint64_t address, std::size_t size) const {
  std::vector<std::uint8_t> bytes;
  std::ostringstream command;
  command << "x /" << size << "xb 0x" << std::hex << address << "\n";
  std::string answer;
  if (!AskMonitor(command.str(), &answer)) return bytes;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(": 0x");
    if (colon == std::string::npos) continue;
    std::istringstream values(line.substr(colon + 1));
    for (std::string value; values >> value;)
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(value, nullptr, 16)));
  }
  return bytes;
}

// Exited children stay zombies until Kill() reaps them, so the pid cannot be somebody else's.
bool TestMachine::alive() const {
  siginfo_t info = {};
  return pid_ > 0 && waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

void TestMachine::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

bool TestMachine::AskMonitor(const std::string& command, std::string* answer) const {
  const int monitor = ConnectTo(monitor_path_);
  if (monitor < 0) return false;
  ReadToPrompt(monitor);
  const bool sent = write(monitor, command.data(), command.size()) == static_cast<ssize_t>(command.size());
  if (sent) *answer = ReadToPrompt(monitor);
  close(monitor);
  return sent;
}

bool TestMachine::PressReset() const {
  std::string answer;
  return AskMonitor("system_reset\n", &answer);
}

bool TestMachine::SavePhysicalMemory(const std::string& path) const {
  std::string answer;
  return AskMonitor("pmemsave 0 " + std::to_string(kPhysicalMemory) + " \"" + path + "\"\n", &answer);
}

void TestMachine::Pause() {
  if (pid_ > 0) kill(pid_, SIGSTOP);
}

void TestMachine::Continue() {
  if (pid_ > 0) kill(pid_, SIGCONT);
}

}  // namespace longwire::test

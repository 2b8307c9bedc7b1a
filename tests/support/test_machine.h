#ifndef TESTS_SUPPORT_TEST_MACHINE_H_
#define TESTS_SUPPORT_TEST_MACHINE_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace longwire::test {

struct TestMachineOptions {
  char variant = 'a';                // 'a' or 'b': other addresses, offsets and names
  unsigned extra_processes = 0;      // on top of the eight of every boot
  bool break_at_boot = false;        // stop in the debugger once the boot is complete
  bool report_symbols = false;       // report images while booting; waits for a host at each
  unsigned ack_timeout_ms = 0;       // of the kernel's KD stub; 0 = its default of 200
  bool gdb_stub = false;             // QEMU's gdb stub listens on stub_path()
  bool boot_when_connected = false;  // hold the boot until a host is connected, so that it sees every byte
};

/// A QEMU process running the kernel of tests/target, with COM1 on a Unix socket in a directory of its own.
/// The process dies with this object, with the thread that started it, or by Kill(). Not thread-safe.
class TestMachine {
 public:
  /// Null when QEMU did not listen within 5 s; `error` then tells why in one sentence.
  static std::unique_ptr<TestMachine> Start(const TestMachineOptions& options, std::string* error);

  TestMachine(const TestMachine&) = delete;
  TestMachine& operator=(const TestMachine&) = delete;
  ~TestMachine();

  /// COM1. One connection at a time; after a disconnect the next one is accepted.
  const std::string& socket_path() const { return socket_path_; }
  std::string stub_path() const { return directory_ + "/gdb"; }
  /// Directory with the images and their PDB files.
  const std::string& symbol_directory() const { return symbol_directory_; }
  pid_t pid() const { return pid_; }

  /// A connected socket, or -1 after 5 s. The caller closes it.
  int Connect() const;
  /// SIGKILL, and waits for the process to be gone.
  void Kill();
  /// SIGSTOP and SIGCONT: a host that froze.
  void Pause();
  void Continue();
  /// The reset button, by way of the monitor. False when the monitor cannot be reached.
  bool PressReset() const;
  bool alive() const;
  /// Writes the whole physical memory to `path`, by way of the monitor. False when it cannot.
  bool SavePhysicalMemory(const std::string& path) const;
  static constexpr std::size_t kPhysicalMemory = 64u << 20;
  /// Memory at a virtual address as the processor sees it, from QEMU's monitor: no debugger is asked. Shorter
  /// when QEMU cannot read it.
  std::vector<std::uint8_t> Memory(std::uint64_t address, std::size_t size) const;

 private:
  TestMachine() = default;
  bool Launch(const TestMachineOptions& options, std::string* error);
  bool WaitUntilListening(std::string* error) const;
  int ConnectTo(const std::string& path) const;
  bool AskMonitor(const std::string& command, std::string* answer) const;

  std::string directory_;
  std::string socket_path_, monitor_path_;
  std::string symbol_directory_;
  pid_t pid_ = -1;
};

/// Directory that holds the variants: LW_TARGET_DIR of the environment, else where the build put them.
std::string TargetDirectory();

}  // namespace longwire::test

#endif  // TESTS_SUPPORT_TEST_MACHINE_H_

#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace longwire::test {

/// A serial line between two local sockets: listens on one path, connects to the other for its first peer,
/// and lets bytes through no faster than a line of that speed would (10 bits a byte), both ways at once, with
/// the 64-byte buffer of a UART. Runs on its own thread until destroyed.
class LinePacer {
 public:
  LinePacer(const std::string& listen_path, std::string connect_path, unsigned baud);
  ~LinePacer();

  /// Bytes that went from the connected side (the target) to the listening side, and back.
  std::uint64_t bytes_up() const { return bytes_up_; }
  std::uint64_t bytes_down() const { return bytes_down_; }

 private:
  void Run();

  std::string listen_path_, connect_path_;
  double seconds_per_byte_;
  int listener_ = -1, stop_ = -1;
  std::atomic<std::uint64_t> bytes_up_{0}, bytes_down_{0};
  std::thread thread_;
};

}  // namespace longwire::test

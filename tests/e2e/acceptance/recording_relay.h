#ifndef TESTS_E2E_ACCEPTANCE_RECORDING_RELAY_H_
#define TESTS_E2E_ACCEPTANCE_RECORDING_RELAY_H_

#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace longwire::test {

/// Somebody on the network between a client and a server: passes every byte on and keeps a copy.
class RecordingRelay {
 public:
  explicit RecordingRelay(int server_port);
  RecordingRelay(const RecordingRelay&) = delete;
  RecordingRelay& operator=(const RecordingRelay&) = delete;
  ~RecordingRelay();

  int port() const { return port_; }
  /// Everything that went by so far, in both directions.
  std::string recorded() const;
  std::string from_client() const;
  std::string from_server() const;

 private:
  void Accept();
  void Pump(int client);

  int listener_ = -1, port_ = 0, server_port_ = 0;
  int stop_[2] = {-1, -1};
  mutable std::mutex mutex_;
  std::string recorded_, from_[2];
  std::thread thread_;
};

}  // namespace longwire::test

#endif  // TESTS_E2E_ACCEPTANCE_RECORDING_RELAY_H_

#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace longwire::test {

/// The network between clients and a server on loopback, which can vanish: nothing is passed on then and
/// nobody is told, as when a cable is pulled. Thread-safe.
class NetworkRelay {
 public:
  explicit NetworkRelay(int server_port);
  NetworkRelay(const NetworkRelay&) = delete;
  NetworkRelay& operator=(const NetworkRelay&) = delete;
  ~NetworkRelay();

  int port() const { return port_; }
  /// From now on every byte, and every new connection, stays where it is.
  void Vanish();
  /// The network is back. Connections of the time before are closed: their ends had given them up, or will.
  void Return();
  /// Closes every connection; new ones get through.
  void Cut();
  /// Connections that were let through so far.
  int connections() const;

 private:
  struct Pair {
    int client = -1, server = -1;
  };
  void Run();
  bool Accept();
  void Pump(Pair& pair, bool from_client, bool from_server);
  void CloseAll();
  void Ring() const;

  int listener_ = -1, port_ = 0, server_port_ = 0;
  int bell_[2] = {-1, -1};
  mutable std::mutex mutex_;
  bool vanished_ = false, cut_ = false, ending_ = false;
  int connections_ = 0;
  std::vector<Pair> pairs_;  ///< the thread's own
  std::thread thread_;
};

}  // namespace longwire::test

#ifndef TESTS_E2E_FRONT_DOOR_CROWD_H_
#define TESTS_E2E_FRONT_DOOR_CROWD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace longwire::test {

/// Connections to a port of this machine that mean no good. Held until this object goes.
class Crowd {
 public:
  enum class Source { kManyAddresses, kOwnAddress };  ///< 127.1.0.1 ... 127.1.0.254, or 127.0.0.1

  Crowd(int port, Source source) : port_(port), source_(source) {}
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd() { Leave(); }

  /// One more; -1 when it could not be made. The socket stays ours.
  int Join();
  /// One more that is gone with a reset at once, as a port scanner's.
  bool Scan();
  /// Sends all it can without waiting; whether the peer took it does not matter.
  static void Say(int socket, const std::string& bytes);
  /// Says that nothing will follow, and listens on.
  static void HalfClose(int socket);
  /// How many the server has closed so far.
  std::size_t dropped() const;
  std::size_t size() const { return sockets_.size(); }
  void Leave();

 private:
  int port_;
  Source source_;
  unsigned next_ = 0;
  std::vector<int> sockets_;
};

/// Bytes nobody speaks, different for each `seed`; some begin like TLS, some like our frames.
std::string Garbage(unsigned seed);

/// Raises this process's limit of descriptors as far as it goes and returns it.
std::size_t RaiseDescriptorLimit();

}  // namespace longwire::test

#endif  // TESTS_E2E_FRONT_DOOR_CROWD_H_

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proto/finding.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {

/// A listening socket of the test that does to each peer what it is told, until it goes. Owns the
/// descriptors.
class FakePeer {
 public:
  using Serve = std::function<void(int peer)>;
  /// On a free port of 127.0.0.1.
  explicit FakePeer(Serve serve);
  /// On a Unix socket.
  FakePeer(const std::string& path, Serve serve);
  FakePeer(const FakePeer&) = delete;
  FakePeer& operator=(const FakePeer&) = delete;
  ~FakePeer();

  int port() const { return port_; }

  static void SayNothing(int) {}
  static Serve Say(std::string text);
  /// Waits for the peer's first bytes, then says it.
  static Serve Answer(std::string text);
  static void HangUp(int peer);

 private:
  void Loop(Serve serve);
  int listener_ = -1, port_ = 0;
  int stop_[2] = {-1, -1};
  std::thread thread_;
};

/// kdsrv, kd -doctor and what stands between them. The user's store and pipes are in a directory of the
/// test.
class DoctorScene : public testing::Test {
 protected:
  DoctorScene();

  /// A kdsrv with this -t; `port` in it is 0 and found out.
  void StartServer(const std::string& transport, std::vector<std::string> more = {});
  /// Runs to the end and expects this finding, in this step, with its documented exit code, and the words of
  /// the cause.
  void Expect(std::vector<std::string> words, const std::string& step, Finding finding,
              const std::vector<std::string>& causes);
  /// kd -doctor -k kdsrv:server=@{SERVER},trans=@{LINK}
  void ExpectThrough(const std::string& server, const std::string& link, const std::string& step,
                     Finding finding, const std::vector<std::string>& causes);
  /// kd -doctor -k LINK
  void ExpectLink(const std::string& link, const std::string& step, Finding finding,
                  const std::vector<std::string>& causes);
  /// Runs to the end and expects that nothing is wrong. The output.
  std::string Healthy(std::vector<std::string> words);
  /// "tcp:server=127.0.0.1,port=N"
  std::string At(int port) const { return "tcp:server=127.0.0.1,port=" + std::to_string(port); }

  TemporaryDirectory directory_;
  std::unique_ptr<ChildProcess> server_;
  int port_ = 0;
};

}  // namespace longwire::test

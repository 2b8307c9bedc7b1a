#include "tests/e2e/doctor/doctor_scene.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "proto/error.h"
#include "tests/support/loopback.h"

namespace longwire::test {
namespace {

constexpr std::chrono::seconds kPatience{90};

int ListenOnPath(const std::string& path) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << path;
  EXPECT_EQ(listen(listener, 8), 0);
  return listener;
}

void Send(int peer, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t sent = send(peer, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return;
    done += static_cast<std::size_t>(sent);
  }
}

}  // namespace

FakePeer::FakePeer(Serve serve) {
  listener_ = ListenOnLoopback(8, &port_);
  EXPECT_GE(listener_, 0);
  EXPECT_EQ(pipe2(stop_, O_CLOEXEC), 0);
  thread_ = std::thread([this, serve = std::move(serve)] { Loop(serve); });
}

FakePeer::FakePeer(const std::string& path, Serve serve) : listener_(ListenOnPath(path)) {
  EXPECT_EQ(pipe2(stop_, O_CLOEXEC), 0);
  thread_ = std::thread([this, serve = std::move(serve)] { Loop(serve); });
}

FakePeer::~FakePeer() {
  close(stop_[1]);
  thread_.join();
  close(stop_[0]);
  close(listener_);
}

void FakePeer::Loop(Serve serve) {
  std::vector<int> peers;
  for (;;) {
    pollfd watched[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    if (poll(watched, 2, -1) < 0) continue;
    if (watched[1].revents != 0) break;
    const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) continue;
    serve(peer);
    peers.push_back(peer);
  }
  for (const int peer : peers) close(peer);
}

FakePeer::Serve FakePeer::Say(std::string text) {
  return [text = std::move(text)](int peer) { Send(peer, text); };
}

FakePeer::Serve FakePeer::Answer(std::string text) {
  return [text = std::move(text)](int peer) {
    char first[64];
    if (recv(peer, first, sizeof first, 0) > 0) Send(peer, text);
  };
}

void FakePeer::HangUp(int peer) { shutdown(peer, SHUT_RDWR); }

DoctorScene::DoctorScene() {
  setenv("XDG_CONFIG_HOME", directory_.File("config").c_str(), 1);
  setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
}

void DoctorScene::StartServer(const std::string& transport, std::vector<std::string> more) {
  std::vector<std::string> words = {KDSRV_PATH, "-v", "-t", transport};
  words.insert(words.end(), more.begin(), more.end());
  server_ = std::make_unique<ChildProcess>(words);
  ASSERT_TRUE(server_->WaitFor("listening on ")) << server_->both();
  if (transport.find("port=0") == std::string::npos) return;
  ASSERT_TRUE(server_->WaitFor("Port=")) << server_->both();
  ASSERT_TRUE(server_->WaitFor("\n")) << server_->both();
  const std::string text = server_->both();
  port_ = std::stoi(text.substr(text.find("Port=") + 5));
}

void DoctorScene::Expect(std::vector<std::string> words, const std::string& step, Finding finding,
                         const std::vector<std::string>& causes) {
  ChildProcess doctor(words);
  const auto exit_code = doctor.Wait(kPatience);
  const std::string text = doctor.both();
  SCOPED_TRACE(text);
  const FindingFacts* facts = FactsOf(finding);
  ASSERT_NE(facts, nullptr);
  ASSERT_TRUE(exit_code.has_value()) << "it does not end";
  EXPECT_EQ(*exit_code, ExitCodeFor(facts->code));
  const std::string number = "LW-D" + std::to_string(static_cast<int>(finding));
  std::string head = "FAILED   " + step;
  head.resize(21, ' ');
  EXPECT_THAT(text, testing::HasSubstr(head + number + " " + std::string(facts->name) + ": "));
  EXPECT_THAT(text, testing::HasSubstr("next: " + std::string(facts->next)));
  EXPECT_THAT(text, testing::HasSubstr("The first thing that is wrong: " + step + ", " + number));
  for (const std::string& cause : causes) EXPECT_THAT(text, testing::HasSubstr(cause));
  EXPECT_EQ(text.find("FAILED"), text.rfind("FAILED")) << "more than one step failed";
}

void DoctorScene::ExpectThrough(const std::string& server, const std::string& link, const std::string& step,
                                Finding finding, const std::vector<std::string>& causes) {
  Expect({KD_PATH, "-doctor", "-k", "kdsrv:server=@{" + server + "},trans=@{" + link + "}"}, step, finding,
         causes);
}

void DoctorScene::ExpectLink(const std::string& link, const std::string& step, Finding finding,
                             const std::vector<std::string>& causes) {
  Expect({KD_PATH, "-doctor", "-k", link}, step, finding, causes);
}

std::string DoctorScene::Healthy(std::vector<std::string> words) {
  ChildProcess doctor(words);
  EXPECT_EQ(doctor.Wait(kPatience), 0) << doctor.both();
  return doctor.both();
}

}  // namespace longwire::test

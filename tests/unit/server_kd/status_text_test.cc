#include <gtest/gtest.h>

#include "server/kd/control_socket.h"

namespace longwire {
namespace {

ServerReport Dialling() {
  ServerReport report;
  report.pid = 42;
  report.endpoint = "tcp:Port=1033,CliCon=desk7,Password=*";
  report.state = "dialling desk7 port 1033 (attempt 3: \"refused\")";
  report.next_attempt = std::chrono::milliseconds(3100);
  return report;
}

TEST(StatusText, OfAReverseServerTellsTheAttemptAndWhenTheNextIs) {
  EXPECT_EQ(FormatStatus(Dialling(), false),
            "server 42  tcp:Port=1033,CliCon=desk7,Password=*  dialling desk7 port 1033 (attempt 3: "
            "\"refused\"), next attempt in 4 s\nno link is open\n");
  EXPECT_EQ(
      FormatStatus(Dialling(), true),
      "{\"server\":\"tcp:Port=1033,CliCon=desk7,Password=*\",\"pid\":42,\"state\":\"dialling desk7 port "
      "1033 (attempt 3: \\\"refused\\\")\",\"next_attempt_ms\":3100,\"links\":[]}");
}

TEST(StatusText, ListsTheLinksOfTheServer) {
  ServerReport report = Dialling();
  report.state = "listening";
  report.next_attempt.reset();
  report.links.resize(2);
  report.links[0].link = "com:Port=/dev/ttyS0";
  report.links[1].link = "com:Port=/dev/ttyS1";
  const std::string text = FormatStatus(report, false), json = FormatStatus(report, true);
  EXPECT_NE(text.find("  listening\ncom:Port=/dev/ttyS0  "), std::string::npos) << text;
  EXPECT_NE(text.find("\ncom:Port=/dev/ttyS1  "), std::string::npos) << text;
  EXPECT_NE(json.find("\"state\":\"listening\",\"links\":[{\"link\":\"com:Port=/dev/ttyS0\""),
            std::string::npos)
      << json;
  EXPECT_NE(json.find("]},{\"link\":\"com:Port=/dev/ttyS1\""), std::string::npos) << json;
  EXPECT_EQ(json.substr(json.size() - 4), "]}]}") << json;
}

}  // namespace
}  // namespace longwire

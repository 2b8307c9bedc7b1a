// The recordings of a foreign kernel, when they lie next to the source tree: every packet must decode.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "proto/kd/debug_io.h"
#include "proto/kd/link_machine.h"
#include "proto/kd/manipulate.h"
#include "proto/kd/state_change.h"
#include "tests/unit/proto_kd/worked_packets.h"

namespace longwire::kd::testing {
namespace {

struct Chunk {
  double time = 0;
  bool from_target = false;
  Bytes bytes;
};

std::string Field(const std::string& line, const std::string& key) {
  const std::string mark = "\"" + key + "\": ";
  const auto start = line.find(mark);
  if (start == std::string::npos) return {};
  auto from = start + mark.size();
  if (line[from] != '"') return line.substr(from, line.find_first_of(",}", from) - from);
  ++from;
  return line.substr(from, line.find('"', from) - from);
}

std::vector<Chunk> Load(const std::string& name) {
  std::vector<Chunk> chunks;
  std::ifstream file(std::filesystem::path(LONGWIRE_SOURCE_DIR) / "../shared/captures" / name);
  for (std::string line; std::getline(file, line);) {
    if (Field(line, "hex").empty()) continue;
    chunks.push_back({std::stod(Field(line, "t")), Field(line, "dir") == "t2h", FromHex(Field(line, "hex"))});
  }
  return chunks;
}

TimePoint At(double seconds) {
  return TimePoint(std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6)));
}

class CaptureTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CaptureTest, AllPacketsDecode) {
  const auto chunks = Load(GetParam());
  if (chunks.empty()) GTEST_SKIP() << "recording not present";
  Framer framer(std::chrono::seconds(1));
  std::map<PacketType, int> counts;
  int bad = 0, controls = 0, stops = 0, loads = 0, replies = 0;
  for (const Chunk& chunk : chunks) {
    if (!chunk.from_target) continue;
    framer.Receive(At(chunk.time), chunk.bytes);
    while (auto item = framer.Next()) {
      if (item->kind == Framer::Kind::kBad) ++bad;
      if (item->kind == Framer::Kind::kControl) ++controls;
      if (item->kind != Framer::Kind::kData) continue;
      ++counts[item->type];
      if (item->type == PacketType::kStateChange64) {
        const auto change = DecodeStateChange(item->payload);
        ASSERT_TRUE(change.has_value()) << change.error().message;
        if (std::holds_alternative<ExceptionReport>(change->report)) ++stops;
        if (std::holds_alternative<LoadSymbolsReport>(change->report)) {
          ++loads;
          EXPECT_FALSE(std::get<LoadSymbolsReport>(change->report).path.empty());
        }
        EXPECT_TRUE(DecodeControlReport(Machine::kX86, *change).valid);
        EXPECT_GE(change->program_counter, 0xFFFFFFFF80000000u) << "sign-extended kernel address";
      } else if (item->type == PacketType::kDebugIo) {
        EXPECT_TRUE(DecodeDebugIo(item->payload).has_value());
      } else if (item->type == PacketType::kStateManipulate) {
        const auto reply = DecodeReply(item->payload);
        ASSERT_TRUE(reply.has_value());
        ++replies;
        if (reply->api == Api::kGetVersion) {
          EXPECT_EQ(DecodeVersion(*reply).machine, Machine::kX86);
        }
      } else {
        ADD_FAILURE() << "unexpected packet type " << static_cast<int>(item->type);
      }
    }
  }
  std::printf("%s: %d stops, %d loads, %d replies, %d prints and prompts, %d control packets, %d bad\n",
              GetParam(), stops, loads, replies, counts[PacketType::kDebugIo], controls, bad);
  EXPECT_EQ(bad, 0);
  EXPECT_GT(stops, 5);
  EXPECT_GT(loads, 5);
  EXPECT_GT(replies, 20);
  EXPECT_GT(controls, 50);
}

TEST_P(CaptureTest, TheMachineSurvivesTheTargetsBytes) {
  const auto chunks = Load(GetParam());
  if (chunks.empty()) GTEST_SKIP() << "recording not present";
  LinkMachine machine(Timers::ForPipe());
  machine.Attach(At(0), LinkMachine::AttachMode::kListen);
  std::uint64_t delivered = 0, dropped = 0;
  for (const Chunk& chunk : chunks) {
    if (!chunk.from_target) continue;
    machine.Receive(At(chunk.time), chunk.bytes);
    machine.TakeOutput();
    for (const LinkEvent& event : machine.TakeEvents()) {
      if (event.kind == LinkEvent::Kind::kDataReceived) ++delivered;
      if (event.kind == LinkEvent::Kind::kDropped) ++dropped;
    }
  }
  const LinkCounters& counters = machine.counters();
  EXPECT_EQ(delivered + dropped + counters.duplicates, counters.data_packets_received);
  EXPECT_GT(delivered, 100u);
  EXPECT_EQ(counters.checksum_errors, 0u);
  EXPECT_GE(counters.syncs, 1u);
  EXPECT_FALSE(machine.Attaching());
}

INSTANTIATE_TEST_SUITE_P(Foreign, CaptureTest,
                         ::testing::Values("foreign-i386-session.jsonl", "foreign-i386-retransmission.jsonl"),
                         [](const auto& info) {
                           return std::string(info.index == 0 ? "Session" : "Retransmission");
                         });

}  // namespace
}  // namespace longwire::kd::testing

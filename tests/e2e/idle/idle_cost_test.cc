// What the real kdsrv costs while two hundred links are open and no target answers on any of them.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "tests/e2e/front_door/crowd.h"
#include "tests/e2e/front_door/server_figures.h"
#include "tests/e2e/idle/link_holders.h"
#include "tests/e2e/idle/silent_lines.h"
#include "tests/support/kdsrv_process.h"

namespace longwire::test {
namespace {

/// Wanted is 0.5 %; code that is not optimized takes about three times as long.
#ifdef NDEBUG
constexpr double kMostOfACore = 0.005;
#else
constexpr double kMostOfACore = 0.015;
#endif
/// Links that wait for nobody in particular wake the server together: one by one it would be 30.
constexpr double kWakeUpsASecond = 10;
/// Of resident memory, once everything is open: 1.3 KiB for each link, whatever the time.
constexpr std::size_t kGrowthKibibytes = 256;
constexpr std::chrono::seconds kSettling{20};

std::chrono::seconds Span() {
  const char* seconds = std::getenv("LW_IDLE_SECONDS");
  return std::chrono::seconds(seconds == nullptr ? 60 : std::atoi(seconds));
}

TEST(IdleCost, TwoHundredLinksWithNobodyBehindThem) {
  RaiseDescriptorLimit();
  SilentLines lines;
  lines.AddSockets(120);
  lines.AddTerminals(20);
  lines.AddAbsent(20);
  lines.AddListening(10);
  lines.AddNetworks(20);
  lines.AddPoked(10);
  ASSERT_EQ(lines.links().size(), 200u);
  const TemporaryDirectory state;
  const KdsrvProcess server(KDSRV_PATH, "", state.path());
  ASSERT_NE(server.port(), 0);
  const LinkHolders holders(server.port(), lines.links());
  ASSERT_TRUE(Eventually([&] { return holders.opened() + holders.lost() == lines.links().size(); }))
      << holders.opened() << " links were opened";
  ASSERT_EQ(holders.lost(), 0u);

  std::this_thread::sleep_for(kSettling);
  const std::size_t resident = ResidentKibibytes(server.pid());
  const std::size_t wake_ups = WakeUps(server.pid());
  const double used_before = ProcessorSeconds(server.pid());
  const auto began = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(Span());
  const double used = ProcessorSeconds(server.pid()) - used_before;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - began;
  const std::size_t grown = ResidentKibibytes(server.pid());
  const double woken = static_cast<double>(WakeUps(server.pid()) - wake_ups) / elapsed.count();
  std::cout << "200 links, " << elapsed.count() << " s: " << used << " s of processor time ("
            << 100 * used / elapsed.count() << " % of a core), " << woken << " wake-ups a second, "
            << resident << " KiB resident before, " << grown << " KiB after\n";
  EXPECT_EQ(holders.lost(), 0u);
  EXPECT_LT(used / elapsed.count(), kMostOfACore);
  EXPECT_LT(woken, kWakeUpsASecond);
  EXPECT_LE(grown, resident + kGrowthKibibytes);
}

}  // namespace
}  // namespace longwire::test

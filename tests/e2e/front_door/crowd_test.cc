// Thousands of strangers at the door of the real kdsrv, and one client that is welcome.
#include "tests/e2e/front_door/crowd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <string>
#include <thread>

#include "tests/e2e/front_door/server_figures.h"
#include "tests/e2e/front_door/visit.h"
#include "tests/support/kdsrv_process.h"
#include "transport/candidates.h"

namespace longwire::test {
namespace {

constexpr std::size_t kSilent = 10'000, kTalkers = 1'000, kScans = 2'000;
constexpr std::size_t kGrowthKibibytes = 16u << 10;
/// Those who never speak come in bursts, which push others out sooner than a steady stream of them does.
constexpr std::size_t kBurst = 450;
constexpr std::chrono::milliseconds kBetweenBursts{40};

/// So many that never spoke may stay.
std::size_t MostSilent(Crowd::Source source) {
  const CandidateLimits limits;
  return source == Crowd::Source::kOwnAddress ? limits.silent.per_host : limits.silent.total;
}

struct Siege {
  friend void PrintTo(const Siege& siege, std::ostream* out) { *out << siege.name; }
  const char* name;
  Crowd::Source source;
  const char* password;
};

class FrontDoorCrowd : public testing::TestWithParam<Siege> {
 protected:
  void SetUp() override {
    limit_ = RaiseDescriptorLimit();
    server_ = std::make_unique<KdsrvProcess>(KDSRV_PATH, GetParam().password);
    ASSERT_NE(server_->port(), 0);
    // Everything a first client costs is there already.
    const auto first = Visit(server_->port(), GetParam().password);
    ASSERT_TRUE(first) << first.error().message;
    ForgetPeak(server_->pid());
    resident_ = ResidentKibibytes(server_->pid());
    ASSERT_GT(resident_, 0u);
    ASSERT_TRUE(Eventually([&] { return (descriptors_ = OpenDescriptors(server_->pid())) < 40; }));
    std::cout << "descriptor limits: this test " << limit_ << ", kdsrv" << DescriptorLimit(server_->pid())
              << "\n";
  }

  /// As many as this machine lets one process have.
  std::size_t CrowdSize(std::size_t wanted) const {
    return std::min(wanted, limit_ - std::min<std::size_t>(limit_, 256));
  }

  /// Visits while `attack` runs on another thread, and once more when it is over.
  template <class Attack>
  void VisitDuring(const char* name, Attack attack) {
    std::atomic<bool> over = false;
    std::thread attacker([&] {
      attack();
      over = true;
    });
    std::chrono::milliseconds slowest{0};
    int visits = 0;
    for (bool last = false; !last;) {
      last = over;
      const auto took = Visit(server_->port(), GetParam().password);
      EXPECT_TRUE(took) << name << ": visit " << visits << ": " << took.error().message;
      if (!took) break;
      slowest = std::max(slowest, *took);
      ++visits;
    }
    attacker.join();
    std::cout << name << ": " << visits << " visits of the honest client, the slowest took "
              << slowest.count() << " ms\n";
  }

  std::size_t limit_ = 0, resident_ = 0, descriptors_ = 0;
  std::unique_ptr<KdsrvProcess> server_;
};

TEST_P(FrontDoorCrowd, LeavesRoomForTheHonestClientAndCostsLittle) {
  const std::size_t silent = CrowdSize(kSilent);
  Crowd crowd(server_->port(), GetParam().source), talkers(server_->port(), GetParam().source);
  VisitDuring("silent", [&] {
    for (std::size_t i = 0; i < silent; ++i) {
      if (crowd.Join() < 0) return;
      if (i % kBurst == kBurst - 1) std::this_thread::sleep_for(kBetweenBursts);
    }
  });
  EXPECT_EQ(crowd.size(), silent) << "no connection was refused";
  const std::size_t stay = MostSilent(GetParam().source);
  // Long before the deadline of each has passed.
  EXPECT_TRUE(Eventually([&] { return crowd.dropped() + stay >= silent; }, std::chrono::seconds(5)))
      << crowd.dropped() << " of " << silent << " were dropped";
  EXPECT_LE(OpenDescriptors(server_->pid()), descriptors_ + stay);
  crowd.Leave();
  VisitDuring("garbage", [&] {
    for (unsigned i = 0; i < kTalkers; ++i) {
      const int socket = talkers.Join();
      if (socket < 0) return;
      Crowd::Say(socket, Garbage(i));
    }
  });
  EXPECT_EQ(talkers.size(), kTalkers);
  talkers.Leave();
  VisitDuring("scan", [&] {
    for (std::size_t i = 0; i < kScans; ++i) EXPECT_TRUE(talkers.Scan());
  });
  const std::size_t peak = PeakKibibytes(server_->pid());
  std::cout << silent << " silent, " << kTalkers << " with garbage, " << kScans << " scans: kdsrv grew from "
            << resident_ << " KiB to at most " << peak << " KiB\n";
  EXPECT_GT(peak, 0u) << "kdsrv is gone";
  EXPECT_LT(peak, resident_ + kGrowthKibibytes);
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors(server_->pid()) <= descriptors_; }))
      << OpenDescriptors(server_->pid()) << " descriptors are open, " << descriptors_ << " were before";
}

INSTANTIATE_TEST_SUITE_P(
    Sieges, FrontDoorCrowd,
    testing::Values(Siege{"PasswordManyAddresses", Crowd::Source::kManyAddresses, "RightHorse7"},
                    Siege{"PasswordOwnAddress", Crowd::Source::kOwnAddress, "RightHorse7"},
                    Siege{"OpenManyAddresses", Crowd::Source::kManyAddresses, ""},
                    Siege{"OpenOwnAddress", Crowd::Source::kOwnAddress, ""}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace longwire::test

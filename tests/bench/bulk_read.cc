// A large uncached read through a line of 115200 baud, against what the protocol allows at most.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/support/paced_read.h"

using namespace longwire::test;

namespace {

bool Measure(char variant, std::size_t bytes, const std::string& server) {
  std::vector<double> rates;
  for (int i = 0; i < 3; ++i) {
    std::string error;
    const std::optional<double> rate = PacedReadRate(variant, bytes, server, &error);
    if (!rate) {
      std::fprintf(stderr, "bulk_read: %s\n", error.c_str());
      return false;
    }
    rates.push_back(*rate);
  }
  std::sort(rates.begin(), rates.end());
  std::printf(
      "variant %c, %zu KiB, %s: median of 3 %.0f B/s, %.2f %% of %.0f B/s (lowest %.0f, highest %.0f)\n",
      variant, bytes / 1024, server.empty() ? "in process" : "through kdsrv", rates[1],
      100 * rates[1] / kPacedMaximum, kPacedMaximum, rates.front(), rates.back());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t kibibytes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 256;
  bool good = true;
  for (const char variant : {'a', 'b'}) good = Measure(variant, kibibytes * 1024, KDSRV_PATH) && good;
  return good && Measure('a', kibibytes * 1024, "") ? 0 : 1;
}

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "transport/connection_string.h"
#include "transport/endpoint.h"
#include "transport/kernel_string.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

/// What is printed is read back, and printed the same.
void CheckEndpoint(std::string_view text) {
  using longwire::FormatEndpoint;
  if (auto client = longwire::ParseClientEndpoint(text)) {
    const std::string printed = FormatEndpoint(*client);
    auto again = longwire::ParseClientEndpoint(printed);
    Require(again && FormatEndpoint(*again) == printed);
  }
  if (auto server = longwire::ParseServerEndpoint(text); server && !server->password) {
    const std::string printed = FormatEndpoint(*server);
    auto again = longwire::ParseServerEndpoint(printed);
    Require(again && FormatEndpoint(*again) == printed);
  }
}

void CheckKernelLink(std::string_view text, const longwire::Environment& none) {
  auto link = longwire::ParseKernelLink(text, none);
  if (!link || std::holds_alternative<longwire::NetLink>(*link)) return;
  const std::string printed = longwire::FormatKernelLink(*link);
  auto again = longwire::ParseKernelLink(printed, none);
  Require(again && longwire::FormatKernelLink(*again) == printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  // A file named by the input must not be read: it would make runs differ.
  if (longwire::LowerCase(text).find("file:") != std::string::npos) return 0;
  const longwire::Environment none = [](const std::string&) { return std::nullopt; };
  CheckEndpoint(text);
  CheckKernelLink(text, none);
  if (auto kernel = longwire::ParseKernelString(text)) longwire::FormatSessionName(*kernel, none);
  if (longwire::LostBraces(text)) longwire::RestoreBraces({&text, 1});
  auto quoted = longwire::ParseConnectionString("k:v=" + longwire::QuoteValue(text));
  if (quoted && longwire::QuoteValue(text) != text) Require(*quoted->Find("v")->value == text);
  return 0;
}

#include <cstdlib>
#include <string_view>

#include "server/kd/journal_entry.h"

/// What parses is written and parsed again as the same.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace longwire;
  const auto entry = ParseJournalEntry({reinterpret_cast<const char*>(data), size});
  if (!entry) return 0;
  const std::string text = FormatJournalEntry(*entry);
  const auto again = ParseJournalEntry(text);
  if (!again || FormatJournalEntry(*again) != text) std::abort();
  return 0;
}

#include "transport/password_message.h"
#include "transport/spake2.h"

/// The messages of the password exchange, and any share as the point of a peer.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace longwire;
  std::span rest(reinterpret_cast<const std::byte*>(data), size);
  for (;;) {
    const auto decoded = DecodePasswordMessage(rest);
    if (!decoded || !*decoded) return 0;
    if (const auto* share = std::get_if<PasswordShare>(&(*decoded)->message)) {
      Spake2::Setup setup;
      setup.side = Spake2::Side::kB;
      setup.w.back() = std::byte{1};
      const auto exchange = Spake2::Make(setup);
      if (exchange) (void)exchange->Finish(share->point);
    }
    rest = rest.subspan((*decoded)->size);
  }
}

#include <algorithm>
#include <set>

#include "client/engine/image_plan.h"
#include "client/engine/session.h"

namespace longwire {
namespace {

constexpr std::uint64_t kWindowBytes = 4096;

/// What one walk reads, arranged so that it needs few round trips: the stack comes in windows, the first one
/// while the module list is looked at; when a frame lies in an image whose tables are not on this machine,
/// the functions of all words of the window are looked up at once.
class WalkReader {
 public:
  WalkReader(Session& session, std::uint64_t stack) : session_(session), stack_(stack) { OpenWindow(stack); }

  UnwindSource Source() {
    UnwindSource source;
    source.find_module = [this](std::uint64_t address) -> std::optional<UnwindModule> {
      Module* module = session_.modules().FindByAddress(address);
      if (!module) return std::nullopt;
      return UnwindModule{module->base(), module->size()};
    };
    source.read_image = [this](std::uint64_t base, std::uint32_t rva,
                               std::span<std::byte> out) -> std::size_t {
      Module* module = session_.modules().FindByAddress(base);
      return module ? session_.symbols().loader().ReadImage(*module, rva, out) : 0;
    };
    source.read_memory = [this](std::uint64_t address, std::span<std::byte> out) {
      if (!session_.modules().FindByAddress(address)) {
        stack_ = address;
        if (!InWindow(address, out.size())) OpenWindow(address);
      }
      return Read(address, out);
    };
    source.exception_directory =
        [this](std::uint64_t base) -> std::optional<std::pair<std::uint32_t, std::uint32_t>> {
      Module* module = session_.modules().FindByAddress(base);
      if (!module) return std::nullopt;
      Result<const PeHeaders*> headers = session_.symbols().loader().Headers(*module);
      if (!headers || (*headers)->directories.size() <= 3) return std::nullopt;
      PeDirectory directory = (*headers)->directories[3];
      if (directory.rva == 0 || directory.size == 0) return std::nullopt;
      return std::pair(directory.rva, directory.size);
    };
    source.find_function = [this](std::uint64_t base, std::uint32_t rva) { return finder_.Find(base, rva); };
    // More than an epilog is never needed, and the rest would cost another round trip.
    source.read_code = [this](std::uint64_t address, std::span<std::byte> out) -> std::size_t {
      out = out.first(std::min<std::size_t>(out.size(), FunctionFinder::kCodeBytes));
      Module* module = session_.modules().FindByAddress(address);
      if (module && LocalImage(*module)) {
        return session_.symbols().loader().ReadImage(
            *module, static_cast<std::uint32_t>(address - module->base()), out);
      }
      return Read(address, out);
    };
    source.prepare = [this](std::uint64_t base, std::uint32_t rva) { Prepare(base, rva); };
    return source;
  }

 private:
  bool InWindow(std::uint64_t address, std::size_t size) const {
    return address >= window_ && address - window_ < kWindowBytes &&
           size <= kWindowBytes - (address - window_);
  }
  /// Starts reading what is not known of the stack from here on.
  void OpenWindow(std::uint64_t address) {
    window_ = address & ~std::uint64_t{7};
    const rpc::ReadRange range{window_, kWindowBytes};
    session_.target().Prefetch(session_.address_space(), std::span(&range, 1));
  }

  std::size_t Read(std::uint64_t address, std::span<std::byte> out) {
    Result<std::size_t> read = session_.Read(address, out);
    return read ? *read : 0;
  }

  bool LocalImage(Module& module) {
    if (module.image()) return true;
    if (session_.symbols().loader().image_path().elements().empty()) return false;
    return session_.symbols().loader().Headers(module) && module.image();
  }

  /// Images without a file here that words of the window point into, the one asked for first.
  std::vector<Module*> ImagesOf(std::uint64_t base, std::span<const std::byte> window) {
    std::vector<Module*> images;
    std::set<Module*> seen;
    auto add = [&](Module* module) {
      if (module && seen.insert(module).second && !LocalImage(*module)) images.push_back(module);
    };
    add(session_.modules().FindByAddress(base));
    for (std::size_t i = 0; i + 8 <= window.size(); i += 8) {
      std::uint64_t word = 0;
      for (unsigned byte = 8; byte-- > 0;)
        word = word << 8 | std::to_integer<std::uint64_t>(window[i + byte]);
      add(session_.modules().FindByAddress(word));
    }
    return images;
  }

  void Prepare(std::uint64_t base, std::uint32_t rva) {
    if (session_.architecture() != Architecture::kAmd64 || finder_.Find(base, rva)) return;
    Module* module = session_.modules().FindByAddress(base);
    if (!module || LocalImage(*module) || !tried_.insert({base, rva}).second) return;
    if (!InWindow(stack_, 8)) OpenWindow(stack_);
    const std::uint64_t start = stack_ & ~std::uint64_t{7};
    std::vector<std::byte> window(kWindowBytes - (start - window_));
    window.resize(Read(start, window));
    std::vector<Module*> images = ImagesOf(base, window);
    std::vector<ImageRange> ranges;
    for (Module* image : images) ranges.push_back({image->base(), image->size()});
    // Without an answer the walk reads the tables itself: slower, not wrong.
    (void)finder_.Prepare(session_.target(), ranges, session_.Unidentified(images), base + rva, start,
                          window.size() / 8);
  }

  Session& session_;
  std::uint64_t stack_;       ///< last stack address read
  std::uint64_t window_ = 0;  ///< where the part of the stack begins that was asked for last
  FunctionFinder finder_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> tried_;
};

}  // namespace

Result<std::vector<StackFrame>> Session::Walk(const RegisterSet& from, std::size_t maximum) {
  WalkReader reader(*this, from.stack_pointer());
  if (Result<void> refreshed = RefreshModules(false);
      !refreshed && refreshed.error().code == Errc::kCancelled) {
    return refreshed.error();
  }
  std::vector<StackFrame> frames = WalkStack(from, reader.Source(), maximum);
  if (interrupt_.raised()) return Error{Errc::kCancelled, "cancelled by the user"};
  return frames;
}

}  // namespace longwire

#pragma once

#include <unistd.h>

#include <utility>

namespace longwire {

/// Owns a file descriptor of the system; negative means none, as the calls that make one say.
class ScopedDescriptor {
 public:
  ScopedDescriptor() = default;
  explicit ScopedDescriptor(int descriptor) : descriptor_(descriptor) {}
  ScopedDescriptor(ScopedDescriptor&& other) noexcept : descriptor_(other.Release()) {}
  ScopedDescriptor& operator=(ScopedDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~ScopedDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  int get() const { return descriptor_; }
  /// The caller closes it from here on.
  int Release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

}  // namespace longwire

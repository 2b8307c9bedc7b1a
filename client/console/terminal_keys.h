#pragma once

#include <array>

namespace longwire {

/// As long as it lives, the terminal behind a descriptor hands over the control keys of kd that its line
/// discipline would act on (Ctrl-D, Ctrl-R, Ctrl-V, Ctrl-W): they are characters of the line. Does nothing
/// for other files, and while another program has the terminal. Does not own the descriptor.
class TerminalKeys {
 public:
  explicit TerminalKeys(int descriptor);
  ~TerminalKeys();
  TerminalKeys(const TerminalKeys&) = delete;
  TerminalKeys& operator=(const TerminalKeys&) = delete;

 private:
  int descriptor_;
  bool taken_ = false;
  std::array<unsigned char, 4> before_{};
};

}  // namespace longwire

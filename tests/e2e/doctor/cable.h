#pragma once

#include <string>
#include <thread>

namespace longwire::test {

/// A pty: the slave is the serial device, the master the cable.
class Cable {
 public:
  Cable();
  Cable(const Cable&) = delete;
  Cable& operator=(const Cable&) = delete;
  ~Cable();

  const std::string& device() const { return device_; }
  int master() const { return master_; }
  int keeper() const { return keeper_; }  ///< the test's own descriptor of the device

 private:
  int master_ = -1, keeper_ = -1;
  std::string device_;
};

/// Carries bytes between the masters of two cables, or back into the same one, until it goes.
class Wire {
 public:
  Wire(const Cable& one, const Cable& other);
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  ~Wire();

 private:
  int stop_[2] = {-1, -1};
  std::thread thread_;
};

}  // namespace longwire::test

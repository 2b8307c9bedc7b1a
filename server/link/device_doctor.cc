#include "server/link/device_doctor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "transport/open_files.h"
#include "transport/serial_doctor.h"

namespace longwire {
namespace {

bool ExamineSocket(const std::string& path, Diagnosis& diagnosis) {
  diagnosis.Ok(DoctorStep::kDevice, path + " is a Unix socket");
  if (!ExaminePermission(path, W_OK, diagnosis)) return false;
  const std::size_t others = ConnectionsOfSocket(ReadProcFile("/proc/net/unix"), path);
  if (others > 0) {
    diagnosis.Warn(DoctorStep::kUse, "another program is connected to " + path +
                                         "; a virtual machine serves one at a time and lets the next wait");
  } else {
    diagnosis.Ok(DoctorStep::kUse, "nobody else is connected");
  }
  return true;
}

}  // namespace

bool ExamineFirewire(const std::vector<std::string>& devices, Diagnosis& diagnosis) {
  if (devices.empty()) {
    diagnosis.Fail(DoctorStep::kDevice, Finding::kControllerMissing,
                   "this machine has no IEEE 1394 controller: there is no /dev/fw*");
    return false;
  }
  diagnosis.Ok(DoctorStep::kDevice, std::to_string(devices.size()) + " node" +
                                        (devices.size() == 1 ? "" : "s") +
                                        " on the 1394 bus, this machine among them: " + devices.front() +
                                        (devices.size() == 1 ? "" : " to " + devices.back()));
  // The file of a node belongs to whom its kind calls for, so each may be another's.
  const auto closed = std::find_if(devices.begin(), devices.end(),
                                   [](const std::string& path) { return !MayUse(path, R_OK | W_OK); });
  return ExaminePermission(closed == devices.end() ? devices.front() : *closed, R_OK | W_OK, diagnosis);
}

bool ExamineDevice(const ComLink& link, Diagnosis& diagnosis) {
  if (link.kind == ComLink::Kind::kTcp || link.listen) {
    diagnosis.Ok(DoctorStep::kDevice, link.kind == ComLink::Kind::kTcp
                                          ? "a serial line over tcp" +
                                                std::string(link.listen ? ", dialled by the other side" : "")
                                          : "a pipe that the virtual machine connects to");
    diagnosis.Skip(DoctorStep::kPermission, "no device of this machine");
    return true;
  }
  if (link.kind == ComLink::Kind::kDevice) return ExamineSerialLine(link.path, link.baud, diagnosis);
  struct stat found {};
  if (::stat(link.path.c_str(), &found) != 0) {
    if (errno == EACCES) {
      FailHiddenPath(link.path, diagnosis);
    } else {
      diagnosis.Fail(DoctorStep::kDevice, Finding::kSocketMissing, "there is no pipe " + link.path);
    }
    return false;
  }
  if (S_ISCHR(found.st_mode)) return ExamineSerialLine(link.path, 0, diagnosis);
  if (S_ISSOCK(found.st_mode)) return ExamineSocket(link.path, diagnosis);
  diagnosis.Fail(
      DoctorStep::kDevice, Finding::kNotSocket,
      link.path + (S_ISDIR(found.st_mode) ? " is a directory" : " is neither a Unix socket nor a pty"));
  return false;
}

}  // namespace longwire

#include "transport/serial_doctor.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "transport/open_files.h"
#include "transport/scoped_descriptor.h"
#include "transport/serial_line.h"

namespace longwire {
namespace {

constexpr std::size_t kMostNamed = 8;

std::string UserName(uid_t user) {
  passwd entry{};
  passwd* found = nullptr;
  char text[4096];
  if (::getpwuid_r(user, &entry, text, sizeof text, &found) == 0 && found) return found->pw_name;
  return std::to_string(user);
}

std::string GroupName(gid_t group) {
  struct group entry {};
  struct group* found = nullptr;
  char text[4096];
  if (::getgrgid_r(group, &entry, text, sizeof text, &found) == 0 && found) return found->gr_name;
  return std::to_string(group);
}

/// Serial devices of this machine, so that a wrong name is seen at a glance.
std::string SerialDevices() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (std::filesystem::directory_iterator at("/dev", ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    const std::string name = at->path().filename().string();
    for (const char* prefix : {"ttyUSB", "ttyACM", "ttyAMA", "ttyS"}) {
      if (name.starts_with(prefix)) names.push_back("/dev/" + name);
    }
  }
  if (names.empty()) return "this machine has no serial device";
  std::sort(names.begin(), names.end());
  const bool more = names.size() > kMostNamed;
  if (more) names.resize(kMostNamed);
  std::string text = "this machine has: ";
  for (const std::string& name : names) text += (text.back() == ' ' ? "" : ", ") + name;
  return text + (more ? ", ..." : "");
}

/// "/dev/ttyUSB0 belongs to root:dialout, mode 0660; user joe may not use it, members of dialout may".
std::string DescribePermissions(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return path + ": " + std::strerror(errno);
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(found.st_mode & 07777));
  const std::string group = GroupName(found.st_gid);
  const bool helps = (found.st_mode & S_IWGRP) != 0;
  return path + " belongs to " + UserName(found.st_uid) + ":" + group + ", mode " + mode + "; user " +
         UserName(::geteuid()) + " may not use it, " +
         (helps ? "members of the group " + group + " may" : "nor does a group help");
}

void FailInUse(const std::string& path, Diagnosis& diagnosis) {
  const std::string users = UsersOfDevice(path);
  diagnosis.Fail(DoctorStep::kUse, Finding::kUsedByProgram,
                 path + " is in use by " + (users.empty() ? "another program" : users));
}

bool ExamineTerminal(const std::string& path, std::uint32_t baud, Diagnosis& diagnosis) {
  const bool may = MayUse(path, R_OK | W_OK);
  // Opened only for a look; nothing is set before it is known to be free.
  ScopedDescriptor line(may ? ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1);
  const int number = errno;
  if (line.get() >= 0 && ::isatty(line.get()) == 0) {
    diagnosis.Fail(DoctorStep::kDevice, Finding::kNotSerialLine, path + " is a device, but no serial line");
    return false;
  }
  if (may && line.get() < 0 && number != EBUSY) {
    diagnosis.Fail(DoctorStep::kDevice, Finding::kLinkFailed,
                   path + " cannot be opened: " + std::strerror(number));
    return false;
  }
  diagnosis.Ok(DoctorStep::kDevice, path + " is a serial line");
  if (!ExaminePermission(path, R_OK | W_OK, diagnosis)) return false;
  if (line.get() < 0 || ::flock(line.get(), LOCK_EX | LOCK_NB) != 0) {
    FailInUse(path, diagnosis);
    return false;
  }
  line = ScopedDescriptor();  // its lock would be in the way of the next
  const auto opened = OpenSerialLine(path, baud);
  if (!opened && opened.error().code == Errc::kLinkInUse) {
    FailInUse(path, diagnosis);
    return false;
  }
  if (!opened) {
    const bool speed = opened.error().os_error == EINVAL;
    diagnosis.Fail(DoctorStep::kDevice, speed ? Finding::kSpeedUnsupported : Finding::kLinkFailed,
                   opened.error().message);
    return false;
  }
  ::close(*opened);
  if (const std::string users = UsersOfDevice(path); !users.empty()) {
    diagnosis.Warn(DoctorStep::kUse, "also open in " + users + ", which may take bytes away");
  } else {
    diagnosis.Ok(DoctorStep::kUse, "nobody else has it open");
  }
  return true;
}

}  // namespace

bool MayUse(const std::string& path, int mode) {
  return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0;
}

bool ExaminePermission(const std::string& path, int mode, Diagnosis& diagnosis) {
  if (MayUse(path, mode)) {
    diagnosis.Ok(DoctorStep::kPermission, "user " + UserName(::geteuid()) + " may use it");
    return true;
  }
  diagnosis.Fail(DoctorStep::kPermission, Finding::kNoPermission, DescribePermissions(path));
  return false;
}

void FailHiddenPath(const std::string& path, Diagnosis& diagnosis) {
  diagnosis.Ok(DoctorStep::kDevice, path);
  diagnosis.Fail(DoctorStep::kPermission, Finding::kNoPermission,
                 "user " + UserName(::geteuid()) + " may not enter the directory of " + path);
}

bool ExamineSerialLine(const std::string& path, std::uint32_t baud, Diagnosis& diagnosis) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) {
    if (S_ISCHR(found.st_mode)) return ExamineTerminal(path, baud, diagnosis);
    diagnosis.Fail(DoctorStep::kDevice, Finding::kNotSerialLine,
                   path + (S_ISSOCK(found.st_mode)  ? " is a Unix socket, not a serial device"
                           : S_ISDIR(found.st_mode) ? " is a directory"
                                                    : " is a file, not a serial device"));
  } else if (errno == EACCES) {
    FailHiddenPath(path, diagnosis);
  } else {
    diagnosis.Fail(DoctorStep::kDevice, Finding::kDeviceMissing,
                   "there is no device " + path + "; " + SerialDevices());
  }
  return false;
}

}  // namespace longwire

#include "transport/pipe_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "transport/endpoint_pipe.h"

namespace longwire {

Result<void> PreparePipeDirectory(const Environment& environment) {
  const std::string directory = PipeDirectory(environment);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error{Errc::kIo, "Cannot create " + directory + ": " + std::strerror(errno) + ".", 0, errno};
  }
  struct stat found {};
  if (::lstat(directory.c_str(), &found) != 0) {
    return Error{Errc::kIo, "Cannot look at " + directory + ": " + std::strerror(errno) + ".", 0, errno};
  }
  if (!S_ISDIR(found.st_mode) || found.st_uid != ::geteuid() || (found.st_mode & 077) != 0) {
    return Error{Errc::kIo,
                 directory + " is not a directory that only this user can enter; remove it and try again."};
  }
  return {};
}

}  // namespace longwire

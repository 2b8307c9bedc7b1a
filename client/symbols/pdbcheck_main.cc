// lw-pdbcheck FILE: reads all of a PDB so that kd need not find out itself whether that is safe. Started by
// OpenPdb(). Exit codes: 0 everything was read, 1 not a usable PDB (the reason is on stdout), 2 usage; a
// signal: damaged.
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>

#include "client/symbols/pdb_file.h"

namespace {

// A damaged file must not take the machine with it. Sanitizers reserve terabytes of address space, so not
// there.
void LimitMemory(const char* path) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  struct stat status {};
  if (::stat(path, &status) != 0) return;
  const rlim_t limit = (rlim_t{512} << 20) + 8 * static_cast<rlim_t>(status.st_size);
  const rlimit bound{limit, limit};
  ::setrlimit(RLIMIT_AS, &bound);
#else
  (void)path;
#endif
  const rlimit seconds{120, 120};  // when nobody is left to end it
  ::setrlimit(RLIMIT_CPU, &seconds);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: lw-pdbcheck FILE\n", stderr);
    return 2;
  }
  LimitMemory(argv[1]);
  const auto read = longwire::ReadWholePdb(argv[1]);
  if (!read) {
    std::fputs(read.error().message.c_str(), stdout);
    std::fflush(stdout);
  }
  // Nothing to tidy up: the process was made to be thrown away.
  std::_Exit(read ? 0 : 1);
}

#include "client/options/kd_options.h"

namespace longwire {

std::string_view KdUsage() {
  return R"(usage: kd [options] [-k LINK]        kernel debugger

  -k LINK             kernel connection; single-quote it. Without LINK (then last) or without -k:
                      from the environment (_NT_DEBUG_PORT, _NT_DEBUG_BAUD_RATE, _NT_DEBUG_BUS)
      'com:port=com1,baud=115200'                 serial port of this machine (or port=/dev/ttyUSB0)
      'com:pipe,port=\\.\pipe\vm1,resets=0,reconnect'   virtual machine's pipe, or port=/PATH of its socket
      'com:ipport=4000,port=10.0.0.9'             serial port over TCP
      'gdb:server=10.0.0.9,port=1234'             gdb stub of a virtual machine; also -kx 'exdi:gdb=HOST:PORT'
      'net:port=50000,key=1.2.3.4'                network (KDNET), or key=file:/PATH
      'kdsrv:server=@{tcp:server=HOST,port=N,password=P},trans=@{com:port=com1,baud=115200}'
                                                  link opened by a kdsrv on HOST
      '1394:channel=9'                            IEEE 1394, experimental
      'dump:file=PATH', 'replay:file=PATH'        crash dump, recorded session
      @FILE                                       first line of FILE, which hides passwords from ps
  -z FILE             open a kernel crash dump or a user minidump
  -b                  break in as soon as the session begins, and again after each reboot
  -d / -x             break after each reboot, at the first module / like -b, then run
  -bonc               break in as soon as the session begins
  -c 'COMMANDS'       run COMMANDS at start; ';' separates
  -cf FILE            start-up script
  -y / -i PATH        symbol, image path; entries separated by ';', for example -y 'srv*/tmp/sym'
  -n -lines           symbols: noisy; source lines
  -ee masm            default expression evaluator
  -v -kqm             verbose: module loads and unloads are shown; quiet
  -noshell            forbid .shell
  --wait SECONDS      give up when no target stopped
  --observe           watch: see stops and output, drive nothing
  --take / --queue    somebody drives the link: take over from him / wait in line, Ctrl-C leaves it
  --since AGE|all     show what the target printed before: 90s, 10m, 2h, 1d
  --resume-wait SEC   dial a lost connection again for so long (120); 0 does not
  --json              machine-readable output of commands
  -QR HOST [--json]   list the servers of HOST, then exit; stands alone. Another machine is asked through ssh
                      (_DBG_PIPE_RSH replaces the command); -QRa also shows servers that ended
  -logo FILE          write a log; -loga appends, -logou and -logau write UTF-16
  -srcpath PATH       source path, as .srcpath shows it
  -doctor             examine the connection of -k step by step, say what is wrong first and what to do, then
                      exit; with --json as one object. See docs/errors.md
  -version, -?        version; this text

Refused, because not supported yet: -server -remote -kl -zp -cfr -secure -noio -iu -wake
Accepted with a warning, without effect yet: -m -myob -aEXT -s -r -t -clines -failinc -sflags
-sdce -ses -sicv -sins -snc -snul -sup

Options start with - or /. Passwords: password=file:PATH or password=env:VAR keep them out of the process list.
Exit codes: 0 success, 1 failure, 2 usage, 3 authentication refused, 4 unreachable or timed out,
5 protocol version mismatch, 6 link failure, 130 interrupted.
)";
}

}  // namespace longwire

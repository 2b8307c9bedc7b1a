// A driver with a very large function table, loaded on command. Stops in the debugger below one of its functions.
#include "tests/target/nt/ntddk.h"

void CrowdMiddle(void);

volatile ULONG g_CrowdStops;

__attribute__((noinline)) void CrowdStop(void) {
  DbgBreakPoint();
  ++g_CrowdStops;
}

NTSTATUS DriverEntry(DRIVER_OBJECT* DriverObject, UNICODE_STRING* RegistryPath) {
  (void)DriverObject;
  (void)RegistryPath;
  CrowdMiddle();
  return g_CrowdStops > 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

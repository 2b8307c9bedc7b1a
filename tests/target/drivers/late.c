// A driver that comes and goes: loaded and unloaded on command while a debugger watches.
#include "tests/target/nt/ntddk.h"

typedef struct _LATE_STATE {
  ULONG Loads;
  ULONG64 Cookie;
  DRIVER_OBJECT* Driver;
} LATE_STATE;

LATE_STATE g_LateState;

__attribute__((noinline)) ULONG LateCompute(ULONG Input) {
  g_LateState.Cookie = Input * 3ull;
  return Input + 1;
}

static void LateUnload(DRIVER_OBJECT* DriverObject) {
  g_LateState.Driver = NULL;
  (void)DriverObject;
}

NTSTATUS DriverEntry(DRIVER_OBJECT* DriverObject, UNICODE_STRING* RegistryPath) {
  (void)RegistryPath;
  DriverObject->DriverUnload = LateUnload;
  g_LateState.Driver = DriverObject;
  g_LateState.Loads += LateCompute(41) - 41;
  DbgPrint("late: loaded, cookie %llx\n", g_LateState.Cookie);
  return STATUS_SUCCESS;
}

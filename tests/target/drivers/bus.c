// A quiet driver: two threads that wait, one of them on an event it owns, and a table of children.
#include "tests/target/nt/ntddk.h"

typedef enum _BUS_CHILD_STATE { BusEmpty, BusPresent, BusFailed } BUS_CHILD_STATE;

typedef struct _BUS_CHILD {
  BUS_CHILD_STATE State;
  USHORT Vendor;
  USHORT Product;
  PVOID Paged;
} BUS_CHILD;

KEVENT g_BusEvent;
KEVENT g_BusDone;
BUS_CHILD g_BusChildren[8];
volatile ULONG g_BusScans;

__attribute__((noinline)) static void BusScan(ULONG Round) {
  for (ULONG i = 0; i < 8; ++i) {
    g_BusChildren[i].State = (i + Round) % 3 == 0 ? BusPresent : BusEmpty;
    g_BusChildren[i].Vendor = (USHORT)(0x1000 + i);
    g_BusChildren[i].Paged = (UCHAR*)MmGetPagedPoolSample() + i % 4 * 0x1000;
  }
  ++g_BusScans;
}

static void BusWaiter(PVOID Context) {
  (void)Context;
  for (ULONG round = 0;; ++round) {
    KeWaitForSingleObject(&g_BusEvent, Executive, KernelMode, FALSE);
    BusScan(round);
  }
}

static void BusIdle(PVOID Context) { KeWaitForSingleObject(Context, WrExecutive, KernelMode, TRUE); }

NTSTATUS DriverEntry(DRIVER_OBJECT* DriverObject, UNICODE_STRING* RegistryPath) {
  (void)RegistryPath;
  DriverObject->DeviceObject = g_BusChildren;
  KeInitializeEvent(&g_BusEvent, EventSynchronizationObject, TRUE);
  KeInitializeEvent(&g_BusDone, EventNotificationObject, FALSE);
  PsCreateSystemThread(BusWaiter, NULL);
  PsCreateSystemThread(BusIdle, &g_BusDone);
  return STATUS_SUCCESS;
}

// The demo driver: a worker thread that polls the mailbox each tick and does a batch of work every fifth
// tick.
#include "tests/target/drivers/demo.h"

#include "tests/target/hal/hal.h"

volatile ULONG g_Command;
volatile ULONG64 g_CommandArgument;
volatile ULONG g_CommandsDone;
volatile ULONG64 g_Ticks;
volatile ULONG64 g_Total;
DEMO_DEVICE g_Device;
DEMO_DEVICE* g_DeviceList = &g_Device;
static const WCHAR kDeviceName[] = L"\\Device\\Demo0";

__attribute__((noinline)) static void DemoTick(ULONG64 Tick) {
  g_Total += DemoRunBatch(&g_Device, 3 + (ULONG)(Tick & 3));
  g_Total += DemoLocals(&g_Device, (ULONG)Tick, 'a');
  g_Device.Flags.Generation = (UCHAR)Tick;
}

__attribute__((noinline)) static void DemoWorker(PVOID Context) {
  DEMO_DEVICE* device = Context;
  for (;;) {
    KeDelayExecutionThread(1);
    ++g_Ticks;
    if (g_Command != DemoNone) DemoServeCommand();
    if (g_Ticks % 5 == 0) DemoTick(device->Processed);
  }
}

static void InitializeDevice(DEMO_DEVICE* Device) {
  Device->Type = 3;
  Device->Size = sizeof(*Device);
  InitializeListHead(&Device->Requests);
  Device->Name.Buffer = (WCHAR*)kDeviceName;
  Device->Name.Length = sizeof(kDeviceName) - 2;
  Device->Name.MaximumLength = sizeof(kDeviceName);
  Device->Flags.Busy = 1;
  Device->Flags.QueueDepth = 21;
  Device->Flags.Signed = -3;
  Device->State = DemoStarted;
  for (ULONG i = 0; i < 4; ++i) Device->Slots[i] = 0x11 * (i + 1);
  for (ULONG i = 0; i < 6; ++i) Device->Matrix[i / 3][i % 3] = 100 + i;
  Device->Tag = 'a';
  Device->Ready = TRUE;
  Device->Letter = L'W';
  memcpy(Device->Label, "demo device", 12);
  Device->Started.QuadPart = 0x123456789ABCll;
  Device->Balance = -12345;
  Device->Slots[3] = HalGetProcessorFeature(7);
  for (ULONG i = 0; i < 3; ++i) {
    DEMO_REQUEST* request = ExAllocatePoolWithTag(0, sizeof(DEMO_REQUEST), 'omeD');
    memset(request, 0, sizeof(*request));
    request->Id = i + 1;
    request->Tag = (CHAR)('x' + i);
    request->Delta = (SHORT)(i * -2);
    request->u.Address = 0x1122334455667788ull + i;
    InsertTailList(&Device->Requests, &request->Link);
  }
}

NTSTATUS DriverEntry(DRIVER_OBJECT* DriverObject, UNICODE_STRING* RegistryPath) {
  (void)RegistryPath;
  InitializeDevice(&g_Device);
  DriverObject->DeviceObject = &g_Device;
  ETHREAD* thread = PsCreateSystemThread(DemoWorker, &g_Device);
  g_Device.Owner = &thread->Tcb;
  return STATUS_SUCCESS;
}

// The mailbox is a plain integer; this brings the names of its values into the PDB.
const DEMO_COMMAND g_FirstCommand = DemoPrint;

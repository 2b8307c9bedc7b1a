// Work worth stepping through: nested calls with saved registers, a large frame, a frame pointer, a loop; and
// the commands of the mailbox.
#include "tests/target/drivers/demo.h"
#include "tests/target/hal/hal.h"

CHAR g_Answer[516];
ULONG g_AnswerLength;
volatile ULONG64 g_FaultsHandled;
ULONG64* volatile g_BadAddress = (ULONG64*)0xFFFFDEAD00001000ull;
static KLDR_DATA_TABLE_ENTRY* g_LateDriver;

__attribute__((noinline)) ULONG64 DemoLeaf(ULONG64 Value, ULONG Shift) {
  return (Value << (Shift & 7)) ^ 0x5A5A;
}

__attribute__((noinline)) static ULONG64 DemoTransform(const DEMO_REQUEST* Request, ULONG64 Seed, ULONG Mode,
                                                       ULONG64 Extra, ULONG64 More) {
  ULONG64 a = Seed + Request->Id, b = Extra * 3, c = More ^ Seed, d = Request->u.Address;
  for (ULONG i = 0; i < 4; ++i) {
    a += DemoLeaf(b + i, Mode);
    b ^= DemoLeaf(c, i);
    c += DemoLeaf(d, Mode + i);
    d = (d >> 1) | (a << 63);
  }
  return a + b + c + d;
}

// The frame is larger than a page and of run-time size: the compiler needs a frame pointer and __chkstk.
__attribute__((noinline)) static ULONG64 DemoProcess(DEMO_DEVICE* Device, DEMO_REQUEST* Request,
                                                     ULONG Count) {
  UCHAR scratch[5000];
  ULONG64* values = __builtin_alloca(Count * sizeof(ULONG64) + 16);
  memset(scratch, (int)Count, sizeof(scratch));
  for (ULONG i = 0; i < Count; ++i) {
    values[i] = DemoTransform(Request, i, Device->Flags.QueueDepth, scratch[i * 7 % sizeof(scratch)],
                              Device->Processed);
  }
  ULONG64 sum = 0;
  for (ULONG i = 0; i < Count; ++i) sum += values[i];
  HalStallExecution(10);
  return sum + scratch[Count];
}

__attribute__((noinline)) static void DemoComplete(DEMO_DEVICE* Device, DEMO_REQUEST* Request,
                                                   ULONG64 Result) {
  Request->Values[Device->Processed & 3] = Result;
  ++Device->Processed;
}

ULONG64 DemoRunBatch(DEMO_DEVICE* Device, ULONG Count) {
  ULONG64 total = 0;
  for (LIST_ENTRY* at = Device->Requests.Flink; at != &Device->Requests; at = at->Flink) {
    DEMO_REQUEST* request = CONTAINING_RECORD(at, DEMO_REQUEST, Link);
    ULONG64 result = DemoProcess(Device, request, Count);
    DemoComplete(Device, request, result);
    total += result;
  }
  return total;
}

__attribute__((noinline)) static ULONG64 DemoTouch(ULONG64* Address) {
  ULONG64 value = *(volatile ULONG64*)Address;
  return value + 1;
}

static void Prompt(void) {
  g_AnswerLength = DbgPrompt("Demo driver asks (boi)? ", g_Answer, 512);
  if (g_AnswerLength > 512) g_AnswerLength = 512;
  g_Answer[g_AnswerLength] = 0;
  DbgPrint("demo: answer of %u characters: %s\n", g_AnswerLength, g_Answer);
}

static void PrintLong(void) {
  CHAR text[704];
  for (ULONG i = 0; i < 699; ++i) text[i] = (CHAR)('0' + i % 10);
  text[699] = '\n';
  text[700] = 0;
  DbgPrint("%s", text);
}

static void LoadLate(BOOLEAN Remote) {
  NTSTATUS status = MmLoadSystemImage(LW_LATE_DRIVER, Remote, &g_LateDriver);
  DbgPrint("demo: load of %s: %08x\n", LW_LATE_DRIVER, (ULONG)status);
}

void DemoServeCommand(void) {
  ULONG64 argument = g_CommandArgument;
  ULONG command = g_Command;
  g_Command = DemoNone;
  switch (command) {
    case DemoPrint:
      DbgPrint("demo: print %llu\n", argument);
      break;
    case DemoPrompt:
      Prompt();
      break;
    case DemoBreak:
      DbgBreakPoint();
      break;
    case DemoBugCheck:
      KeBugCheckEx((ULONG)argument, 1, 2, 3, 4);
    case DemoFaultHandled: {
      ULONG64 value;
      if (!MmGuardedRead(g_BadAddress, &value)) ++g_FaultsHandled;
      break;
    }
    case DemoFaultUnhandled:
      g_CommandArgument = DemoTouch(g_BadAddress);
      break;
    case DemoLoadDriver:
    case DemoLoadDriverRemote:
      LoadLate(command == DemoLoadDriverRemote);
      break;
    case DemoUnloadDriver:
      if (g_LateDriver != NULL) MmUnloadSystemImage(g_LateDriver);
      g_LateDriver = NULL;
      break;
    case DemoPrintBurst:
      for (ULONG64 i = 0; i < argument; ++i) DbgPrint("demo: burst %llu of %llu\n", i + 1, argument);
      break;
    case DemoSpawnProcesses:
      PsCreateExtraProcesses(argument < 1000 ? (ULONG)argument : 1000);
      break;
    case DemoReset:
      HalReturnToFirmware(1);
      break;
    case DemoLoadCrowd: {
      KLDR_DATA_TABLE_ENTRY* crowd;
      MmLoadSystemImage(LW_CROWD_DRIVER, FALSE, &crowd);
      break;
    }
    case DemoPrintLong:
      PrintLong();
      break;
    case DemoAssert:
      __asm__ volatile("int $0x2C");
      break;
    case DemoDivide:
      __asm__ volatile("divl %%ecx" ::"a"(1), "d"(0), "c"(0));
      break;
  }
  ++g_CommandsDone;
}

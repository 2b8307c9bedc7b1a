// The end of the machine: bug checks and resets.
#include "tests/target/nt/kernel.h"

ULONG64 KiBugCheckData[5];
CONTEXT KiSavedContext;

void HalReturnToFirmware(ULONG Action) {
  (void)Action;
  DisableInterrupts();
  KdReportUnloadAll();
  KiResetProcessor();
}

// Raised by the debugger: no print and no break, as the protocol says (kd-protocol.md 3.6).
void KiBugCheckFromDebugger(void) {
  KiBugCheckData[0] = 0xE2;
  KiResetProcessor();
}

__attribute__((noreturn, noinline)) static void KeBugCheck2(ULONG Code, const ULONG64* Parameters) {
  DisableInterrupts();
  KiBugCheckData[0] = Code;
  for (ULONG i = 0; i < 4; ++i) KiBugCheckData[i + 1] = Parameters[i];
  KeGetCurrentPrcb()->ProcessorState.ContextFrame = KiSavedContext;
  DbgPrint("\n*** Fatal System Error: 0x%08x\n                       (0x%p,0x%p,0x%p,0x%p)\n\n", Code,
           Parameters[0], Parameters[1], Parameters[2], Parameters[3]);
  DbgBreakPointWithStatus(DBG_STATUS_BUGCHECK_FIRST);
  DbgBreakPointWithStatus(DBG_STATUS_BUGCHECK_SECOND);
  KiResetProcessor();
}

void KeBugCheckEx(ULONG Code, ULONG64 P1, ULONG64 P2, ULONG64 P3, ULONG64 P4) {
  RtlCaptureContext(&KiSavedContext);
  ULONG64 parameters[4] = {P1, P2, P3, P4};
  KeBugCheck2(Code, parameters);
}

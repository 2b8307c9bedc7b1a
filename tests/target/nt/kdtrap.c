// Entry points of the debugger stub: exceptions, symbol reports, break-in.
#include "tests/target/nt/kd.h"

void KdpBuildSymbolsReport(KDP_SESSION* Session, const KD_SYMBOLS_INFO* Info, const CHAR* Path,
                           BOOLEAN Unload);
void KdpPrint(const CHAR* Text, ULONG Length);
ULONG KdpPrompt(const CHAR* Prompt, ULONG PromptLength, CHAR* Answer, ULONG Limit);

static UCHAR KdpReport[KDP_MAXIMUM_PAYLOAD], KdpFirstReport[KDP_MAXIMUM_PAYLOAD];
static BOOLEAN KdpBreakInPending;

// Debug registers are held in the processor block while the machine is stopped, as the host edits them there.
static void SaveState(KPRCB* Prcb, const CONTEXT* Context) {
  KSPECIAL_REGISTERS* special = &Prcb->ProcessorState.SpecialRegisters;
  special->Cr0 = ReadCr0(), special->Cr2 = ReadCr2(), special->Cr3 = ReadCr3(), special->Cr4 = ReadCr4();
  special->Cr8 = ReadCr8();
  special->KernelDr0 = ReadDr0(), special->KernelDr1 = ReadDr1(), special->KernelDr2 = ReadDr2();
  special->KernelDr3 = ReadDr3(), special->KernelDr6 = ReadDr6(), special->KernelDr7 = ReadDr7();
  WriteDr7(0x400);
  KiGuardedReadMsr(0xC0000101, &special->MsrGsBase);
  KiGuardedReadMsr(0xC0000102, &special->MsrGsSwap);
  KiGuardedReadMsr(0xC0000081, &special->MsrStar);
  KiGuardedReadMsr(0xC0000082, &special->MsrLStar);
  KiGuardedReadMsr(0xC0000083, &special->MsrCStar);
  KiGuardedReadMsr(0xC0000084, &special->MsrSyscallMask);
  special->MxCsr = Context->MxCsr;
  Prcb->DebuggerSavedIRQL = 0;
}

static void RestoreState(const KPRCB* Prcb) {
  const KSPECIAL_REGISTERS* special = &Prcb->ProcessorState.SpecialRegisters;
  WriteDr0(special->KernelDr0), WriteDr1(special->KernelDr1), WriteDr2(special->KernelDr2);
  WriteDr3(special->KernelDr3), WriteDr6(special->KernelDr6);
  // General detect would fault on the next look at these registers.
  WriteDr7((special->KernelDr7 & 0xFFFF03FFull) | 0x400);
}

static void CopyDebugRegisters(const KPRCB* Prcb, CONTEXT* Context) {
  const KSPECIAL_REGISTERS* special = &Prcb->ProcessorState.SpecialRegisters;
  Context->Dr0 = special->KernelDr0, Context->Dr1 = special->KernelDr1, Context->Dr2 = special->KernelDr2;
  Context->Dr3 = special->KernelDr3, Context->Dr6 = special->KernelDr6, Context->Dr7 = special->KernelDr7;
}

static void Enter(KDP_SESSION* Session, CONTEXT* Context, ULONG Reporter) {
  KPRCB* prcb = KeGetCurrentPrcb();
  SaveState(prcb, Context);
  CopyDebugRegisters(prcb, Context);
  // What a dump or another reader of the processor block finds there.
  *prcb->Context = *Context;
  memset(Session, 0, sizeof(*Session));
  Session->Context = Context;
  Session->Reporter = Session->Processor = Reporter;
  Session->StateChange = KdpReport;
  Session->FirstReport = KdpFirstReport;
}

static void Leave(void) {
  KdpPlantBreakpoints();
  RestoreState(KeGetCurrentPrcb());
}

// The parked processor runs while the debugger steps it, on this one, an instruction at a time. Its trap stops
// the machine like any other.
static void StepParkedProcessor(CONTEXT* Context) {
  KPRCB* parked = KiProcessorBlock[1];
  while (parked->Context->EFlags & 0x100) {
    EXCEPTION_RECORD record = {0};
    KiStepContext(parked->Context, &record);
    parked->ProcessorState.SpecialRegisters.KernelDr6 = ReadDr6();
    KDP_SESSION session;
    Enter(&session, Context, parked->Number);
    KdpBuildExceptionReport(&session, &record, FALSE);
    KdpSendWaitContinue(&session);
    Leave();
  }
}

BOOLEAN KdTrap(EXCEPTION_RECORD* Record, CONTEXT* Context, BOOLEAN SecondChance) {
  KDP_SESSION session;
  ULONG64 flags = DisableInterrupts();
  Enter(&session, Context, KeGetCurrentPrcb()->Number);
  KdpBuildExceptionReport(&session, Record, SecondChance);
  BOOLEAN handled = KdpSendWaitContinue(&session);
  Leave();
  StepParkedProcessor(Context);
  RestoreInterrupts(flags);
  return handled;
}

static void ReportSymbols(CONTEXT* Context, BOOLEAN Unload) {
  if (KdDebuggerNotPresent) return;
  const STRING* path = (const STRING*)Context->Rcx;
  KDP_SESSION session;
  Enter(&session, Context, KeGetCurrentPrcb()->Number);
  KdpBuildSymbolsReport(&session, (const KD_SYMBOLS_INFO*)Context->Rdx, path != NULL ? path->Buffer : NULL,
                        Unload);
  KdpSendWaitContinue(&session);
  Leave();
  StepParkedProcessor(Context);
}

void KdReportUnloadAll(void) {
  static const KD_SYMBOLS_INFO kAll = {.BaseOfDll = (PVOID)~0ull};
  DebugService(BREAKPOINT_UNLOAD_SYMBOLS, NULL, (ULONG64)&kAll, 0, 0);
}

// int 2D with the service in Eax and its arguments in Rcx, Rdx, R8, R9.
NTSTATUS KdDebugService(CONTEXT* Context) {
  ULONG64 flags = DisableInterrupts();
  NTSTATUS status = STATUS_SUCCESS;
  switch ((ULONG)Context->Rax) {
    case BREAKPOINT_PRINT:
      KdpPrint((const CHAR*)Context->Rcx, (ULONG)Context->Rdx);
      KdpBreakInPending |= KdpTakeBreakInByte();
      if (KdpBreakInPending) status = STATUS_BREAKPOINT;
      break;
    case BREAKPOINT_PROMPT:
      status = (NTSTATUS)KdpPrompt((const CHAR*)Context->Rcx, (ULONG)Context->Rdx, (CHAR*)Context->R8,
                                   (ULONG)Context->R9);
      break;
    case BREAKPOINT_LOAD_SYMBOLS:
    case BREAKPOINT_UNLOAD_SYMBOLS:
      ReportSymbols(Context, (ULONG)Context->Rax == BREAKPOINT_UNLOAD_SYMBOLS);
      break;
  }
  RestoreInterrupts(flags);
  return status;
}

BOOLEAN KdPollBreakIn(void) {
  if (!KdpBreakInPending) KdpBreakInPending = KdpTakeBreakInByte();
  BOOLEAN pending = KdpBreakInPending;
  KdpBreakInPending = FALSE;
  return pending;
}

void KdCheckBreakIn(void) {
  if (KdPollBreakIn()) DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
}

void KdInitSystem(const CHAR* Options) {
  ULONG64 milliseconds = 200;
  KiOption(Options, "timeout", &milliseconds);
  KdpPortInitialize(milliseconds);
  *(UCHAR*)0xFFFFF780000002D4ull = 1;
  if (KiOption(Options, "symbols", NULL)) KdDebuggerNotPresent = FALSE;
}

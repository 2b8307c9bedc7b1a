// From a trap frame to an exception record and context, through the debugger and the fixups, and back.
#include "tests/target/nt/kernel.h"

NTSTATUS KdDebugService(CONTEXT* Context);

static void KeContextFromFrames(const KTRAP_FRAME* Trap, const KEXCEPTION_FRAME* Frame, CONTEXT* Context) {
  memset(Context, 0, sizeof(*Context));
  Context->ContextFlags = CONTEXT_AMD64_ALL;
  Context->Rax = Trap->Rax, Context->Rcx = Trap->Rcx, Context->Rdx = Trap->Rdx, Context->R8 = Trap->R8;
  Context->R9 = Trap->R9, Context->R10 = Trap->R10, Context->R11 = Trap->R11;
  Context->Rbx = Trap->Rbx, Context->Rdi = Trap->Rdi, Context->Rsi = Trap->Rsi, Context->Rbp = Trap->Rbp;
  Context->R12 = Frame->R12, Context->R13 = Frame->R13, Context->R14 = Frame->R14, Context->R15 = Frame->R15;
  Context->Rip = Trap->Rip, Context->Rsp = Trap->Rsp, Context->EFlags = Trap->EFlags;
  Context->SegCs = Trap->SegCs, Context->SegSs = Trap->SegSs;
  Context->SegDs = Context->SegEs = Context->SegGs = 0x2B;
  Context->SegFs = 0x53;
  __asm__ volatile("fxsave64 %0" : "=m"(Context->FltSave));
  Context->MxCsr = Context->FltSave.MxCsr;
}

static void KeContextToFrames(const CONTEXT* Context, KTRAP_FRAME* Trap, KEXCEPTION_FRAME* Frame) {
  Trap->Rax = Context->Rax, Trap->Rcx = Context->Rcx, Trap->Rdx = Context->Rdx, Trap->R8 = Context->R8;
  Trap->R9 = Context->R9, Trap->R10 = Context->R10, Trap->R11 = Context->R11;
  Trap->Rbx = Context->Rbx, Trap->Rdi = Context->Rdi, Trap->Rsi = Context->Rsi, Trap->Rbp = Context->Rbp;
  Frame->R12 = Context->R12, Frame->R13 = Context->R13, Frame->R14 = Context->R14, Frame->R15 = Context->R15;
  Trap->Rip = Context->Rip, Trap->Rsp = Context->Rsp;
  // Interrupt return faults on bits a debugger may have made up; keep what is allowed and the fixed bit 1.
  Trap->EFlags = (Context->EFlags & 0x00244FD5) | 2;
  XSAVE_FORMAT image = Context->FltSave;
  image.MxCsr = Context->MxCsr & 0xFFBF;
  __asm__ volatile("fxrstor64 %0" ::"m"(image));
}

static void KiDispatchException(EXCEPTION_RECORD* Record, CONTEXT* Context) {
  BOOLEAN always_first = Record->ExceptionCode == STATUS_BREAKPOINT ||
                         Record->ExceptionCode == STATUS_SINGLE_STEP ||
                         Record->ExceptionCode == STATUS_ASSERTION_FAILURE;
  if (always_first && KdTrap(Record, Context, FALSE)) return;
  if (KdTrap(Record, Context, TRUE)) return;
  KeBugCheckEx(0x7E, (ULONG64)(ULONG)Record->ExceptionCode, (ULONG64)Record->ExceptionAddress,
               (ULONG64)Record, (ULONG64)Context);
}

static BOOLEAN ResumeGuarded(KTRAP_FRAME* Trap) {
  if (Trap->Rip < (ULONG64)KiGuardedStart || Trap->Rip >= (ULONG64)KiGuardedFailure) return FALSE;
  Trap->Rip = (ULONG64)KiGuardedFailure;
  return TRUE;
}

static void Describe(EXCEPTION_RECORD* Record, KTRAP_FRAME* Trap, ULONG Vector) {
  switch (Vector) {
    case 0:
      Record->ExceptionCode = STATUS_INTEGER_DIVIDE_BY_ZERO;
      break;
    case 1:
      Record->ExceptionCode = STATUS_SINGLE_STEP;
      Trap->EFlags &= ~0x100u;
      break;
    case 3:
      Record->ExceptionCode = STATUS_BREAKPOINT;
      Record->NumberParameters = 1;
      Record->ExceptionInformation[0] = BREAKPOINT_BREAK;
      Trap->Rip -= 1;
      break;
    case 6:
      Record->ExceptionCode = STATUS_ILLEGAL_INSTRUCTION;
      break;
    case 13:
      Record->ExceptionCode = STATUS_ACCESS_VIOLATION;
      Record->NumberParameters = 2;
      Record->ExceptionInformation[1] = ~0ull;
      break;
    case 14:
      Record->ExceptionCode = STATUS_ACCESS_VIOLATION;
      Record->NumberParameters = 2;
      Record->ExceptionInformation[0] = Trap->ErrorCode & 0x10 ? 8 : Trap->ErrorCode & 2 ? 1 : 0;
      Record->ExceptionInformation[1] = Trap->FaultAddress;
      break;
    case 0x2C:
      Record->ExceptionCode = STATUS_ASSERTION_FAILURE;
      Trap->Rip -= 2;
      break;
  }
  Record->ExceptionAddress = (PVOID)Trap->Rip;
}

static CONTEXT* KiSteppedContext;
static EXCEPTION_RECORD* KiStepRecord;

void KiStepContext(CONTEXT* Context, EXCEPTION_RECORD* Record) {
  ULONG interrupts = Context->EFlags & 0x200;
  KiSteppedContext = Context;
  KiStepRecord = Record;
  KiRunOneInstruction(Context);
  KiSteppedContext = NULL;
  Context->EFlags = (Context->EFlags & ~0x100u) | interrupts;
}

static void KiClockInterrupt(void) {
  KiAcknowledgeInterrupt();
  if (KdpHalted) {  // time stands still
    ++KdpHaltedTicks;
    return;
  }
  ++KeGetCurrentPrcb()->InterruptCount;
  KiClockTick();
  KdCheckBreakIn();
}

void KiDispatchTrap(KTRAP_FRAME* Trap, ULONG Vector, KEXCEPTION_FRAME* Frame) {
  Trap->FaultAddress = ReadCr2();
  if (KiSteppedContext != NULL) {  // this is the stack of the context that was stepped
    Describe(KiStepRecord, Trap, Vector);
    KeContextFromFrames(Trap, Frame, KiSteppedContext);
    KiReturnFromStep();
  }
  if (Vector == 0x31) {
    KiAcknowledgeInterrupt();
    return;
  }
  if (Vector == 0x30) {
    KiClockInterrupt();
    return;
  }
  if ((Vector == 13 || Vector == 14) && ResumeGuarded(Trap)) return;
  if (Vector == 2 || Vector == 4 || Vector == 5 || Vector == 7 || Vector == 8 ||
      (Vector > 8 && Vector != 13 && Vector != 14 && Vector != 0x2C && Vector != 0x2D)) {
    KeBugCheckEx(0x7F, Vector, Trap->Rip, Trap->Rsp, Trap->ErrorCode);
  }
  KTHREAD* thread = KeGetCurrentPrcb()->CurrentThread;
  KTRAP_FRAME* outer = thread->TrapFrame;
  thread->TrapFrame = Trap;
  CONTEXT context;
  if (Vector == 0x2D) {
    KeContextFromFrames(Trap, Frame, &context);
    ULONG64 pc = context.Rip;
    context.Rax = (ULONG64)(LONG64)KdDebugService(&context);
    if (context.Rip == pc) context.Rip += 1;
  } else {
    EXCEPTION_RECORD record = {0};
    Describe(&record, Trap, Vector);
    KeContextFromFrames(Trap, Frame, &context);
    KiDispatchException(&record, &context);
    if (Vector == 0x2C && context.Rip == (ULONG64)record.ExceptionAddress) context.Rip += 2;
  }
  KeContextToFrames(&context, Trap, Frame);
  thread->TrapFrame = outer;
}

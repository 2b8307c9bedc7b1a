// A cooperative scheduler of one processor: a thread runs until it waits. The second processor is parked.
#include "tests/target/nt/kernel.h"

ULONG KeTickCountLow;
static LIST_ENTRY KiTimerListHead;

static KTHREAD* NextReadyThread(KPRCB* Prcb) {
  for (int priority = 31; priority >= 0; --priority) {
    LIST_ENTRY* head = &Prcb->DispatcherReadyListHead[priority];
    if (IsListEmpty(head)) continue;
    KTHREAD* thread = CONTAINING_RECORD(head->Flink, KTHREAD, WaitListEntry);
    RemoveEntryList(&thread->WaitListEntry);
    return thread;
  }
  return Prcb->IdleThread;
}

void KiReadyThread(KTHREAD* Thread) {
  Thread->State = Ready;
  InsertTailList(&KeGetCurrentPrcb()->DispatcherReadyListHead[(int)Thread->Priority], &Thread->WaitListEntry);
}

// Interrupts are off; the caller has put the current thread on whatever list it waits on.
__attribute__((noinline)) void KiSwapThread(void) {
  KPRCB* prcb = KeGetCurrentPrcb();
  KTHREAD *old = prcb->CurrentThread, *next = NextReadyThread(prcb);
  next->State = Running;
  if (next == old) return;
  old->Running = FALSE;
  next->Running = TRUE;
  ++next->ContextSwitches;
  ++prcb->KeContextSwitches;
  prcb->CurrentThread = next;
  if (next->Process->DirectoryTableBase != ReadCr3()) WriteCr3(next->Process->DirectoryTableBase);
  KiSwapContext(&old->KernelStack, next->KernelStack);
}

void PspSystemThreadStartup(void (*Start)(PVOID), PVOID Context) {
  RestoreInterrupts(0x200);
  Start(Context);
  DisableInterrupts();
  KTHREAD* thread = KeGetCurrentPrcb()->CurrentThread;
  thread->State = Terminated;
  RemoveEntryList(&CONTAINING_RECORD(thread, ETHREAD, Tcb)->ThreadListEntry);
  RemoveEntryList(&thread->ThreadListEntry);
  --CONTAINING_RECORD(thread->Process, EPROCESS, Pcb)->ActiveThreads;
  KiSwapThread();
}

void KeInitializeEvent(KEVENT* Event, ULONG Type, BOOLEAN State) {
  Event->Header.Type = (UCHAR)Type;
  Event->Header.Size = sizeof(KEVENT) / 4;
  Event->Header.SignalState = State;
  InitializeListHead(&Event->Header.WaitListHead);
}

void KeSetEvent(KEVENT* Event) {
  ULONG64 flags = DisableInterrupts();
  DISPATCHER_HEADER* header = &Event->Header;
  if (IsListEmpty(&header->WaitListHead)) header->SignalState = 1;
  while (!IsListEmpty(&header->WaitListHead)) {
    KWAIT_BLOCK* block = CONTAINING_RECORD(header->WaitListHead.Flink, KWAIT_BLOCK, WaitListEntry);
    RemoveEntryList(&block->WaitListEntry);
    KiReadyThread(block->Thread);
    if (header->Type == EventSynchronizationObject) break;
  }
  RestoreInterrupts(flags);
}

__attribute__((noinline)) static void KiCommitThreadWait(KTHREAD* Thread, ULONG Reason, ULONG Mode,
                                                         BOOLEAN Alertable) {
  Thread->State = Waiting;
  Thread->WaitReason = (UCHAR)Reason;
  Thread->WaitMode = (CHAR)Mode;
  Thread->Alertable = Alertable;
  Thread->WaitTime = KeTickCountLow;
  KiSwapThread();
  Thread->WaitBlockCount = 0;
}

NTSTATUS KeWaitForSingleObject(PVOID Object, ULONG Reason, ULONG Mode, BOOLEAN Alertable) {
  ULONG64 flags = DisableInterrupts();
  DISPATCHER_HEADER* header = Object;
  if (header->SignalState > 0) {
    if (header->Type == EventSynchronizationObject) header->SignalState = 0;
  } else {
    KTHREAD* thread = KeGetCurrentPrcb()->CurrentThread;
    KWAIT_BLOCK* block = &thread->WaitBlock[0];
    block->Thread = thread;
    block->Object = Object;
    block->WaitType = 1;
    block->WaitKey = 0;
    thread->WaitBlockList = block;
    thread->WaitBlockCount = 1;
    InsertTailList(&header->WaitListHead, &block->WaitListEntry);
    KiCommitThreadWait(thread, Reason, Mode, Alertable);
  }
  RestoreInterrupts(flags);
  return STATUS_SUCCESS;
}

void KeDelayExecutionThread(ULONG Ticks) {
  ULONG64 flags = DisableInterrupts();
  KTHREAD* thread = KeGetCurrentPrcb()->CurrentThread;
  thread->DueTime = (ULONG64)KeTickCountLow + Ticks;
  thread->WaitBlockList = NULL;
  InsertTailList(&KiTimerListHead, &thread->WaitListEntry);
  KiCommitThreadWait(thread, DelayExecution, KernelMode, FALSE);
  RestoreInterrupts(flags);
}

ULONG KeQueryTickCount(void) { return KeTickCountLow; }

void KiClockTick(void) {
  KPRCB* prcb = KeGetCurrentPrcb();
  ++KeTickCountLow;
  ++prcb->KernelTime;
  ++prcb->CurrentThread->KernelTime;
  for (LIST_ENTRY *at = KiTimerListHead.Flink, *next; at != &KiTimerListHead; at = next) {
    next = at->Flink;
    KTHREAD* thread = CONTAINING_RECORD(at, KTHREAD, WaitListEntry);
    if (thread->DueTime > KeTickCountLow) continue;
    RemoveEntryList(at);
    KiReadyThread(thread);
  }
}

void KiIdleLoop(void) {
  KPRCB* prcb = KeGetCurrentPrcb();
  for (;;) {
    DisableInterrupts();
    KiSwapThread();
    prcb->IdleHalt = TRUE;
    // sti takes effect after the next instruction, so no tick is lost between the test and the halt.
    __asm__ volatile("sti; hlt" ::: "memory");
    prcb->IdleHalt = FALSE;
  }
}

volatile ULONG64 KiParkedTurns;

// Body of the second processor's idle thread. It runs once on the first processor to leave a real stack and
// context behind, then counts as running on its own processor and is never scheduled again. What it does
// there, when it is stepped, is the loop at the end.
static void KiParkProcessor(PVOID Context) {
  static volatile BOOLEAN parked;
  KPRCB* prcb = Context;
  DisableInterrupts();
  RtlCaptureContext(&prcb->ProcessorState.ContextFrame);
  if (!parked) {
    parked = TRUE;
    prcb->ProcessorState.ContextFrame.SegDs = prcb->ProcessorState.ContextFrame.SegEs = 0x2B;
    for (;;) KiSwapThread();
  }
  for (;;) ++KiParkedTurns;
}

void KiInitializeScheduler(void) {
  InitializeListHead(&KiTimerListHead);
  KPRCB* prcb = KiProcessorBlock[1];
  ETHREAD* idle = PspCreateThread(PsIdleProcess, KiParkProcessor, prcb);
  idle->Tcb.NextProcessor = idle->Tcb.IdealProcessor = 1;
  prcb->IdleThread = prcb->CurrentThread = &idle->Tcb;
}

// What the parts of the test machine's kernel know of each other.
#ifndef TESTS_TARGET_NT_KERNEL_H_
#define TESTS_TARGET_NT_KERNEL_H_

#include "tests/target/boot/loader_block.h"
#include "tests/target/nt/ntddk.h"

#define PAGE_SIZE 0x1000ull
#define KERNEL_STACK_PAGES 6
#define MAXIMUM_PROCESSORS 2
#define CLOCK_HZ 100

// trap.S
void KiSwapContext(PVOID* OldStack, PVOID NewStack);
void KiStartSystemThread(void);
void KiLoadProcessorRegisters(const void* Gdt, const void* Idt, KPCR* Pcr);
void KiLoadXmmPattern(void);
__attribute__((noreturn)) void KiResetProcessor(void);
void KiRunOneInstruction(const CONTEXT* Context);  // ends in KiReturnFromStep()
__attribute__((noreturn)) void KiReturnFromStep(void);
BOOLEAN KiGuardedReadMsr(ULONG Number, ULONG64* Value);
BOOLEAN KiGuardedWriteMsr(ULONG Number, ULONG64 Value);
NTSTATUS DebugService(ULONG Service, const void* Arg1, ULONG64 Arg2, ULONG64 Arg3, ULONG64 Arg4);
extern UCHAR KiGuardedStart[];
void KiGuardedFailure(void);
void RtlpBreakWithStatusInstruction(void);

// Services of int 2D.
#define BREAKPOINT_BREAK 0
#define BREAKPOINT_PRINT 1
#define BREAKPOINT_PROMPT 2
#define BREAKPOINT_LOAD_SYMBOLS 3
#define BREAKPOINT_UNLOAD_SYMBOLS 4

// processor.c
extern KPCR KiProcessorControlRegion[MAXIMUM_PROCESSORS];
extern KPRCB* KiProcessorBlock[MAXIMUM_PROCESSORS];
void KiInitializeProcessor(ULONG Number);
void KiInitializeClock(void);
void KiAcknowledgeInterrupt(void);
ULONG64 KiMeasureMillisecond(void);
KPRCB* KeGetCurrentPrcb(void);

// memory.c
void MmInitialize(const LOADER_PARAMETER_BLOCK* Block);
ULONG64 MmAllocatePhysicalPage(void);
void MmMapPage(ULONG64 DirectoryTableBase, ULONG64 Address, ULONG64 Physical, ULONG64 Flags);
MMPTE* MmGetPte(ULONG64 DirectoryTableBase, ULONG64 Address, BOOLEAN* Large);
BOOLEAN MmTranslate(ULONG64 DirectoryTableBase, ULONG64 Address, ULONG64* Physical);
PVOID MmAllocate(SIZE_T Size);
PVOID MmCreateKernelStack(void);
ULONG64 MmCreateAddressSpace(void);
void MmMapImagePages(ULONG64 Base, ULONG Size);
PVOID MmPhysicalToVirtual(ULONG64 Physical);
void MmCreatePagedPool(void);
extern ULONG64 MmKernelDirectory;
extern ULONG64 MmEndOfMemory;
extern UCHAR* MmPagedPoolStart;

// sysload.c
extern LIST_ENTRY PsLoadedModuleList;
void MmInitializeLoadedModules(const LOADER_PARAMETER_BLOCK* Block);

// process.c and thread.c
extern LIST_ENTRY PsActiveProcessHead;
extern EPROCESS* PsInitialSystemProcess;
extern EPROCESS* PsIdleProcess;
extern ULONG KeTickCountLow;
void PsInitialize(void);
EPROCESS* PspCreateProcess(const CHAR* Name, EPROCESS* Parent, BOOLEAN User);
ETHREAD* PspCreateThread(EPROCESS* Process, void (*Start)(PVOID), PVOID Context);
void PsCreateUserProcesses(ULONG Extra);
void PspSetAnsi(UNICODE_STRING* String, const CHAR* Text);
void KiInitializeScheduler(void);
void KiIdleLoop(void);
void KiReadyThread(KTHREAD* Thread);
void KiSwapThread(void);
void KiClockTick(void);

// trapdisp.c. Interrupts are off; Record tells what ended it.
void KiStepContext(CONTEXT* Context, EXCEPTION_RECORD* Record);

// debugdata.c
extern LIST_ENTRY KdpDebuggerDataListHead;
extern ULONG64 KiBugCheckData[5];
extern CONTEXT KiSavedContext;
void KdInitializeDebuggerData(void);

// kd*.c
void KdInitSystem(const CHAR* Options);
extern volatile BOOLEAN KdpHalted;     // inside the stub, waiting for a byte
extern volatile ULONG KdpHaltedTicks;  // clock ticks of all that waiting
BOOLEAN KdPollBreakIn(void);
void KdCheckBreakIn(void);
// Reports an exception to the debugger. True when the context (perhaps changed) is to be resumed.
BOOLEAN KdTrap(EXCEPTION_RECORD* Record, CONTEXT* Context, BOOLEAN SecondChance);
void KdReportUnloadAll(void);

// bugcheck.c and option text
void KiBugCheckFromDebugger(void);
BOOLEAN KiOption(const CHAR* Options, const CHAR* Name, ULONG64* Value);

static inline UCHAR ReadPort8(USHORT port) {
  UCHAR value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline USHORT ReadPort16(USHORT port) {
  USHORT value;
  __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline ULONG ReadPort32(USHORT port) {
  ULONG value;
  __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline void WritePort8(USHORT port, UCHAR value) {
  __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}
static inline void WritePort16(USHORT port, USHORT value) {
  __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}
static inline void WritePort32(USHORT port, ULONG value) {
  __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}
static inline ULONG64 ReadTsc(void) {
  ULONG low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (ULONG64)high << 32 | low;
}
#define LW_CONTROL_REGISTER(name, reg)                           \
  static inline ULONG64 Read##name(void) {                       \
    ULONG64 value;                                               \
    __asm__ volatile("movq %%" reg ", %0" : "=r"(value));        \
    return value;                                                \
  }                                                              \
  static inline void Write##name(ULONG64 value) {                \
    __asm__ volatile("movq %0, %%" reg ::"r"(value) : "memory"); \
  }
LW_CONTROL_REGISTER(Cr0, "cr0")
LW_CONTROL_REGISTER(Cr2, "cr2")
LW_CONTROL_REGISTER(Cr3, "cr3")
LW_CONTROL_REGISTER(Cr4, "cr4")
LW_CONTROL_REGISTER(Cr8, "cr8")
LW_CONTROL_REGISTER(Dr0, "dr0")
LW_CONTROL_REGISTER(Dr1, "dr1")
LW_CONTROL_REGISTER(Dr2, "dr2")
LW_CONTROL_REGISTER(Dr3, "dr3")
LW_CONTROL_REGISTER(Dr6, "dr6")
LW_CONTROL_REGISTER(Dr7, "dr7")

static inline ULONG64 DisableInterrupts(void) {
  ULONG64 flags;
  __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
  return flags;
}
static inline void RestoreInterrupts(ULONG64 flags) {
  if (flags & 0x200) __asm__ volatile("sti" ::: "memory");
}

#endif

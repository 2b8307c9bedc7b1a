// Processor control regions, descriptor tables and the clock.
#include "tests/target/nt/kernel.h"

KPCR KiProcessorControlRegion[MAXIMUM_PROCESSORS];
KPRCB* KiProcessorBlock[MAXIMUM_PROCESSORS];

static ULONG64 KiGdt[MAXIMUM_PROCESSORS][12];
static struct { ULONG64 low, high; } KiIdt[256];
static __attribute__((aligned(16))) UCHAR KiTss[MAXIMUM_PROCESSORS][0x68];
static __attribute__((aligned(16))) UCHAR KiDoubleFaultStack[0x2000];

void KiDivideErrorFault(void);
void KiDebugTrapOrFault(void);
void KiNmiInterrupt(void);
void KiBreakpointTrap(void);
void KiOverflowTrap(void);
void KiBoundFault(void);
void KiInvalidOpcodeFault(void);
void KiNpxNotAvailableFault(void);
void KiDoubleFaultAbort(void);
void KiInvalidTssFault(void);
void KiSegmentNotPresentFault(void);
void KiStackFault(void);
void KiGeneralProtectionFault(void);
void KiPageFault(void);
void KiFloatingErrorFault(void);
void KiAlignmentFault(void);
void KiXmmException(void);
void KiUnexpectedInterrupt(void);
void KiRaiseAssertion(void);
void KiDebugServiceTrap(void);
void KiInterruptDispatch(void);
void KiSerialInterrupt(void);

static const struct {
  UCHAR vector;
  UCHAR stack;
  void (*handler)(void);
} KiHandlers[] = {
    {0, 0, KiDivideErrorFault},
    {1, 0, KiDebugTrapOrFault},
    {2, 0, KiNmiInterrupt},
    {3, 0, KiBreakpointTrap},
    {4, 0, KiOverflowTrap},
    {5, 0, KiBoundFault},
    {6, 0, KiInvalidOpcodeFault},
    {7, 0, KiNpxNotAvailableFault},
    {8, 1, KiDoubleFaultAbort},
    {10, 0, KiInvalidTssFault},
    {11, 0, KiSegmentNotPresentFault},
    {12, 0, KiStackFault},
    {14, 0, KiPageFault},
    {13, 0, KiGeneralProtectionFault},
    {16, 0, KiFloatingErrorFault},
    {17, 0, KiAlignmentFault},
    {19, 0, KiXmmException},
    {0x2C, 0, KiRaiseAssertion},
    {0x30, 0, KiInterruptDispatch}, {0x31, 0, KiSerialInterrupt},
    {0x2D, 0, KiDebugServiceTrap},
};

struct __attribute__((packed)) DescriptorTable {
  USHORT limit;
  ULONG64 base;
};

static void SetGate(ULONG Vector, void (*Handler)(void), UCHAR Stack) {
  ULONG64 address = (ULONG64)Handler;
  KiIdt[Vector].low = (address & 0xFFFF) | 0x10ull << 16 | (ULONG64)Stack << 32 | 0x8E00ull << 32 |
                      (address & 0xFFFF0000) << 32;
  KiIdt[Vector].high = address >> 32;
}

static void BuildDescriptors(ULONG Number) {
  ULONG64 *gdt = KiGdt[Number], tss = (ULONG64)KiTss[Number];
  gdt[2] = 0x00209B0000000000ull;                                                     // 10 kernel code
  gdt[3] = 0x00CF93000000FFFFull;                                                     // 18 kernel data
  gdt[4] = 0x00CFFB000000FFFFull;                                                     // 20 32-bit user code
  gdt[5] = 0x00CFF3000000FFFFull;                                                     // 28 user data
  gdt[6] = 0x0020FB0000000000ull;                                                     // 30 user code
  gdt[8] = 0x67 | (tss & 0xFFFFFF) << 16 | 0x89ull << 40 | (tss >> 24 & 0xFF) << 56;  // 40 task state
  gdt[9] = tss >> 32;
  gdt[10] = 0x0040F30000003C00ull;  // 50 compatibility-mode TEB
  *(ULONG64*)(KiTss[Number] + 0x24) = (ULONG64)KiDoubleFaultStack + sizeof(KiDoubleFaultStack);  // IST1
}

static void BuildIdt(void) {
  for (ULONG i = 0; i < 256; ++i) SetGate(i, KiUnexpectedInterrupt, 0);
  for (ULONG i = 0; i < sizeof(KiHandlers) / sizeof(KiHandlers[0]); ++i) {
    SetGate(KiHandlers[i].vector, KiHandlers[i].handler, KiHandlers[i].stack);
  }
}

static void DescribeProcessor(KPRCB* Prcb) {
  ULONG eax, ebx, ecx, edx;
  __asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(0));
  *(ULONG*)(Prcb->VendorString + 0) = ebx;
  *(ULONG*)(Prcb->VendorString + 4) = edx;
  *(ULONG*)(Prcb->VendorString + 8) = ecx;
  __asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1));
  Prcb->CpuType = (CHAR)(eax >> 8 & 15);
  Prcb->CpuID = 1;
  Prcb->CpuStep = (USHORT)((eax >> 4 & 15) << 8 | (eax & 15));
  Prcb->FeatureBits = (ULONG64)ecx << 32 | edx;
  Prcb->MHz = 2000;
  Prcb->MajorVersion = Prcb->MinorVersion = 1;
}

void KiInitializeProcessor(ULONG Number) {
  KPCR* pcr = &KiProcessorControlRegion[Number];
  KPRCB* prcb = &pcr->Prcb;
  KiProcessorBlock[Number] = prcb;
  pcr->Self = pcr;
  pcr->CurrentPrcb = prcb;
  pcr->GdtBase = KiGdt[Number];
  pcr->TssBase = KiTss[Number];
  pcr->IdtBase = KiIdt;
  pcr->MajorVersion = pcr->MinorVersion = 1;
  prcb->Number = Number;
  prcb->LegacyNumber = (UCHAR)Number;
  prcb->GroupIndex = (UCHAR)Number;
  prcb->GroupSetMember = 1ull << Number;
  prcb->Context = &prcb->ProcessorState.ContextFrame;
  prcb->ContextFlags = CONTEXT_AMD64_ALL;
  for (ULONG i = 0; i < 32; ++i) InitializeListHead(&prcb->DispatcherReadyListHead[i]);
  DescribeProcessor(prcb);
  BuildDescriptors(Number);

  KSPECIAL_REGISTERS* special = &prcb->ProcessorState.SpecialRegisters;
  special->Cr0 = ReadCr0();
  special->Cr3 = MmKernelDirectory;
  special->Cr4 = ReadCr4();
  special->KernelDr7 = 0x400;
  special->KernelDr6 = 0xFFFF0FF0;
  special->Gdtr.Limit = sizeof(KiGdt[0]) - 1;
  special->Gdtr.Base = KiGdt[Number];
  special->Idtr.Limit = sizeof(KiIdt) - 1;
  special->Idtr.Base = KiIdt;
  special->Tr = 0x40;
  special->MxCsr = 0x1F80;
  special->MsrGsBase = (ULONG64)pcr;
  special->Xcr0 = 3;
  if (Number != 0) return;
  BuildIdt();
  struct DescriptorTable gdt = {sizeof(KiGdt[0]) - 1, (ULONG64)KiGdt[0]};
  struct DescriptorTable idt = {sizeof(KiIdt) - 1, (ULONG64)KiIdt};
  KiLoadProcessorRegisters(&gdt, &idt, pcr);
  KiLoadXmmPattern();
}

KPRCB* KeGetCurrentPrcb(void) {
  KPRCB* prcb;
  __asm__ volatile("movq %%gs:0x20, %0" : "=r"(prcb));
  return prcb;
}

#define APIC_BASE 0xFFFFF78000002000ull
#define APIC_EOI 0xB0
#define APIC_SPURIOUS 0xF0
#define APIC_TIMER_LVT 0x320
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3E0
#define IO_APIC_BASE (APIC_BASE + PAGE_SIZE)
#define IO_APIC_WINDOW 0x10
#define SERIAL_PIN 4
#define CALIBRATIONS 8
#define APIC_TIMER_HZ 1000000000ull  // of the emulated local APIC, undivided

static volatile ULONG* Apic(ULONG Register) { return (volatile ULONG*)(APIC_BASE + Register); }

// The microvm machine has neither 8259 nor 8254: the local APIC's timer is the clock, on vector 30.
void KiInitializeClock(void) {
  MmMapPage(MmKernelDirectory, APIC_BASE, 0xFEE00000, 0x8000000000000073ull);
  *Apic(APIC_SPURIOUS) = 0x1FF;
  *Apic(APIC_TIMER_DIVIDE) = 0xB;
  *Apic(APIC_TIMER_LVT) = 0x20030;
  *Apic(APIC_TIMER_INITIAL) = (ULONG)(APIC_TIMER_HZ / CLOCK_HZ);
  // COM1 only has to end the halt in which a stopped machine waits for its debugger.
  MmMapPage(MmKernelDirectory, IO_APIC_BASE, 0xFEC00000, 0x8000000000000073ull);
  volatile ULONG *select = (volatile ULONG *)IO_APIC_BASE;
  volatile ULONG *window = (volatile ULONG *)(IO_APIC_BASE + IO_APIC_WINDOW);
  *select = 0x11 + 2 * SERIAL_PIN;
  *window = 0;
  *select = 0x10 + 2 * SERIAL_PIN;
  *window = 0x31;
}

void KiAcknowledgeInterrupt(void) { *Apic(APIC_EOI) = 0; }

static ULONG64 MeasureMillisecondOnce(void) {
  ULONG64 start = ReadTsc();
  *Apic(APIC_TIMER_INITIAL) = (ULONG)(APIC_TIMER_HZ / CLOCK_HZ);
  while (*Apic(APIC_TIMER_CURRENT) > APIC_TIMER_HZ / CLOCK_HZ - APIC_TIMER_HZ / 1000) {
  }
  return ReadTsc() - start;
}

// Ticks of the processor's counter per millisecond. Interrupts are still off. An emulator that does not get its
// host's processor makes a measurement too long, never too short, so the shortest is the truth.
ULONG64 KiMeasureMillisecond(void) {
  ULONG64 shortest = MeasureMillisecondOnce();
  for (int i = 1; i < CALIBRATIONS; ++i) {
    ULONG64 measured = MeasureMillisecondOnce();
    if (measured < shortest) shortest = measured;
  }
  return shortest;
}

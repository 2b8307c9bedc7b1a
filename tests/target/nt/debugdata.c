// KDDEBUGGER_DATA64 (kd-protocol.md 5.2) and the variables it points to that nothing else defines.
#include "tests/target/nt/kd.h"

typedef struct _KDDEBUGGER_DATA64 {
  LIST_ENTRY List;
  ULONG OwnerTag;
  ULONG Size;
  ULONG64 Words18[8];     // 018 KernBase .. 050 PsActiveProcessHead
  ULONG64 Words58[72];    // 058 PspCidTable .. 290
  USHORT Offsets[24];     // 298 .. 2C6
  ULONG64 Words2C8[3];    // 2C8 KdPrintCircularBufferPtr, KdPrintBufferSize, KeLoaderBlock
  USHORT PcrOffsets[20];  // 2E0 .. 306
  ULONG64 Words308[6];    // 308 .. 330 EtwpDebuggerData
  USHORT OffsetPrcbContext, MaxBreakpoints, MaxWatchpoints, Pad33E;
  ULONG OffsetKThreadStackLimit, OffsetKThreadStackBase, OffsetKThreadQueueListEntry, OffsetEThreadIrpList;
  USHORT OffsetPrcbIdleThread, OffsetPrcbNormalDpcState, OffsetPrcbDpcStack, OffsetPrcbIsrStack;
  USHORT SizeKDPC_STACK_FRAME, OffsetKPriQueueThreadListHead, OffsetKThreadWaitReason, Pad35E;
  ULONG64 PteBase;
  ULONG64 RetpolineStubFunctionTable;
  ULONG RetpolineStubFunctionTableSize, RetpolineStubOffset, RetpolineStubSize;
  USHORT OffsetEProcessMmHotPatchContext, Pad37E;
} KDDEBUGGER_DATA64;
_Static_assert(sizeof(KDDEBUGGER_DATA64) == 0x380, "KDDEBUGGER_DATA64");
C_ASSERT_OFFSET(KDDEBUGGER_DATA64, Words58, 0x58);
C_ASSERT_OFFSET(KDDEBUGGER_DATA64, Offsets, 0x298);
C_ASSERT_OFFSET(KDDEBUGGER_DATA64, PcrOffsets, 0x2E0);
C_ASSERT_OFFSET(KDDEBUGGER_DATA64, OffsetPrcbContext, 0x338);
C_ASSERT_OFFSET(KDDEBUGGER_DATA64, PteBase, 0x360);

LIST_ENTRY KdpDebuggerDataListHead;
KDDEBUGGER_DATA64 KdDebuggerDataBlock;

ULONG KeTimeIncrement = 10000000 / CLOCK_HZ;
ULONG64 KiWaitNever = 0x8D3FA10C2B5E7701ull;
ULONG64 KiWaitAlways = 0x17C0A5D96E2F4B83ull;
UCHAR KdpDataBlockEncoded;
PVOID PspCidTable;
PVOID MmUnloadedDrivers;
ULONG MmLastUnloadedDriver;
ULONG64 MmLowestPhysicalPage = 1, MmHighestPhysicalPage, MmNumberOfPhysicalPages;
ULONG64 MmHighestUserAddress = 0x00007FFFFFFEFFFFull;
ULONG64 MmSystemRangeStart = 0xFFFF800000000000ull;
ULONG64 MmUserProbeAddress = 0x00007FFFFFFF0000ull;
ULONG64 MmPagedPoolEnd = LW_PAGED_POOL_BASE + 4 * PAGE_SIZE;

extern CHAR NtBuildLab[];

static void SetWord(ULONG Offset, ULONG64 Value) {
  *(ULONG64*)((UCHAR*)&KdDebuggerDataBlock + Offset) = Value;
}
static void SetHalf(ULONG Offset, SIZE_T Value) {
  *(USHORT*)((UCHAR*)&KdDebuggerDataBlock + Offset) = (USHORT)Value;
}

static void SetVariables(void) {
  extern UCHAR __ImageBase[];
  SetWord(0x18, (ULONG64)__ImageBase);
  SetWord(0x20, (ULONG64)RtlpBreakWithStatusInstruction);
  SetWord(0x28, (ULONG64)&KiSavedContext);
  SetHalf(0x36, 1);
  SetWord(0x48, (ULONG64)&PsLoadedModuleList);
  SetWord(0x50, (ULONG64)&PsActiveProcessHead);
  SetWord(0x58, (ULONG64)&PspCidTable);
  SetWord(0x78, (ULONG64)&KeTimeIncrement);
  SetWord(0x88, (ULONG64)KiBugCheckData);
  SetWord(0xE8, (ULONG64)&MmLowestPhysicalPage);
  SetWord(0xF0, (ULONG64)&MmHighestPhysicalPage);
  SetWord(0xF8, (ULONG64)&MmNumberOfPhysicalPages);
  SetWord(0x120, (ULONG64)&MmPagedPoolStart);
  SetWord(0x128, (ULONG64)&MmPagedPoolEnd);
  SetWord(0x138, PAGE_SIZE);
  SetWord(0x1C8, (ULONG64)&MmHighestUserAddress);
  SetWord(0x1D0, (ULONG64)&MmSystemRangeStart);
  SetWord(0x1D8, (ULONG64)&MmUserProbeAddress);
  SetWord(0x208, (ULONG64)NtBuildLab);
  SetWord(0x218, (ULONG64)KiProcessorBlock);
  SetWord(0x220, (ULONG64)&MmUnloadedDrivers);
  SetWord(0x228, (ULONG64)&MmLastUnloadedDriver);
}

static void SetOffsets(void) {
  SetHalf(0x298, FIELD_OFFSET(KTHREAD, NextProcessor));
  SetHalf(0x29A, FIELD_OFFSET(KTHREAD, Teb));
  SetHalf(0x29C, FIELD_OFFSET(KTHREAD, KernelStack));
  SetHalf(0x29E, FIELD_OFFSET(KTHREAD, InitialStack));
  SetHalf(0x2A0, FIELD_OFFSET(KTHREAD, ApcState.Process));
  SetHalf(0x2A2, FIELD_OFFSET(KTHREAD, State));
  SetHalf(0x2A8, sizeof(EPROCESS));
  SetHalf(0x2AA, FIELD_OFFSET(EPROCESS, Peb));
  SetHalf(0x2AC, FIELD_OFFSET(EPROCESS, InheritedFromUniqueProcessId));
  SetHalf(0x2AE, FIELD_OFFSET(EPROCESS, Pcb.DirectoryTableBase));
  SetHalf(0x2B0, sizeof(KPRCB));
  SetHalf(0x2B2, FIELD_OFFSET(KPRCB, DpcRoutineActive));
  SetHalf(0x2B4, FIELD_OFFSET(KPRCB, CurrentThread));
  SetHalf(0x2B6, FIELD_OFFSET(KPRCB, MHz));
  SetHalf(0x2B8, FIELD_OFFSET(KPRCB, CpuType));
  SetHalf(0x2BA, FIELD_OFFSET(KPRCB, VendorString));
  SetHalf(0x2BC, FIELD_OFFSET(KPRCB, ProcessorState.ContextFrame));
  SetHalf(0x2BE, FIELD_OFFSET(KPRCB, Number));
  SetHalf(0x2C0, sizeof(ETHREAD));
  SetHalf(0x2E0, sizeof(KPCR));
  SetHalf(0x2E2, FIELD_OFFSET(KPCR, Self));
  SetHalf(0x2E4, FIELD_OFFSET(KPCR, CurrentPrcb));
  SetHalf(0x2E6, FIELD_OFFSET(KPCR, Prcb));
  SetHalf(0x2F2, FIELD_OFFSET(KPRCB, ProcessorState.SpecialRegisters));
  static const USHORT kSelectors[] = {0x10, 0x18, 0, 0x33, 0x2B, 0x53, 0, 0x40, 0x23, 0x53};
  for (ULONG i = 0; i < sizeof(kSelectors) / sizeof(kSelectors[0]); ++i)
    SetHalf(0x2F4 + i * 2, kSelectors[i]);
  KDDEBUGGER_DATA64* block = &KdDebuggerDataBlock;
  block->OffsetPrcbContext = FIELD_OFFSET(KPRCB, Context);
  block->MaxBreakpoints = 32;
  block->MaxWatchpoints = 4;
  block->OffsetKThreadStackLimit = FIELD_OFFSET(KTHREAD, StackLimit);
  block->OffsetKThreadStackBase = FIELD_OFFSET(KTHREAD, StackBase);
  block->OffsetKThreadQueueListEntry = FIELD_OFFSET(KTHREAD, QueueListEntry);
  block->OffsetEThreadIrpList = FIELD_OFFSET(ETHREAD, IrpList);
  block->OffsetPrcbIdleThread = FIELD_OFFSET(KPRCB, IdleThread);
  block->OffsetPrcbNormalDpcState = FIELD_OFFSET(KPRCB, NormalDpcState);
  block->OffsetPrcbDpcStack = FIELD_OFFSET(KPRCB, DpcStack);
  block->OffsetPrcbIsrStack = FIELD_OFFSET(KPRCB, IsrStack);
  block->OffsetKThreadWaitReason = FIELD_OFFSET(KTHREAD, WaitReason);
  block->PteBase = 0xFFFFF68000000000ull;
}

void KdInitializeDebuggerData(void) {
  MmHighestPhysicalPage = MmEndOfMemory / PAGE_SIZE - 1;
  MmNumberOfPhysicalPages = MmEndOfMemory / PAGE_SIZE;
  InitializeListHead(&KdpDebuggerDataListHead);
  InsertTailList(&KdpDebuggerDataListHead, &KdDebuggerDataBlock.List);
  KdDebuggerDataBlock.OwnerTag = 0x4742444B;
  KdDebuggerDataBlock.Size = sizeof(KdDebuggerDataBlock);
  SetVariables();
  SetOffsets();
}

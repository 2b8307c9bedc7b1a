// Start of the kernel: one processor runs, the other is described and parked, then everything is threads.
#include "tests/target/nt/kd.h"
#include "tests/target/nt/kernel.h"

__attribute__((aligned(4096))) UCHAR KiBootStack[KERNEL_STACK_PAGES * PAGE_SIZE];
PVOID KiBootStackTop = KiBootStack + KERNEL_STACK_PAGES * PAGE_SIZE;

CHAR NtBuildLab[] = LW_BUILD_LAB;
ULONG NtBuildNumber = 0xF0000000 | LW_BUILD_NUMBER;
ULONG NtGlobalFlag;
ULONG KeNumberProcessors = MAXIMUM_PROCESSORS;
ULONG KeMaximumIncrement = 10000000 / CLOCK_HZ;
KUSER_SHARED_DATA* const KiSharedData = (KUSER_SHARED_DATA*)0xFFFFF78000000000ull;
static const LOADER_PARAMETER_BLOCK* KeLoaderBlock;

static void InitializeSharedData(void) {
  MmMapPage(MmKernelDirectory, (ULONG64)KiSharedData, MmAllocatePhysicalPage(), 0x8000000000000063ull);
  static const WCHAR kRoot[] = L"C:\\Windows";
  memcpy(KiSharedData->NtSystemRoot, kRoot, sizeof(kRoot));
  KiSharedData->NtBuildNumber = LW_BUILD_NUMBER;
  KiSharedData->NtProductType = 1;
  KiSharedData->ProductTypeIsValid = TRUE;
  KiSharedData->NativeProcessorArchitecture = 9;
  KiSharedData->ImageNumberLow = KiSharedData->ImageNumberHigh = 0x8664;
  KiSharedData->NtMajorVersion = 10;
  KiSharedData->SuiteMask = 0x110;
  KiSharedData->ActiveProcessorCount = MAXIMUM_PROCESSORS;
}

static void Phase1Initialization(PVOID Context) {
  const CHAR* options = Context;
  MmInitializeLoadedModules(KeLoaderBlock);
  for (ULONG64 i = 1; i + LW_IMAGES_ON_DEMAND < KeLoaderBlock->ImageCount; ++i) {
    KLDR_DATA_TABLE_ENTRY* entry;
    NTSTATUS status = MmLoadSystemImage(KeLoaderBlock->Images[i].Name, FALSE, &entry);
    if (!NT_SUCCESS(status)) KeBugCheckEx(0x6B, (ULONG64)status, i, 0, 0);
  }
  ULONG64 extra = 0;
  KiOption(options, "processes", &extra);
  PsCreateUserProcesses((ULONG)extra);
  // Lower than every thread made so far: they reach their waits before the machine counts as booted.
  KeDelayExecutionThread(1);
  if (KiOption(options, "break", NULL)) DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
  for (;;) KeDelayExecutionThread(CLOCK_HZ);
}

void KiInitializeKernel(const LOADER_PARAMETER_BLOCK* Block) {
  KeLoaderBlock = Block;
  MmInitialize(Block);
  for (ULONG i = 0; i < MAXIMUM_PROCESSORS; ++i) KiInitializeProcessor(i);
  InitializeSharedData();
  PsInitialize();
  KiInitializeScheduler();
  KdInitializeDebuggerData();
  KiInitializeClock();
  KdInitSystem(Block->LoadOptions);
  PsCreateSystemThread(Phase1Initialization, (PVOID)Block->LoadOptions);
  KiIdleLoop();
}

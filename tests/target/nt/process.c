// Processes and threads as objects: their lists, address spaces and user pages.
#include "tests/target/nt/kernel.h"

#define LW_USER_PEB 0x000000C000200000ull

LIST_ENTRY PsActiveProcessHead;
EPROCESS* PsInitialSystemProcess;
EPROCESS* PsIdleProcess;
static ULONG64 PspNextId = 4;
static ULONG64 PspSession[4];
static KEVENT PspNeverSignaled;
static KSEMAPHORE PspQueueSemaphore;
static KMUTANT PspMutant;

extern UCHAR KiBootStack[];

void PspSetAnsi(UNICODE_STRING* String, const CHAR* Text) {
  SIZE_T length = strlen(Text);
  String->Buffer = ExAllocatePoolWithTag(0, (length + 1) * 2, 'rtSU');
  for (SIZE_T i = 0; i <= length; ++i) String->Buffer[i] = (WCHAR)(UCHAR)Text[i];
  String->Length = (USHORT)(length * 2);
  String->MaximumLength = (USHORT)(length * 2 + 2);
}

static HANDLE NextId(void) {
  ULONG64 id = PspNextId;
  PspNextId += id == 4 ? 0x60 : 0x14;
  return (HANDLE)id;
}

// A string inside the user page that is being filled through the physical map.
static void PlaceUserText(UNICODE_STRING* String, UCHAR* Page, ULONG64 PageAddress, ULONG* Used,
                          const CHAR* Text) {
  SIZE_T length = strlen(Text);
  String->Buffer = (WCHAR*)(PageAddress + *Used);
  String->Length = (USHORT)(length * 2);
  String->MaximumLength = (USHORT)(length * 2 + 2);
  for (SIZE_T i = 0; i <= length; ++i) ((WCHAR*)(Page + *Used))[i] = (WCHAR)(UCHAR)Text[i];
  *Used += (ULONG)((length * 2 + 2 + 7) & ~7ull);
}

static UCHAR* MapUserPage(EPROCESS* Process, ULONG64 Address) {
  ULONG64 physical = MmAllocatePhysicalPage();
  MmMapPage(Process->Pcb.DirectoryTableBase, Address, physical, 0x67);
  ++Process->NumberOfPrivatePages;
  Process->VirtualSize += PAGE_SIZE;
  return MmPhysicalToVirtual(physical);
}

static void LinkUserModule(UCHAR* Page, ULONG64 Base, ULONG LdrOffset, ULONG EntryOffset) {
  PEB_LDR_DATA* ldr = (PEB_LDR_DATA*)(Page + LdrOffset);
  LDR_DATA_TABLE_ENTRY* entry = (LDR_DATA_TABLE_ENTRY*)(Page + EntryOffset);
  LIST_ENTRY* heads[3] = {&ldr->InLoadOrderModuleList, &ldr->InMemoryOrderModuleList,
                          &ldr->InInitializationOrderModuleList};
  LIST_ENTRY* links[3] = {&entry->InLoadOrderLinks, &entry->InMemoryOrderLinks,
                          &entry->InInitializationOrderLinks};
  for (ULONG i = 0; i < 3; ++i) {
    LIST_ENTRY* head = (LIST_ENTRY*)(Base + (ULONG64)((UCHAR*)heads[i] - Page));
    LIST_ENTRY* link = (LIST_ENTRY*)(Base + (ULONG64)((UCHAR*)links[i] - Page));
    heads[i]->Flink = heads[i]->Blink = link;
    links[i]->Flink = links[i]->Blink = head;
  }
}

static void CreateUserPages(EPROCESS* Process, const CHAR* Name) {
  CHAR text[128];
  UCHAR* image = MapUserPage(Process, LW_USER_IMAGE_BASE);
  RtlFormat((CHAR*)image, 256, "user page of process %x %s", (ULONG)(ULONG64)Process->UniqueProcessId, Name);
  for (ULONG i = 256; i < PAGE_SIZE; ++i) image[i] = (UCHAR)(i * 7 + (ULONG64)Process->UniqueProcessId);
  UCHAR* page = MapUserPage(Process, LW_USER_PEB);
  ULONG used = 0x800;
  PEB* peb = (PEB*)page;
  PEB_LDR_DATA* ldr = (PEB_LDR_DATA*)(page + 0x200);
  LDR_DATA_TABLE_ENTRY* entry = (LDR_DATA_TABLE_ENTRY*)(page + 0x300);
  RTL_USER_PROCESS_PARAMETERS* parameters = (RTL_USER_PROCESS_PARAMETERS*)(page + 0x400);
  peb->ImageBaseAddress = (PVOID)LW_USER_IMAGE_BASE;
  peb->Ldr = (PEB_LDR_DATA*)(LW_USER_PEB + 0x200);
  peb->ProcessParameters = (RTL_USER_PROCESS_PARAMETERS*)(LW_USER_PEB + 0x400);
  peb->NumberOfProcessors = MAXIMUM_PROCESSORS;
  peb->OSMajorVersion = 10;
  peb->OSBuildNumber = LW_BUILD_NUMBER;
  ldr->Length = sizeof(*ldr);
  ldr->Initialized = TRUE;
  LinkUserModule(page, LW_USER_PEB, 0x200, 0x300);
  entry->DllBase = (PVOID)LW_USER_IMAGE_BASE;
  entry->SizeOfImage = PAGE_SIZE;
  PlaceUserText(&entry->BaseDllName, page, LW_USER_PEB, &used, Name);
  RtlFormat(text, sizeof(text), "C:\\Windows\\System32\\%s", Name);
  PlaceUserText(&entry->FullDllName, page, LW_USER_PEB, &used, text);
  parameters->ImagePathName = entry->FullDllName;
  RtlFormat(text, sizeof(text), "%s -id %u", Name, (ULONG)(ULONG64)Process->UniqueProcessId);
  PlaceUserText(&parameters->CommandLine, page, LW_USER_PEB, &used, text);
  PlaceUserText(&parameters->CurrentDirectory.DosPath, page, LW_USER_PEB, &used, "C:\\Windows\\");
  Process->Peb = (PEB*)LW_USER_PEB;
  Process->SectionBaseAddress = (PVOID)LW_USER_IMAGE_BASE;
}

static void CreateUserTeb(EPROCESS* Process, ETHREAD* Thread, ULONG Index) {
  ULONG64 address = LW_USER_PEB + PAGE_SIZE * (Index + 1);
  TEB* teb = (TEB*)MapUserPage(Process, address);
  teb->NtTib.Self = (NT_TIB*)address;
  teb->NtTib.StackBase = (PVOID)0x000000C000100000ull;
  teb->NtTib.StackLimit = (PVOID)0x000000C0000FC000ull;
  teb->ClientId = Thread->Cid;
  teb->ProcessEnvironmentBlock = Process->Peb;
  teb->LastStatusValue = (NTSTATUS)0xC0000034;
  Thread->Tcb.Teb = (PVOID)address;
}

EPROCESS* PspCreateProcess(const CHAR* Name, EPROCESS* Parent, BOOLEAN User) {
  EPROCESS* process = ExAllocatePoolWithTag(0, sizeof(EPROCESS), 'corP');
  process->Pcb.Header.Type = ProcessObject;
  process->Pcb.Header.Size = sizeof(KPROCESS) / 4;
  InitializeListHead(&process->Pcb.Header.WaitListHead);
  InitializeListHead(&process->Pcb.ThreadListHead);
  InitializeListHead(&process->Pcb.ProfileListHead);
  InitializeListHead(&process->ThreadListHead);
  process->Pcb.BasePriority = 8;
  process->Pcb.DirectoryTableBase = User ? MmCreateAddressSpace() : MmKernelDirectory;
  process->UniqueProcessId = PsIdleProcess == NULL ? NULL : NextId();
  process->InheritedFromUniqueProcessId = Parent != NULL ? Parent->UniqueProcessId : NULL;
  process->CreateTime.QuadPart = 0x01D5C00000000000ll + (LONG64)process->UniqueProcessId * 10000;
  process->Token.Value = (ULONG64)ExAllocatePoolWithTag(0, 0x40, 'ekoT') | 7;
  process->DeviceMap = PsIdleProcess;
  for (ULONG i = 0; i + 1 < sizeof(process->ImageFileName) && Name[i] != 0; ++i) {
    process->ImageFileName[i] = (UCHAR)Name[i];
  }
  OBJECT_NAME_INFORMATION* path = ExAllocatePoolWithTag(0, sizeof(*path), 'nhtP');
  CHAR text[96];
  RtlFormat(text, sizeof(text), "\\Device\\HarddiskVolume1\\Windows\\System32\\%s", Name);
  if (User) PspSetAnsi(&path->Name, text);
  process->SeAuditProcessCreationInfo.ImageFileName = path;

  HANDLE_TABLE* table = ExAllocatePoolWithTag(0, sizeof(HANDLE_TABLE), 'btbO');
  table->QuotaProcess = process;
  table->UniqueProcessId = (ULONG)(ULONG64)process->UniqueProcessId;
  table->HandleCount = 20 + (LONG)((ULONG64)process->UniqueProcessId % 97);
  InitializeListHead(&table->HandleTableList);
  process->ObjectTable = table;
  MMVAD_SHORT* vad = ExAllocatePoolWithTag(0, sizeof(MMVAD_SHORT), 'SdaV');
  vad->StartingVpn = (ULONG)(LW_USER_IMAGE_BASE >> 12);
  vad->StartingVpnHigh = (UCHAR)(LW_USER_IMAGE_BASE >> 44);
  vad->EndingVpn = vad->StartingVpn;
  vad->EndingVpnHigh = vad->StartingVpnHigh;
  vad->u.Protection = 4;
  vad->u.PrivateMemory = 1;
  if (User) {
    process->VadRoot.Root = &vad->VadNode;
    process->VadCount = 1;
    process->Session = PspSession;
    CreateUserPages(process, Name);
  }
  process->Vm.WorkingSetSize = process->NumberOfPrivatePages;
  process->Vm.MinimumWorkingSetSize = 50;
  process->Vm.MaximumWorkingSetSize = 345;
  process->Vm.PeakWorkingSetSize = process->NumberOfPrivatePages;
  process->CommitCharge = process->NumberOfPrivatePages;
  process->PeakVirtualSize = process->VirtualSize;
  if (process->UniqueProcessId != NULL) InsertTailList(&PsActiveProcessHead, &process->ActiveProcessLinks);
  return process;
}

static ETHREAD* CreateThreadObject(EPROCESS* Process, PVOID StackTop, void (*Start)(PVOID)) {
  ETHREAD* thread = ExAllocatePoolWithTag(0, sizeof(ETHREAD), 'erhT');
  KTHREAD* tcb = &thread->Tcb;
  tcb->Header.Type = ThreadObject;
  tcb->Header.Size = sizeof(KTHREAD) / 4 > 255 ? 255 : (UCHAR)(sizeof(KTHREAD) / 4);
  InitializeListHead(&tcb->Header.WaitListHead);
  InitializeListHead(&tcb->ApcState.ApcListHead[0]);
  InitializeListHead(&tcb->ApcState.ApcListHead[1]);
  InitializeListHead(&thread->IrpList);
  tcb->Process = tcb->ApcState.Process = &Process->Pcb;
  tcb->InitialStack = tcb->StackBase = StackTop;
  tcb->StackLimit = (UCHAR*)StackTop - KERNEL_STACK_PAGES * PAGE_SIZE;
  tcb->Priority = tcb->BasePriority = 8;
  tcb->SystemThread = TRUE;
  thread->StartAddress = (PVOID)(ULONG64)Start;
  thread->Win32StartAddress = (PVOID)(ULONG64)Start;
  thread->Cid.UniqueProcess = Process->UniqueProcessId;
  thread->Cid.UniqueThread = Process->UniqueProcessId == NULL ? NULL : NextId();
  thread->CreateTime = Process->CreateTime;
  InsertTailList(&Process->Pcb.ThreadListHead, &tcb->ThreadListEntry);
  InsertTailList(&Process->ThreadListHead, &thread->ThreadListEntry);
  ++Process->ActiveThreads;
  return thread;
}

ETHREAD* PspCreateThread(EPROCESS* Process, void (*Start)(PVOID), PVOID Context) {
  ULONG64 flags = DisableInterrupts();
  ETHREAD* thread = CreateThreadObject(Process, MmCreateKernelStack(), Start);
  // From the top: start routine, its context, the zero return address, the switch frame that starts it.
  ULONG64* top = (ULONG64*)thread->Tcb.StackBase - 10;
  top[0] = 0;
  top[1] = (ULONG64)Start;
  top[2] = (ULONG64)Context;
  KSWITCH_FRAME* frame = (KSWITCH_FRAME*)((UCHAR*)top - sizeof(KSWITCH_FRAME));
  frame->Return = (ULONG64)KiStartSystemThread;
  thread->Tcb.KernelStack = frame;
  KiReadyThread(&thread->Tcb);
  RestoreInterrupts(flags);
  return thread;
}

ETHREAD* PsCreateSystemThread(void (*Start)(PVOID), PVOID Context) {
  return PspCreateThread(PsInitialSystemProcess, Start, Context);
}

__attribute__((noinline)) static NTSTATUS NtWaitForSingleObject(PVOID Object, BOOLEAN Alertable) {
  NTSTATUS status = KeWaitForSingleObject(Object, UserRequest, UserMode, Alertable);
  __asm__ volatile("" ::: "memory");
  return status;
}

__attribute__((noinline)) static NTSTATUS IoRemoveIoCompletion(PVOID Queue) {
  NTSTATUS status = KeWaitForSingleObject(Queue, WrQueue, UserMode, FALSE);
  __asm__ volatile("" ::: "memory");
  return status;
}

__attribute__((noinline)) static NTSTATUS NtRemoveIoCompletion(PVOID Queue) {
  NTSTATUS status = IoRemoveIoCompletion(Queue);
  __asm__ volatile("" ::: "memory");
  return status;
}

static void PspUserWaiter(PVOID Context) {
  for (;;) NtWaitForSingleObject(Context, TRUE);
}
static void PspQueueWaiter(PVOID Context) {
  for (;;) NtRemoveIoCompletion(Context);
}

static void AddThreads(EPROCESS* Process, ULONG Count) {
  static const ULONG64 kEntries[3] = {0x40, 0x80, 0xC0};
  PVOID objects[3] = {&PspNeverSignaled, &PspQueueSemaphore, &PspMutant};
  for (ULONG i = 0; i < Count; ++i) {
    ETHREAD* thread = PspCreateThread(Process, i == 1 ? PspQueueWaiter : PspUserWaiter, objects[i]);
    thread->Win32StartAddress = (PVOID)(LW_USER_IMAGE_BASE + kEntries[i]);
    thread->Tcb.SystemThread = FALSE;
    CreateUserTeb(Process, thread, i);
  }
}

void PsCreateUserProcesses(ULONG Extra) {
  static const CHAR* const kNames[] = {LW_PROCESS_NAMES};
  EPROCESS* parent = PsInitialSystemProcess;
  for (ULONG i = 0; i < sizeof(kNames) / sizeof(kNames[0]); ++i) {
    EPROCESS* process = PspCreateProcess(kNames[i], parent, TRUE);
    AddThreads(process, 1 + i % 3);
    if (i == 0 || i == 2) parent = process;
  }
  PsCreateExtraProcesses(Extra);
}

void PsCreateExtraProcesses(ULONG Count) {
  static ULONG next = 1;
  for (ULONG i = 0; i < Count; ++i, ++next) {
    CHAR name[16];
    RtlFormat(name, sizeof(name), LW_EXTRA_PROCESS_NAME "%03u.exe", next);
    AddThreads(PspCreateProcess(name, PsInitialSystemProcess, TRUE), 1);
  }
}

void PsInitialize(void) {
  InitializeListHead(&PsActiveProcessHead);
  KeInitializeEvent(&PspNeverSignaled, EventNotificationObject, FALSE);
  PspQueueSemaphore.Header.Type = SemaphoreObject;
  PspQueueSemaphore.Limit = 1;
  InitializeListHead(&PspQueueSemaphore.Header.WaitListHead);
  PspMutant.Header.Type = MutantObject;
  InitializeListHead(&PspMutant.Header.WaitListHead);
  PsIdleProcess = PspCreateProcess("Idle", NULL, FALSE);
  PsInitialSystemProcess = PspCreateProcess("System", NULL, FALSE);
  ETHREAD* idle = CreateThreadObject(PsIdleProcess, KiBootStack + KERNEL_STACK_PAGES * PAGE_SIZE, NULL);
  idle->Tcb.Priority = 0;
  idle->Tcb.State = Running;
  idle->Tcb.Running = TRUE;
  KPRCB* prcb = KeGetCurrentPrcb();
  prcb->IdleThread = prcb->CurrentThread = &idle->Tcb;
  PspMutant.OwnerThread = &idle->Tcb;
}

// Fields hold these as bytes, as NT's do, so nothing else would bring the enumerations into the PDB.
const union {
  KTHREAD_STATE ThreadState;
  KWAIT_REASON WaitReason;
  MODE WaitMode;
  KOBJECTS ObjectType;
} PspEnumerations = {.ThreadState = Initialized};

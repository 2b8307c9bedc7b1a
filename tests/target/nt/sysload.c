// Loads and unloads images from the set the boot loader brought along, and keeps PsLoadedModuleList.
#include "tests/target/nt/kd.h"
#include "tests/target/nt/kernel.h"

LIST_ENTRY PsLoadedModuleList;
static const LOADER_PARAMETER_BLOCK* MmLoaderBlock;

static ULONG Load16(const UCHAR* At) { return At[0] | At[1] << 8; }
static ULONG Load32(const UCHAR* At) { return Load16(At) | Load16(At + 2) << 16; }
static ULONG64 Load64(const UCHAR* At) { return Load32(At) | (ULONG64)Load32(At + 4) << 32; }

static KLDR_DATA_TABLE_ENTRY* FindModule(const CHAR* Name) {
  for (LIST_ENTRY* at = PsLoadedModuleList.Flink; at != &PsLoadedModuleList; at = at->Flink) {
    KLDR_DATA_TABLE_ENTRY* entry = CONTAINING_RECORD(at, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    CHAR name[64];
    ULONG length = entry->BaseDllName.Length / 2;
    for (ULONG i = 0; i < length && i < 63; ++i) name[i] = (CHAR)entry->BaseDllName.Buffer[i];
    name[length < 63 ? length : 63] = 0;
    if (RtlEqualText(name, Name)) return entry;
  }
  return NULL;
}

static ULONG64 FindExport(ULONG64 Base, const CHAR* Name) {
  const UCHAR *image = (const UCHAR*)Base, *pe = image + Load32(image + 0x3C);
  if (Load32(pe + 0x88) == 0) return 0;
  const UCHAR* directory = image + Load32(pe + 0x88);
  const UCHAR *functions = image + Load32(directory + 0x1C), *names = image + Load32(directory + 0x20);
  const UCHAR* ordinals = image + Load32(directory + 0x24);
  for (ULONG i = 0; i < Load32(directory + 0x18); ++i) {
    const CHAR* name = (const CHAR*)image + Load32(names + i * 4);
    if (strlen(name) == strlen(Name) && memcmp(name, Name, strlen(Name)) == 0) {
      return Base + Load32(functions + Load16(ordinals + i * 2) * 4);
    }
  }
  return 0;
}

static NTSTATUS ResolveImports(ULONG64 Base) {
  UCHAR *image = (UCHAR*)Base, *pe = image + Load32(image + 0x3C);
  if (Load32(pe + 0x90) == 0) return STATUS_SUCCESS;
  for (const UCHAR* import = image + Load32(pe + 0x90); Load32(import + 12) != 0; import += 20) {
    KLDR_DATA_TABLE_ENTRY* from = FindModule((const CHAR*)image + Load32(import + 12));
    if (from == NULL) return STATUS_NOT_FOUND;
    for (ULONG64* slot = (ULONG64*)(image + Load32(import + 16)); *slot != 0; ++slot) {
      *slot = FindExport((ULONG64)from->DllBase, (const CHAR*)image + *slot + 2);
      if (*slot == 0) return STATUS_NOT_FOUND;
    }
  }
  return STATUS_SUCCESS;
}

static KLDR_DATA_TABLE_ENTRY* InsertModule(ULONG64 Base, const CHAR* Name, const CHAR* Directory) {
  const UCHAR *image = (const UCHAR*)Base, *pe = image + Load32(image + 0x3C);
  KLDR_DATA_TABLE_ENTRY* entry = ExAllocatePoolWithTag(0, sizeof(*entry), 'dLmM');
  memset(entry, 0, sizeof(*entry));
  CHAR path[96];
  RtlFormat(path, sizeof(path), "\\SystemRoot\\%s\\%s", Directory, Name);
  PspSetAnsi(&entry->FullDllName, path);
  PspSetAnsi(&entry->BaseDllName, Name);
  entry->DllBase = (PVOID)Base;
  entry->EntryPoint = (PVOID)(Base + Load32(pe + 0x28));
  entry->SizeOfImage = Load32(pe + 0x50);
  entry->SizeOfImageNotRounded = entry->SizeOfImage;
  entry->CheckSum = Load32(pe + 0x58);
  entry->TimeDateStamp = Load32(pe + 8);
  entry->ExceptionTable = Load32(pe + 0xA0) != 0 ? (PVOID)(Base + Load32(pe + 0xA0)) : NULL;
  entry->ExceptionTableSize = Load32(pe + 0xA4);
  entry->LoadCount = 1;
  entry->Flags = 0x09004000;
  InsertTailList(&PsLoadedModuleList, &entry->InLoadOrderLinks);
  return entry;
}

static void ReportSymbols(KLDR_DATA_TABLE_ENTRY* Entry, ULONG Service) {
  CHAR path[96];
  ULONG length = Entry->FullDllName.Length / 2;
  if (length >= sizeof(path)) length = sizeof(path) - 1;
  for (ULONG i = 0; i < length; ++i) path[i] = (CHAR)Entry->FullDllName.Buffer[i];
  path[length] = 0;
  STRING name = {(USHORT)length, (USHORT)(length + 1), path};
  KD_SYMBOLS_INFO info = {Entry->DllBase, (PVOID)~0ull, Entry->CheckSum, Entry->SizeOfImage};
  DebugService(Service, &name, (ULONG64)&info, 0, 0);
}

static BOOLEAN MapImage(const UCHAR* File, SIZE_T Size, ULONG64* Base) {
  if (Size < 0x1000 || Load16(File) != 0x5A4D || Load32(File + 0x3C) > 0x800) return FALSE;
  const UCHAR* pe = File + Load32(File + 0x3C);
  const UCHAR* section = pe + 24 + Load16(pe + 20);
  *Base = Load64(pe + 0x30);
  MmMapImagePages(*Base, Load32(pe + 0x50));
  UCHAR* image = (UCHAR*)*Base;
  memcpy(image, File, Load32(pe + 0x54));
  for (ULONG i = 0; i < Load16(pe + 6); ++i, section += 40) {
    ULONG raw = Load32(section + 16), virtual_size = Load32(section + 8), at = Load32(section + 20);
    ULONG count = raw < virtual_size ? raw : virtual_size;
    if (at > Size || count > Size - at) return FALSE;
    memcpy(image + Load32(section + 12), File + at, count);
  }
  return TRUE;
}

static const UCHAR* FindBootFile(const CHAR* Name, SIZE_T* Size) {
  for (ULONG64 i = 0; i < MmLoaderBlock->ImageCount; ++i) {
    if (!RtlEqualText(MmLoaderBlock->Images[i].Name, Name)) continue;
    *Size = MmLoaderBlock->Images[i].Size;
    return MmLoaderBlock->Images[i].Data;
  }
  return NULL;
}

NTSTATUS MmLoadSystemImage(const CHAR* FileName, BOOLEAN AskDebugger, KLDR_DATA_TABLE_ENTRY** Entry) {
  *Entry = FindModule(FileName);
  if (*Entry != NULL) return STATUS_SUCCESS;
  SIZE_T size = 0;
  const UCHAR* file = NULL;
  if (AskDebugger) {
    CHAR path[96];
    RtlFormat(path, sizeof(path), "\\SystemRoot\\System32\\drivers\\%s", FileName);
    file = KdPullRemoteFile(path, &size);
    if (file == NULL) DbgPrint("KD: %s not replaced, own file used\n", FileName);
  }
  if (file == NULL) file = FindBootFile(FileName, &size);
  if (file == NULL) return STATUS_NO_SUCH_FILE;
  ULONG64 base;
  if (!MapImage(file, size, &base)) return STATUS_UNSUCCESSFUL;
  NTSTATUS status = ResolveImports(base);
  if (!NT_SUCCESS(status)) return status;
  BOOLEAN library = FindModule("hal.dll") == NULL;
  *Entry = InsertModule(base, FileName, library ? "system32" : "System32\\drivers");
  ReportSymbols(*Entry, BREAKPOINT_LOAD_SYMBOLS);
  if (library) return STATUS_SUCCESS;
  DRIVER_OBJECT* driver = ExAllocatePoolWithTag(0, sizeof(DRIVER_OBJECT), 'virD');
  memset(driver, 0, sizeof(*driver));
  driver->Type = 4;
  driver->Size = sizeof(*driver);
  driver->DriverStart = (PVOID)base;
  driver->DriverSize = (*Entry)->SizeOfImage;
  driver->DriverSection = *Entry;
  driver->DriverName = (*Entry)->BaseDllName;
  (*Entry)->SectionPointer = driver;
  return ((DRIVER_INITIALIZE)(*Entry)->EntryPoint)(driver, &(*Entry)->FullDllName);
}

NTSTATUS MmUnloadSystemImage(KLDR_DATA_TABLE_ENTRY* Entry) {
  DRIVER_OBJECT* driver = Entry->SectionPointer;
  if (driver == NULL || driver->DriverUnload == NULL) return STATUS_UNSUCCESSFUL;
  driver->DriverUnload(driver);
  ReportSymbols(Entry, BREAKPOINT_UNLOAD_SYMBOLS);
  RemoveEntryList(&Entry->InLoadOrderLinks);
  for (ULONG64 offset = 0; offset < Entry->SizeOfImage; offset += PAGE_SIZE) {
    MmMapPage(MmKernelDirectory, (ULONG64)Entry->DllBase + offset, 0, 0);
    __asm__ volatile("invlpg (%0)" ::"r"((ULONG64)Entry->DllBase + offset) : "memory");
  }
  return STATUS_SUCCESS;
}

void MmInitializeLoadedModules(const LOADER_PARAMETER_BLOCK* Block) {
  MmLoaderBlock = Block;
  InitializeListHead(&PsLoadedModuleList);
  ReportSymbols(InsertModule(Block->KernelBase, Block->Images[0].Name, "system32"), BREAKPOINT_LOAD_SYMBOLS);
}

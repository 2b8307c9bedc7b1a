// Memory and breakpoints for the debugger: page tables are walked, nothing here can fault.
#include "tests/target/nt/kd.h"

#define BREAKPOINT_TABLE_SIZE 32

BREAKPOINT_ENTRY KdpBreakpointTable[BREAKPOINT_TABLE_SIZE];

static ULONG CopyPage(ULONG64 Physical, UCHAR* Buffer, ULONG Size, BOOLEAN Write) {
  UCHAR* page = MmPhysicalToVirtual(Physical);
  if (Write) {
    memcpy(page, Buffer, Size);
  } else {
    memcpy(Buffer, page, Size);
  }
  return Size;
}

// Bytes copied; stops at the first page that is not present. Code pages are written through the physical map.
static ULONG CopyIn(ULONG64 Directory, ULONG64 Address, void* Buffer, ULONG Size, BOOLEAN Write) {
  ULONG done = 0;
  while (done < Size) {
    ULONG64 physical;
    if (!MmTranslate(Directory, Address + done, &physical)) break;
    ULONG room = (ULONG)(PAGE_SIZE - ((Address + done) & (PAGE_SIZE - 1)));
    done += CopyPage(physical, (UCHAR*)Buffer + done, room < Size - done ? room : Size - done, Write);
  }
  return done;
}

ULONG KdpCopyVirtual(ULONG64 Address, void* Buffer, ULONG Size, BOOLEAN Write) {
  return CopyIn(ReadCr3(), Address, Buffer, Size, Write);
}

ULONG KdpCopyPhysical(ULONG64 Address, void* Buffer, ULONG Size, BOOLEAN Write) {
  if (Address >= MmEndOfMemory) return 0;
  ULONG64 room = MmEndOfMemory - Address;
  return CopyPage(Address, Buffer, Size < room ? Size : (ULONG)room, Write);
}

static void Plant(BREAKPOINT_ENTRY* Entry) {
  UCHAR instruction = 0xCC;
  if (CopyIn(Entry->DirectoryTableBase, Entry->Address, &Entry->Content, 1, FALSE) != 1) return;
  Entry->Planted = CopyIn(Entry->DirectoryTableBase, Entry->Address, &instruction, 1, TRUE) == 1;
}

// Entries whose page was not there when they were set are planted as soon as it is.
void KdpPlantBreakpoints(void) {
  for (ULONG i = 0; i < BREAKPOINT_TABLE_SIZE; ++i) {
    if (KdpBreakpointTable[i].Used && !KdpBreakpointTable[i].Planted) Plant(&KdpBreakpointTable[i]);
  }
}

ULONG KdpAddBreakpoint(ULONG64 Address) {
  ULONG free = BREAKPOINT_TABLE_SIZE;
  ULONG64 directory = (LONG64)Address < 0 ? MmKernelDirectory : ReadCr3();
  for (ULONG i = BREAKPOINT_TABLE_SIZE; i-- > 0;) {
    const BREAKPOINT_ENTRY* entry = &KdpBreakpointTable[i];
    if (!entry->Used) {
      free = i;
    } else if (entry->Address == Address && entry->DirectoryTableBase == directory) {
      return 0;
    }
  }
  if (free == BREAKPOINT_TABLE_SIZE) return 0;
  KdpBreakpointTable[free] =
      (BREAKPOINT_ENTRY){.Used = TRUE, .Address = Address, .DirectoryTableBase = directory};
  Plant(&KdpBreakpointTable[free]);
  return free + 1;
}

BOOLEAN KdpDeleteBreakpoint(ULONG Handle) {
  if (Handle == 0 || Handle > BREAKPOINT_TABLE_SIZE || !KdpBreakpointTable[Handle - 1].Used) return FALSE;
  BREAKPOINT_ENTRY* entry = &KdpBreakpointTable[Handle - 1];
  UCHAR current;
  // The page may have been unmapped or replaced meanwhile; then there is nothing to restore.
  if (entry->Planted && CopyIn(entry->DirectoryTableBase, entry->Address, &current, 1, FALSE) == 1 &&
      current == 0xCC) {
    CopyIn(entry->DirectoryTableBase, entry->Address, &entry->Content, 1, TRUE);
  }
  entry->Used = FALSE;
  return TRUE;
}

void KdpDeleteBreakpointsIn(ULONG64 Start, ULONG64 End) {
  for (ULONG i = 0; i < BREAKPOINT_TABLE_SIZE; ++i) {
    const BREAKPOINT_ENTRY* entry = &KdpBreakpointTable[i];
    if (entry->Used && entry->Address >= Start && entry->Address < End) KdpDeleteBreakpoint(i + 1);
  }
}

static void SearchMemory(UCHAR* Request, UCHAR* Pattern, ULONG PatternSize) {
  ULONG64 start = Get64(Request + 0x10), length = Get64(Request + 0x18);
  Put32(Request + 8, (ULONG)STATUS_NOT_FOUND);
  if (PatternSize == 0 || PatternSize > 256 || length > 64ull << 20) return;
  for (ULONG64 offset = 0; offset + PatternSize <= length; ++offset) {
    UCHAR bytes[256];
    ULONG64 address = start + offset;
    if (KdpCopyVirtual(address, bytes, 1, FALSE) != 1) {
      offset += PAGE_SIZE - (address & (PAGE_SIZE - 1)) - 1;
      continue;
    }
    if (bytes[0] != Pattern[0] || KdpCopyVirtual(address, bytes, PatternSize, FALSE) != PatternSize) continue;
    if (memcmp(bytes, Pattern, PatternSize) != 0) continue;
    Put64(Request + 0x10, address);
    Put32(Request + 8, STATUS_SUCCESS);
    return;
  }
}

static void FillMemory(UCHAR* Request, const UCHAR* Pattern, ULONG DataSize) {
  ULONG64 address = Get64(Request + 0x10);
  ULONG length = Get32(Request + 0x18), physical = Get16(Request + 0x1C) == 2, size = Get16(Request + 0x1E);
  Put32(Request + 8, (ULONG)STATUS_UNSUCCESSFUL);
  if (size == 0 || size > DataSize) {
    Put32(Request + 8, (ULONG)STATUS_INVALID_PARAMETER);
    return;
  }
  ULONG done = 0;
  for (UCHAR byte; done < length; ++done) {
    byte = Pattern[done % size];
    ULONG copied = physical ? KdpCopyPhysical(address + done, &byte, 1, TRUE)
                            : KdpCopyVirtual(address + done, &byte, 1, TRUE);
    if (copied != 1) break;
  }
  Put32(Request + 0x18, done);
  if (done == length) Put32(Request + 8, STATUS_SUCCESS);
}

static void QueryMemory(UCHAR* Request) {
  ULONG64 address = Get64(Request + 0x10), physical;
  if (Get32(Request + 0x20) != 0) {
    Put32(Request + 8, (ULONG)STATUS_INVALID_PARAMETER);
    return;
  }
  BOOLEAN large;
  const MMPTE* pte = MmGetPte(ReadCr3(), address, &large);
  if (pte == NULL || !MmTranslate(ReadCr3(), address, &physical)) {
    Put32(Request + 8, (ULONG)STATUS_UNSUCCESSFUL);
    return;
  }
  Put32(Request + 0x20, (LONG64)address < 0 ? 2 : 0);
  Put32(Request + 0x24,
        1u | (pte->u.Long & 2 ? 2u : 0) | (pte->u.Hard.NoExecute ? 0 : 4u) | ((LONG64)address < 0 ? 8u : 0));
}

// Fills status and union of the reply and, for the two reads, ActualBytes (1C) of data behind the header.
void KdpServeMemory(ULONG Api, UCHAR* Request, ULONG DataSize) {
  ULONG64 address = Get64(Request + 0x10);
  ULONG wanted = Get32(Request + 0x18);
  UCHAR* data = Request + KDP_MANIPULATE_SIZE;
  Put32(Request + 8, STATUS_SUCCESS);
  switch (Api) {
    case 0x3130:
    case 0x313D: {
      ULONG size = wanted < KDP_MAXIMUM_DATA ? wanted : KDP_MAXIMUM_DATA;
      ULONG actual = Api == 0x3130 ? KdpCopyVirtual(address, data, size, FALSE)
                                   : KdpCopyPhysical(address, data, size, FALSE);
      Put32(Request + 0x1C, actual);
      if (actual != size) Put32(Request + 8, (ULONG)STATUS_UNSUCCESSFUL);
      break;
    }
    case 0x3131:
    case 0x313E: {
      ULONG actual = Api == 0x3131 ? KdpCopyVirtual(address, data, DataSize, TRUE)
                                   : KdpCopyPhysical(address, data, DataSize, TRUE);
      Put32(Request + 0x1C, actual);
      if (actual != DataSize) Put32(Request + 8, (ULONG)STATUS_UNSUCCESSFUL);
      break;
    }
    case 0x3134: {
      ULONG handle = KdpAddBreakpoint(address);
      Put32(Request + 0x18, handle);
      if (handle == 0) Put32(Request + 8, (ULONG)STATUS_UNSUCCESSFUL);
      break;
    }
    case 0x3135:
      if (!KdpDeleteBreakpoint(Get32(Request + 0x10))) Put32(Request + 8, (ULONG)STATUS_UNSUCCESSFUL);
      break;
    case 0x3156:
      SearchMemory(Request, data, Get32(Request + 0x20) <= DataSize ? Get32(Request + 0x20) : 0);
      break;
    case 0x315B:
      FillMemory(Request, data, DataSize);
      break;
    case 0x315C:
      QueryMemory(Request);
      break;
  }
}

// Physical pages, page tables and the kernel's address ranges. Pages are never given back, except that an
// unloaded image's mappings go away.
#include "tests/target/nt/kernel.h"

#define FRAME_MASK 0x000FFFFFFFFFF000ull
#define PTE_SELF_MAP_INDEX 0x1ED

ULONG64 MmKernelDirectory;
ULONG64 MmEndOfMemory;
UCHAR* MmPagedPoolStart;
static ULONG64 MmNextFreePage;
static ULONG64 MmNextPool = LW_POOL_BASE;
static ULONG64 MmMappedPool = LW_POOL_BASE;
static ULONG64 MmNextStack = LW_STACK_BASE;

PVOID MmPhysicalToVirtual(ULONG64 Physical) { return (PVOID)(LW_PHYSICAL_MAP + Physical); }

ULONG64 MmAllocatePhysicalPage(void) {
  if (MmNextFreePage + PAGE_SIZE > MmEndOfMemory) KeBugCheckEx(0x4D, MmNextFreePage, MmEndOfMemory, 0, 0);
  ULONG64 page = MmNextFreePage;
  MmNextFreePage += PAGE_SIZE;
  memset(MmPhysicalToVirtual(page), 0, PAGE_SIZE);
  return page;
}

void MmMapPage(ULONG64 DirectoryTableBase, ULONG64 Address, ULONG64 Physical, ULONG64 Flags) {
  ULONG64* table = MmPhysicalToVirtual(DirectoryTableBase & FRAME_MASK);
  for (int shift = 39; shift > 12; shift -= 9) {
    ULONG64* entry = &table[(Address >> shift) & 511];
    if (!(*entry & 1)) *entry = MmAllocatePhysicalPage() | 0x67;
    table = MmPhysicalToVirtual(*entry & FRAME_MASK);
  }
  table[(Address >> 12) & 511] = Physical | Flags;
}

// The entry that maps Address, whatever it holds, or NULL when a level above it is not present.
MMPTE* MmGetPte(ULONG64 DirectoryTableBase, ULONG64 Address, BOOLEAN* Large) {
  *Large = FALSE;
  if ((LONG64)(Address << 16) >> 16 != (LONG64)Address) return NULL;
  ULONG64* table = MmPhysicalToVirtual(DirectoryTableBase & FRAME_MASK);
  for (int shift = 39;; shift -= 9) {
    ULONG64* entry = &table[(Address >> shift) & 511];
    if (shift == 12) return (MMPTE*)entry;
    if (!(*entry & 1)) return NULL;
    if (shift == 21 && (*entry & 0x80)) {
      *Large = TRUE;
      return (MMPTE*)entry;
    }
    table = MmPhysicalToVirtual(*entry & FRAME_MASK);
  }
}

BOOLEAN MmTranslate(ULONG64 DirectoryTableBase, ULONG64 Address, ULONG64* Physical) {
  BOOLEAN large;
  const MMPTE* pte = MmGetPte(DirectoryTableBase, Address, &large);
  if (pte == NULL || !pte->u.Hard.Valid) return FALSE;
  ULONG64 offset_mask = large ? 0x1FFFFF : 0xFFF;
  *Physical = (pte->u.Long & FRAME_MASK & ~offset_mask) | (Address & offset_mask);
  return *Physical < MmEndOfMemory;
}

PVOID MmAllocate(SIZE_T Size) {
  ULONG64 at = MmNextPool;
  MmNextPool += (Size + 0x1F) & ~0xFull;
  for (; MmMappedPool < MmNextPool; MmMappedPool += PAGE_SIZE) {
    MmMapPage(MmKernelDirectory, MmMappedPool, MmAllocatePhysicalPage(), 0x8000000000000063ull);
  }
  return (PVOID)(at + 0x10);
}

PVOID ExAllocatePoolWithTag(ULONG Type, SIZE_T Size, ULONG Tag) {
  ULONG64 flags = DisableInterrupts();
  UCHAR* block = MmAllocate(Size);
  *(ULONG*)(block - 12) = Tag;
  *(ULONG*)(block - 16) = Type;
  RestoreInterrupts(flags);
  return block;
}

// Returns the top. The page below each stack stays unmapped.
PVOID MmCreateKernelStack(void) {
  MmNextStack += PAGE_SIZE;
  for (ULONG i = 0; i < KERNEL_STACK_PAGES; ++i, MmNextStack += PAGE_SIZE) {
    MmMapPage(MmKernelDirectory, MmNextStack, MmAllocatePhysicalPage(), 0x8000000000000063ull);
  }
  return (PVOID)MmNextStack;
}

ULONG64 MmCreateAddressSpace(void) {
  ULONG64 directory = MmAllocatePhysicalPage();
  ULONG64* table = MmPhysicalToVirtual(directory);
  memcpy(table + 256, (ULONG64*)MmPhysicalToVirtual(MmKernelDirectory) + 256, 256 * 8);
  table[PTE_SELF_MAP_INDEX] = directory | 0x63;
  return directory;
}

void MmMapImagePages(ULONG64 Base, ULONG Size) {
  for (ULONG64 offset = 0; offset < Size; offset += PAGE_SIZE) {
    MmMapPage(MmKernelDirectory, Base + offset, MmAllocatePhysicalPage(), 0x63);
  }
}

// Four pages as a paged pool has them: valid, in the page file, in transition (contents still there), valid.
void MmCreatePagedPool(void) {
  MmPagedPoolStart = (UCHAR*)LW_PAGED_POOL_BASE;
  for (ULONG i = 0; i < 4; ++i) {
    ULONG64 address = LW_PAGED_POOL_BASE + i * PAGE_SIZE;
    MmMapPage(MmKernelDirectory, address, MmAllocatePhysicalPage(), 0x8000000000000063ull);
    RtlFormat((CHAR*)address, 64, "paged pool page %u", i);
  }
  BOOLEAN large;
  MMPTE* pte = MmGetPte(MmKernelDirectory, LW_PAGED_POOL_BASE + PAGE_SIZE, &large);
  MMPTE out = {0};
  out.u.Soft.Protection = 4;
  out.u.Soft.PageFileHigh = 0x1234;
  pte[0].u.Long = out.u.Long;
  MMPTE transition = {0};
  transition.u.Trans.Protection = 4;
  transition.u.Trans.Transition = 1;
  transition.u.Trans.PageFrameNumber = pte[1].u.Hard.PageFrameNumber;
  pte[1].u.Long = transition.u.Long;
}

PVOID MmGetPagedPoolSample(void) { return MmPagedPoolStart; }

void MmInitialize(const LOADER_PARAMETER_BLOCK* Block) {
  MmNextFreePage = Block->FirstFreePage;
  MmEndOfMemory = Block->EndOfMemory;
  MmKernelDirectory = MmAllocatePhysicalPage();
  ULONG64* table = MmPhysicalToVirtual(MmKernelDirectory);
  memcpy(table + 256, (ULONG64*)MmPhysicalToVirtual(Block->PageDirectoryBase) + 256, 256 * 8);
  // Every kernel slot gets its table now: address spaces made later share them by copying the upper half.
  static const ULONG64 kRanges[] = {LW_POOL_BASE, LW_STACK_BASE, LW_PAGED_POOL_BASE, 0xFFFFF78000000000ull,
                                    0xFFFFF80000000000ull};
  for (ULONG i = 0; i < sizeof(kRanges) / sizeof(kRanges[0]); ++i) {
    ULONG64* entry = &table[(kRanges[i] >> 39) & 511];
    if (*entry == 0) *entry = MmAllocatePhysicalPage() | 0x63;
  }
  table[PTE_SELF_MAP_INDEX] = MmKernelDirectory | 0x63;
  WriteCr3(MmKernelDirectory);
  MmCreatePagedPool();
}

// Boot loader of the test machine: places the kernel image, the first of the embedded images, at its own
// high address and calls its entry point. The kernel loads the other images itself.
#include "tests/target/boot/loader_block.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct StartInfo {  // PVH, Xen's hvm_start_info
  u32 magic, version, flags, module_count;
  u64 modules, command_line, rsdp, memory_map;
  u32 memory_map_entries, reserved;
};
struct MemoryMapEntry {
  u64 address, size;
  u32 type, reserved;
};

extern u64 boot_pml4[512];
extern char boot_end[];
extern const struct { u64 name, start, end; } boot_images[];
extern const u64 boot_image_count;

static u64 g_next_page;
static LOADER_PARAMETER_BLOCK g_block;
static char g_options[256];

void* memset(void* to, int value, u64 size) {
  for (u64 i = 0; i < size; ++i) ((u8*)to)[i] = (u8)value;
  return to;
}

void* memcpy(void* to, const void* from, u64 size) {
  for (u64 i = 0; i < size; ++i) ((u8*)to)[i] = ((const u8*)from)[i];
  return to;
}

static u64 AllocatePage(void) {
  u64 page = g_next_page;
  g_next_page += 0x1000;
  memset((void*)page, 0, 0x1000);
  return page;
}

static void MapPage(u64 address, u64 physical) {
  u64* table = boot_pml4;
  for (int shift = 39; shift > 12; shift -= 9) {
    u64* entry = &table[(address >> shift) & 511];
    if (!(*entry & 1)) *entry = AllocatePage() | 3;
    table = (u64*)(*entry & 0x000FFFFFFFFFF000ull);
  }
  table[(address >> 12) & 511] = physical | 3;
}

static u32 Load32(const u8* at) { return at[0] | at[1] << 8 | at[2] << 16 | (u32)at[3] << 24; }
static u64 Load64(const u8* at) { return Load32(at) | (u64)Load32(at + 4) << 32; }

// Images are linked with /filealign:4096, but sections may be larger in memory than in the file.
static u64 LoadKernel(const u8* file) {
  const u8* pe = file + Load32(file + 0x3C);
  u64 base = Load64(pe + 0x30);
  u32 image_size = Load32(pe + 0x50);
  u16 sections = (u16)(pe[6] | pe[7] << 8);
  const u8* section = pe + 24 + (pe[20] | pe[21] << 8);
  for (u32 offset = 0; offset < image_size; offset += 0x1000) MapPage(base + offset, AllocatePage());
  memcpy((void*)base, file, Load32(pe + 0x54));
  for (u16 i = 0; i < sections; ++i, section += 40) {
    u32 raw = Load32(section + 16), size = Load32(section + 8);
    memcpy((void*)(base + Load32(section + 12)), file + Load32(section + 20), raw < size ? raw : size);
  }
  g_block.KernelBase = base;
  return base + Load32(pe + 0x28);
}

void LoaderMain(const struct StartInfo* info) {
  g_next_page = ((u64)boot_end + 0xFFF) & ~0xFFFull;
  // QEMU places start_info, memory map and command line low in memory, below this image.
  const struct MemoryMapEntry* map = (const void*)info->memory_map;
  for (u32 i = 0; i < info->memory_map_entries; ++i) {
    if (map[i].type == 1 && map[i].address <= 0x100000 && map[i].address + map[i].size > 0x100000) {
      g_block.EndOfMemory = map[i].address + map[i].size;
    }
  }
  if (g_block.EndOfMemory == 0) g_block.EndOfMemory = 64ull << 20;
  const char* options = (const char*)info->command_line;
  for (u32 i = 0; options != 0 && i + 1 < sizeof(g_options) && options[i] != 0; ++i)
    g_options[i] = options[i];

  g_block.LoadOptions = (const char*)(LW_PHYSICAL_MAP + (u64)g_options);
  g_block.PageDirectoryBase = (u64)boot_pml4;
  g_block.ImageCount = boot_image_count < LW_MAX_BOOT_IMAGES ? boot_image_count : LW_MAX_BOOT_IMAGES;
  for (u64 i = 0; i < g_block.ImageCount; ++i) {
    g_block.Images[i].Name = (const char*)(LW_PHYSICAL_MAP + boot_images[i].name);
    g_block.Images[i].Data = (const u8*)(LW_PHYSICAL_MAP + boot_images[i].start);
    g_block.Images[i].Size = boot_images[i].end - boot_images[i].start;
  }
  u64 entry = LoadKernel((const u8*)boot_images[0].start);
  g_block.FirstFreePage = g_next_page;
  ((void(__attribute__((ms_abi))*)(LOADER_PARAMETER_BLOCK*))entry)(
      (LOADER_PARAMETER_BLOCK*)(LW_PHYSICAL_MAP + (u64)&g_block));
}

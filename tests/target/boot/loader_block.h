// What the boot loader hands to the kernel. Pointers are addresses inside the physical map.
#ifndef TESTS_TARGET_BOOT_LOADER_BLOCK_H_
#define TESTS_TARGET_BOOT_LOADER_BLOCK_H_

#define LW_PHYSICAL_MAP 0xFFFF800000000000ull
#define LW_MAX_BOOT_IMAGES 8
#define LW_IMAGES_ON_DEMAND 2  // the last ones are not loaded at boot

typedef struct _LOADER_IMAGE {
  const char* Name;
  const unsigned char* Data;
  unsigned long long Size;
} LOADER_IMAGE;

typedef struct _LOADER_PARAMETER_BLOCK {
  unsigned long long FirstFreePage;      // physical address
  unsigned long long EndOfMemory;        // physical address
  unsigned long long PageDirectoryBase;  // CR3 of the boot tables
  unsigned long long KernelBase;
  const char* LoadOptions;
  unsigned long long ImageCount;
  LOADER_IMAGE Images[LW_MAX_BOOT_IMAGES];  // [0] is the kernel
} LOADER_PARAMETER_BLOCK;

#endif

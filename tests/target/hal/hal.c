// The second image of the module list: a few routines drivers import from it.
#include "tests/target/nt/base_types.h"

typedef struct _HAL_COUNTERS {
  ULONG64 Queries;
  ULONG LastArgument;
} HAL_COUNTERS;

HAL_COUNTERS HalpCounters;

__declspec(dllexport) ULONG HalGetProcessorFeature(ULONG Feature) {
  ++HalpCounters.Queries;
  HalpCounters.LastArgument = Feature;
  return Feature ^ 0x5A;
}

__declspec(dllexport) void HalStallExecution(ULONG Loops) {
  for (volatile ULONG i = 0; i < Loops; ++i) {
  }
}

void HalEntry(void) {}

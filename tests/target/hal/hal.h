#ifndef TESTS_TARGET_HAL_HAL_H_
#define TESTS_TARGET_HAL_HAL_H_

#include "tests/target/nt/base_types.h"

__declspec(dllimport) ULONG HalGetProcessorFeature(ULONG Feature);
__declspec(dllimport) void HalStallExecution(ULONG Loops);

#endif

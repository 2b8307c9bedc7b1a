#include "sample.h"

int _fltused = 1;
SAMPLE_DEVICE SampleDevice;
static ULONG SampleCount = 3;

static long SampleHandler(SAMPLE_DEVICE *device, ULONG code) {
  ULONG local_total = code;
  {
    ULONG64 inner_sum = 7;
    local_total += (ULONG)inner_sum + device->Size;
  }
  SampleCount += local_total;
  return (long)local_total;
}

__declspec(dllexport) long SampleStart(SAMPLE_DEVICE *device, ULONG code) {
  device->Handler = SampleHandler;
  device->State = SampleStarted;
  return device->Handler(device, code);
}

long SampleEntry(void *driver, void *path) {
  SampleDevice.Context = driver;
  return SampleStart(&SampleDevice, path != 0);
}

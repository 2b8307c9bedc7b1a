// Compiled without optimization: every parameter and local has a home for the debugger to show.
#include "tests/target/drivers/demo.h"

static ULONG64 DemoInnerLocals(const DEMO_REQUEST* Request, LONG Depth) {
  ULONG64 scaled = (ULONG64)Depth * 16;
  DEMO_FLAGS flags;
  flags.AsLong = (ULONG)scaled;
  const CHAR* name = "inner";
  if (Depth > 0) {
    LONG next = Depth - 1;
    return DemoInnerLocals(Request, next) + flags.QueueDepth + (ULONG64)name[0];
  }
  return Request->Id;
}

ULONG64 DemoLocals(DEMO_DEVICE* Device, ULONG Round, CHAR Letter) {
  DEMO_REQUEST request = {0};
  ULONG counts[4];
  DEMO_STATE state = Device->State;
  UNICODE_STRING* name = &Device->Name;
  LONG negative = -(LONG)Round;
  request.Id = Round;
  request.Tag = Letter;
  for (ULONG i = 0; i < 4; ++i) {
    ULONG square = i * i;
    counts[i] = square + Round;
  }
  ULONG64 result =
      DemoInnerLocals(&request, 3) + counts[3] + (ULONG64)state + name->Length + (ULONG64)-negative;
  return result;
}

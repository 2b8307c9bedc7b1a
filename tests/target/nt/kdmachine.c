// Registers of the machine for the debugger: control space, MSRs, ports, version (kd-protocol.md 3.3-3.5).
#include "tests/target/nt/kd.h"

static BOOLEAN ControlSpace(UCHAR* Request, BOOLEAN Write, ULONG DataSize) {
  ULONG processor = Get16(Request + 6), wanted = Get32(Request + 0x18);
  ULONG64 selector = Get64(Request + 0x10), pointer;
  Put32(Request + 0x1C, 0);
  if (processor >= MAXIMUM_PROCESSORS) return FALSE;
  KPRCB* prcb = KiProcessorBlock[processor];
  void* source = &pointer;
  ULONG size = 8;
  switch (selector) {
    case 0:
      pointer = (ULONG64)&KiProcessorControlRegion[processor];
      break;
    case 1:
      pointer = (ULONG64)prcb;
      break;
    case 2:
      source = &prcb->ProcessorState.SpecialRegisters;
      size = sizeof(KSPECIAL_REGISTERS);
      break;
    case 3:
      pointer = (ULONG64)prcb->CurrentThread;
      break;
    default:
      return FALSE;
  }
  if (Write) {
    if (selector != 2) return FALSE;
    if (DataSize < size) size = DataSize;
    memcpy(source, Request + KDP_MANIPULATE_SIZE, size);
  } else {
    if (wanted < size) size = wanted;
    memcpy(Request + KDP_MANIPULATE_SIZE, source, size);
  }
  Put32(Request + 0x1C, size);
  return TRUE;
}

static NTSTATUS IoSpace(UCHAR* Request, BOOLEAN Write) {
  ULONG64 port = Get64(Request + 0x10);
  ULONG size = Get32(Request + 0x18), value = Get32(Request + 0x1C);
  if (size != 1 && size != 2 && size != 4) return STATUS_INVALID_PARAMETER;
  if (port > 0xFFFF) return STATUS_INVALID_PARAMETER;
  if (port & (size - 1)) return STATUS_DATATYPE_MISALIGNMENT;
  if (Write) {
    if (size == 1) WritePort8((USHORT)port, (UCHAR)value);
    if (size == 2) WritePort16((USHORT)port, (USHORT)value);
    if (size == 4) WritePort32((USHORT)port, value);
  } else {
    value = size == 1   ? ReadPort8((USHORT)port)
            : size == 2 ? ReadPort16((USHORT)port)
                        : ReadPort32((USHORT)port);
    Put32(Request + 0x1C, value);
  }
  return STATUS_SUCCESS;
}

// The emulated processor ignores accesses to numbers it does not know, so the architectural ranges decide.
static NTSTATUS Msr(UCHAR* Request, BOOLEAN Write) {
  ULONG number = Get32(Request + 0x10);
  if (number > 0x1FFF && (number < 0xC0000000 || number > 0xC0001FFF)) return STATUS_NO_SUCH_DEVICE;
  ULONG64 value = Get32(Request + 0x14) | (ULONG64)Get32(Request + 0x18) << 32;
  if (Write) return KiGuardedWriteMsr(number, value) ? STATUS_SUCCESS : STATUS_NO_SUCH_DEVICE;
  if (!KiGuardedReadMsr(number, &value)) return STATUS_NO_SUCH_DEVICE;
  Put32(Request + 0x14, (ULONG)value);
  Put32(Request + 0x18, (ULONG)(value >> 32));
  return STATUS_SUCCESS;
}

static void Version(UCHAR* Request) {
  static const UCHAR kFixed[12] = {6, 2, 7, 0, 0x64, 0x86, 0x0C, 3, 0x31, 0, 0, 0};
  extern UCHAR __ImageBase[];
  Put16(Request + 0x10, 0x0F);
  Put16(Request + 0x12, LW_BUILD_NUMBER);
  memcpy(Request + 0x14, kFixed, sizeof(kFixed));
  Put64(Request + 0x20, (ULONG64)__ImageBase);
  Put64(Request + 0x28, (ULONG64)&PsLoadedModuleList);
  Put64(Request + 0x30, (ULONG64)&KdpDebuggerDataListHead);
}

void KdpServeMachine(ULONG Api, UCHAR* Request, ULONG DataSize) {
  NTSTATUS status = STATUS_SUCCESS;
  switch (Api) {
    case 0x3137:
    case 0x3138:
      status = ControlSpace(Request, Api == 0x3138, DataSize) ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
      break;
    case 0x3139:
    case 0x313A:
      status = IoSpace(Request, Api == 0x313A);
      break;
    case 0x3146:
      Version(Request);
      break;
    case 0x3152:
    case 0x3153:
      status = Msr(Request, Api == 0x3153);
      break;
  }
  Put32(Request + 8, (ULONG)status);
}

// The conversation of a stopped machine: the state change, requests, and the continue that ends it.
#include "tests/target/nt/kd.h"

#define STATE_CHANGE_SIZE 0xF0

UCHAR KdpMessage[KDP_MAXIMUM_PAYLOAD];

typedef enum { Reply, Silent, ReportAgain, Resume } KDP_OUTCOME;

static CONTEXT* ContextOf(KDP_SESSION* Session, ULONG Processor) {
  if (Processor >= MAXIMUM_PROCESSORS) return NULL;
  return Processor == KeGetCurrentPrcb()->Number ? Session->Context : KiProcessorBlock[Processor]->Context;
}

static void BuildCommon(KDP_SESSION* Session, ULONG NewState) {
  UCHAR* report = Session->StateChange;
  const KPRCB* prcb = KiProcessorBlock[Session->Processor];
  const CONTEXT* context = ContextOf(Session, Session->Processor);
  memset(report, 0, STATE_CHANGE_SIZE);
  Put32(report, NewState);
  Put16(report + 4, (ULONG)prcb->CpuType);
  Put16(report + 6, Session->Processor);
  Put32(report + 8, MAXIMUM_PROCESSORS);
  Put64(report + 0x10, (ULONG64)prcb->CurrentThread);
  Put64(report + 0x18, context->Rip);
  Put64(report + 0xC0, prcb->ProcessorState.SpecialRegisters.KernelDr6);
  Put64(report + 0xC8, prcb->ProcessorState.SpecialRegisters.KernelDr7);
  Put32(report + 0xD0, context->EFlags);
  Put16(report + 0xD6, 1 | (context->SegCs == 0x10 ? 2 : 0));
  // Breakpoints in the reported bytes are taken out for good, so that the host sees clean code (2.5).
  KdpDeleteBreakpointsIn(context->Rip, context->Rip + 16);
  Put16(report + 0xD4, KdpCopyVirtual(context->Rip, report + 0xD8, 16, FALSE));
  Put16(report + 0xE8, context->SegCs);
  Put16(report + 0xEA, context->SegDs);
  Put16(report + 0xEC, context->SegEs);
  Put16(report + 0xEE, context->SegFs);
  Session->StateChangeSize = STATE_CHANGE_SIZE;
}

void KdpBuildExceptionReport(KDP_SESSION* Session, const EXCEPTION_RECORD* Record, BOOLEAN SecondChance) {
  BuildCommon(Session, 0x3030);
  memcpy(Session->StateChange + 0x20, Record, sizeof(*Record));
  Put32(Session->StateChange + 0xB8, !SecondChance);
}

void KdpBuildSymbolsReport(KDP_SESSION* Session, const KD_SYMBOLS_INFO* Info, const CHAR* Path,
                           BOOLEAN Unload) {
  BuildCommon(Session, 0x3031);
  UCHAR* report = Session->StateChange;
  ULONG length = Path != NULL ? (ULONG)strlen(Path) + 1 : 0;
  Put32(report + 0x20, length);
  Put64(report + 0x28, (ULONG64)Info->BaseOfDll);
  Put64(report + 0x30, (ULONG64)Info->ProcessId);
  Put32(report + 0x38, Info->CheckSum);
  Put32(report + 0x3C, Info->SizeOfImage);
  report[0x40] = Unload;
  memcpy(report + STATE_CHANGE_SIZE, Path, length);
  Session->StateChangeSize += length;
}

static NTSTATUS GetContext(KDP_SESSION* Session, ULONG* DataSize, BOOLEAN Extended) {
  const CONTEXT* context = ContextOf(Session, Get16(KdpMessage + 6));
  ULONG offset = Extended ? Get32(KdpMessage + 0x10) : 0;
  ULONG size = Extended ? Get32(KdpMessage + 0x14) : sizeof(CONTEXT);
  if (Extended) Put32(KdpMessage + 0x18, 0);
  if (context == NULL || offset > sizeof(CONTEXT) || size > sizeof(CONTEXT) - offset)
    return STATUS_UNSUCCESSFUL;
  memcpy(KdpMessage + KDP_MANIPULATE_SIZE, (const UCHAR*)context + offset, size);
  if (Extended) Put32(KdpMessage + 0x18, size);
  *DataSize = size;
  Session->ContextRead = TRUE;
  return STATUS_SUCCESS;
}

// Chunks of SetContextEx are staged and take effect when the last one reaches the total the host announced.
static NTSTATUS SetContext(KDP_SESSION* Session, ULONG DataSize, BOOLEAN Extended) {
  static CONTEXT staged;
  CONTEXT* context = ContextOf(Session, Get16(KdpMessage + 6));
  const UCHAR* data = KdpMessage + KDP_MANIPULATE_SIZE;
  if (context == NULL || !Session->ContextRead) return STATUS_UNSUCCESSFUL;
  if (!Extended) {
    if (DataSize < sizeof(CONTEXT)) return STATUS_UNSUCCESSFUL;
    memcpy(context, data, sizeof(CONTEXT));
    return STATUS_SUCCESS;
  }
  ULONG offset = Get32(KdpMessage + 0x10), size = Get32(KdpMessage + 0x14), total = Get32(KdpMessage + 0x18);
  Put32(KdpMessage + 0x18, 0);
  if (offset > sizeof(CONTEXT) || size > sizeof(CONTEXT) - offset || size > DataSize)
    return STATUS_UNSUCCESSFUL;
  if (offset == 0) staged = *context;
  memcpy((UCHAR*)&staged + offset, data, size);
  if (offset + size >= total) *context = staged;
  Put32(KdpMessage + 0x18, size);
  return STATUS_SUCCESS;
}

static void WriteBreakpoints(ULONG DataSize, BOOLEAN Restore) {
  ULONG count = Get32(KdpMessage + 0x10), entry = Restore ? 4 : 16;
  UCHAR* data = KdpMessage + KDP_MANIPULATE_SIZE;
  NTSTATUS status = count <= DataSize / entry ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
  for (ULONG i = 0; i < count && i < DataSize / entry; ++i, data += entry) {
    if (Restore) {
      BOOLEAN deleted = KdpDeleteBreakpoint(Get32(data));
      Put32(data, deleted ? STATUS_SUCCESS : (ULONG)STATUS_UNSUCCESSFUL);
      if (!deleted) status = STATUS_UNSUCCESSFUL;
      continue;
    }
    // A nonzero handle names an entry to be removed first (ROS, windbgkd.h).
    if (Get32(data + 8) != 0) KdpDeleteBreakpoint(Get32(data + 8));
    Put32(data + 8, KdpAddBreakpoint(Get64(data)));
    if (Get32(data + 8) == 0) status = STATUS_UNSUCCESSFUL;
  }
  Put32(KdpMessage + 8, (ULONG)status);
}

static void ApplyControlSet(KDP_SESSION* Session) {
  CONTEXT* context = ContextOf(Session, Session->Processor);
  if (Get32(KdpMessage + 0x14) == 1) {
    context->EFlags |= 0x100;
  } else {
    context->EFlags &= ~0x100u;
  }
  for (ULONG i = 0; i < MAXIMUM_PROCESSORS; ++i) {
    KSPECIAL_REGISTERS* special = &KiProcessorBlock[i]->ProcessorState.SpecialRegisters;
    special->KernelDr6 = 0;
    special->KernelDr7 = Get64(KdpMessage + 0x18);
  }
}

// The reporter's again, after another processor was continued: what happened stays, where it stands is looked up.
static KDP_OUTCOME ReturnToReporter(KDP_SESSION* Session) {
  ULONG size = Session->FirstReportSize;
  Session->Processor = Session->Reporter;
  Session->ContextRead = FALSE;
  BuildCommon(Session, Get32(Session->FirstReport));
  Session->StateChangeSize = size;
  memcpy(Session->StateChange + 0x20, Session->FirstReport + 0x20, 0xA0);
  memcpy(Session->StateChange + STATE_CHANGE_SIZE, Session->FirstReport + STATE_CHANGE_SIZE,
         size - STATE_CHANGE_SIZE);
  return ReportAgain;
}

static KDP_OUTCOME Continue(KDP_SESSION* Session, BOOLEAN Controls, BOOLEAN* Handled) {
  *Handled = NT_SUCCESS((NTSTATUS)Get32(KdpMessage + 0x10));
  if (Controls && *Handled) ApplyControlSet(Session);
  return Session->Processor == Session->Reporter ? Resume : ReturnToReporter(Session);
}

static KDP_OUTCOME SwitchProcessor(KDP_SESSION* Session) {
  ULONG processor = Get16(KdpMessage + 6);
  if (processor >= MAXIMUM_PROCESSORS) {
    Put32(KdpMessage + 8, (ULONG)STATUS_UNSUCCESSFUL);
    return Reply;
  }
  if (Session->Processor == Session->Reporter) {
    memcpy(Session->FirstReport, Session->StateChange, Session->StateChangeSize);
    Session->FirstReportSize = Session->StateChangeSize;
  }
  Session->Processor = processor;
  EXCEPTION_RECORD record = {.ExceptionCode = STATUS_WAKE_SYSTEM_DEBUGGER};
  record.ExceptionAddress = (PVOID)ContextOf(Session, processor)->Rip;
  KdpBuildExceptionReport(Session, &record, FALSE);
  Session->ContextRead = FALSE;
  return ReportAgain;
}

static KDP_OUTCOME Serve(KDP_SESSION* Session, ULONG Received, ULONG* DataSize, BOOLEAN* Handled) {
  ULONG api = Get32(KdpMessage), data = Received - KDP_MANIPULATE_SIZE;
  *DataSize = 0;
  switch (api) {
    case 0x3130:
    case 0x313D:
      KdpServeMemory(api, KdpMessage, data);
      *DataSize = Get32(KdpMessage + 0x1C);
      return Reply;
    case 0x3131:
    case 0x313E:
    case 0x3134:
    case 0x3135:
    case 0x3156:
    case 0x315B:
    case 0x315C:
      KdpServeMemory(api, KdpMessage, data);
      return Reply;
    case 0x3132:
    case 0x315F:
      Put32(KdpMessage + 8, (ULONG)GetContext(Session, DataSize, api == 0x315F));
      return Reply;
    case 0x3133:
    case 0x3160:
      Put32(KdpMessage + 8, (ULONG)SetContext(Session, data, api == 0x3160));
      return Reply;
    case 0x3137:
    case 0x3138:
    case 0x3139:
    case 0x313A:
    case 0x3146:
    case 0x3152:
    case 0x3153:
      KdpServeMachine(api, KdpMessage, data);
      if (api == 0x3137) *DataSize = Get32(KdpMessage + 0x1C);
      return Reply;
    case 0x3147:
    case 0x3148:
      WriteBreakpoints(data, api == 0x3148);
      *DataSize = data;
      return Reply;
    case 0x313C:
    case 0x3136:
      return Continue(Session, api == 0x313C, Handled);
    case 0x313B:
      KiResetProcessor();
    case 0x3149:
      KiBugCheckFromDebugger();
      return Silent;
    case 0x3141:
    case 0x315A:
      return Silent;
    case 0x3150:
      return SwitchProcessor(Session);
    default:
      Put32(KdpMessage + 8, (ULONG)STATUS_UNSUCCESSFUL);
      return Reply;
  }
}

static BOOLEAN SendReport(KDP_SESSION* Session, BOOLEAN GiveUp) {
  return KdpSendPacket(PACKET_TYPE_KD_STATE_CHANGE64, Session->StateChange, Session->StateChangeSize, NULL, 0,
                       GiveUp);
}

BOOLEAN KdpSendWaitContinue(KDP_SESSION* Session) {
  BOOLEAN symbols = Get32(Session->StateChange) == 0x3031, handled = TRUE;
  // Load-symbols reports are given up when nobody listens; an exception waits for its debugger for ever.
  if (!SendReport(Session, symbols)) return TRUE;
  for (;;) {
    ULONG size, data_size;
    KDP_STATUS status =
        KdpReceivePacket(PACKET_TYPE_KD_STATE_MANIPULATE, KDP_MANIPULATE_SIZE, KdpMessage, &size);
    if (status == KdpTimeout) continue;
    if (status == KdpResend) {
      if (!SendReport(Session, symbols)) return TRUE;
      continue;
    }
    switch (Serve(Session, size, &data_size, &handled)) {
      case Reply:
        KdpSendPacket(PACKET_TYPE_KD_STATE_MANIPULATE, KdpMessage, KDP_MANIPULATE_SIZE + data_size, NULL, 0,
                      FALSE);
        break;
      case ReportAgain:
        if (!SendReport(Session, FALSE)) return TRUE;
        break;
      case Silent:
        break;
      case Resume:
        return handled;
    }
  }
}

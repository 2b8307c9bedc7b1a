// Prints, prompts and files asked of the host (kd-protocol.md 4).
#include "tests/target/nt/kd.h"

#define MAXIMUM_REMOTE_FILE (1u << 20)
#define FILE_HEADER 64

static void FillHeader(UCHAR* Header, ULONG Api, ULONG Length, ULONG Limit) {
  const KPRCB* prcb = KeGetCurrentPrcb();
  Put32(Header, Api);
  Put16(Header + 4, (ULONG)prcb->CpuType);
  Put16(Header + 6, prcb->Number);
  Put32(Header + 8, Length);
  Put32(Header + 12, Limit);
}

void KdpPrint(const CHAR* Text, ULONG Length) {
  UCHAR header[16];
  if (KdDebuggerNotPresent) return;
  if (Length > KDP_STRING_LIMIT) Length = KDP_STRING_LIMIT;
  FillHeader(header, 0x3230, Length, 0);
  KdpSendPacket(PACKET_TYPE_KD_DEBUG_IO, header, sizeof(header), Text, Length, TRUE);
}

ULONG KdpPrompt(const CHAR* Prompt, ULONG PromptLength, CHAR* Answer, ULONG Limit) {
  UCHAR header[16];
  if (KdDebuggerNotPresent) return 0;
  if (PromptLength > KDP_STRING_LIMIT) PromptLength = KDP_STRING_LIMIT;
  if (Limit > KDP_STRING_LIMIT) Limit = KDP_STRING_LIMIT;
  for (;;) {
    FillHeader(header, 0x3231, PromptLength, Limit);
    KdpSendPacket(PACKET_TYPE_KD_DEBUG_IO, header, sizeof(header), Prompt, PromptLength, FALSE);
    ULONG size;
    KDP_STATUS status;
    do {
      status = KdpReceivePacket(PACKET_TYPE_KD_DEBUG_IO, sizeof(header), KdpMessage, &size);
    } while (status == KdpTimeout);
    if (status == KdpResend) continue;
    ULONG length = Get32(KdpMessage + 12);
    if (length > size - sizeof(header)) length = (ULONG)(size - sizeof(header));
    if (length > Limit) length = Limit;
    memcpy(Answer, KdpMessage + sizeof(header), length);
    return length;
  }
}

// Sends KdpMessage (header plus data) and waits for the answer of the same api, which replaces it.
static BOOLEAN ExchangeFile(ULONG Api, ULONG Size, BOOLEAN GiveUp, ULONG* Received) {
  static UCHAR request[FILE_HEADER + 256];
  memcpy(request, KdpMessage, Size);
  for (;;) {
    if (!KdpSendPacket(PACKET_TYPE_KD_FILE_IO, request, Size, NULL, 0, GiveUp)) return FALSE;
    KDP_STATUS status;
    do {
      status = KdpReceivePacket(PACKET_TYPE_KD_FILE_IO, FILE_HEADER, KdpMessage, Received);
    } while (status == KdpTimeout || (status == KdpReceived && Get32(KdpMessage) != Api));
    if (status == KdpReceived) return TRUE;
  }
}

static BOOLEAN OpenRemote(const CHAR* Path, ULONG64* Handle, ULONG64* Length) {
  SIZE_T characters = strlen(Path) + 1;
  ULONG received;
  memset(KdpMessage, 0, FILE_HEADER);
  Put32(KdpMessage, 0x3430);
  Put32(KdpMessage + 8, 0x00120089);
  Put32(KdpMessage + 0x0C, 0x80);
  Put32(KdpMessage + 0x10, 1);
  Put32(KdpMessage + 0x14, 1);
  for (SIZE_T i = 0; i < characters; ++i) Put16(KdpMessage + FILE_HEADER + i * 2, (UCHAR)Path[i]);
  if (!ExchangeFile(0x3430, FILE_HEADER + (ULONG)characters * 2, TRUE, &received)) return FALSE;
  *Handle = Get64(KdpMessage + 0x20);
  *Length = Get64(KdpMessage + 0x28);
  return NT_SUCCESS((NTSTATUS)Get32(KdpMessage + 4));
}

static ULONG ReadRemote(ULONG64 Handle, ULONG64 Offset, ULONG Wanted, UCHAR* To) {
  ULONG received;
  memset(KdpMessage, 0, FILE_HEADER);
  Put32(KdpMessage, 0x3431);
  Put64(KdpMessage + 8, Handle);
  Put64(KdpMessage + 0x10, Offset);
  Put32(KdpMessage + 0x18, Wanted);
  ExchangeFile(0x3431, FILE_HEADER, FALSE, &received);
  ULONG length = Get32(KdpMessage + 0x18);
  if (!NT_SUCCESS((NTSTATUS)Get32(KdpMessage + 4)) || length > received - FILE_HEADER || length > Wanted)
    return 0;
  memcpy(To, KdpMessage + FILE_HEADER, length);
  return length;
}

// The whole file if the host has a replacement for it, else NULL.
UCHAR* KdPullRemoteFile(const CHAR* Path, SIZE_T* Size) {
  ULONG64 handle, length, flags = DisableInterrupts();
  UCHAR* file = NULL;
  if (!KdDebuggerNotPresent && OpenRemote(Path, &handle, &length)) {
    if (length > 0 && length <= MAXIMUM_REMOTE_FILE) file = MmAllocate(length);
    ULONG64 done = 0;
    while (file != NULL && done < length) {
      ULONG64 left = length - done, limit = KDP_MAXIMUM_PAYLOAD - FILE_HEADER;
      ULONG copied = ReadRemote(handle, done, (ULONG)(left < limit ? left : limit), file + done);
      if (copied == 0) file = NULL;
      done += copied;
    }
    ULONG received;
    memset(KdpMessage, 0, FILE_HEADER);
    Put32(KdpMessage, 0x3433);
    Put64(KdpMessage + 8, handle);
    ExchangeFile(0x3433, FILE_HEADER, FALSE, &received);
    *Size = length;
  }
  RestoreInterrupts(flags);
  return file;
}

ULONG DbgPrint(const CHAR* Format, ...) {
  CHAR text[1024];
  va_list args;
  va_start(args, Format);
  SIZE_T length = RtlFormatV(text, sizeof(text), Format, args);
  va_end(args);
  if (DebugService(BREAKPOINT_PRINT, text, length, 0, 0) == STATUS_BREAKPOINT && KdPollBreakIn()) {
    DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
  }
  return 0;
}

ULONG DbgPrompt(const CHAR* Prompt, CHAR* Response, ULONG Length) {
  return (ULONG)DebugService(BREAKPOINT_PROMPT, Prompt, strlen(Prompt), (ULONG64)Response, Length);
}

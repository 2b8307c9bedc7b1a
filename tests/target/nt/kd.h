// The kernel side of the KD protocol (kd-protocol.md 1-4): what its parts share.
#ifndef TESTS_TARGET_NT_KD_H_
#define TESTS_TARGET_NT_KD_H_

#include "tests/target/nt/kernel.h"

#define PACKET_TYPE_KD_STATE_MANIPULATE 2
#define PACKET_TYPE_KD_DEBUG_IO 3
#define PACKET_TYPE_KD_ACKNOWLEDGE 4
#define PACKET_TYPE_KD_RESEND 5
#define PACKET_TYPE_KD_RESET 6
#define PACKET_TYPE_KD_STATE_CHANGE64 7
#define PACKET_TYPE_KD_FILE_IO 11

#define KDP_MAXIMUM_PAYLOAD 4000
#define KDP_MANIPULATE_SIZE 0x38
#define KDP_MAXIMUM_DATA (KDP_MAXIMUM_PAYLOAD - KDP_MANIPULATE_SIZE)
#define KDP_STRING_LIMIT 512

typedef enum _KDP_STATUS { KdpReceived, KdpTimeout, KdpResend } KDP_STATUS;

typedef struct _KD_SYMBOLS_INFO {
  PVOID BaseOfDll;
  PVOID ProcessId;
  ULONG CheckSum;
  ULONG SizeOfImage;
} KD_SYMBOLS_INFO;

typedef struct _BREAKPOINT_ENTRY {
  BOOLEAN Used;
  BOOLEAN Planted;
  UCHAR Content;
  ULONG64 Address;
  ULONG64 DirectoryTableBase;
} BREAKPOINT_ENTRY;

extern BOOLEAN KdDebuggerNotPresent;
extern UCHAR KdpMessage[KDP_MAXIMUM_PAYLOAD];

// kdcom.c. Send gives up when GiveUp is set and no answer came after 20 tries; false then.
void KdpPortInitialize(ULONG64 TimeoutMilliseconds);
BOOLEAN KdpSendPacket(ULONG Type, const void* Header, ULONG HeaderSize, const void* Data, ULONG DataSize,
                      BOOLEAN GiveUp);
KDP_STATUS KdpReceivePacket(ULONG Type, ULONG MinimumSize, UCHAR* Payload, ULONG* Size);
BOOLEAN KdpTakeBreakInByte(void);

// kdmanip.c. Serves requests until a continue; the result tells whether the exception counts as handled.
typedef struct _KDP_SESSION {
  CONTEXT* Context;  // of the processor that serves
  ULONG Reporter;    // the one whose exception stopped the machine: its continue lets it run
  ULONG Processor;   // the one that reported last
  BOOLEAN ContextRead;
  UCHAR* StateChange;  // sent, and sent again after a reset
  ULONG StateChangeSize;
  UCHAR* FirstReport;  // the reporter's, while another is switched to
  ULONG FirstReportSize;
} KDP_SESSION;
BOOLEAN KdpSendWaitContinue(KDP_SESSION* Session);
void KdpBuildExceptionReport(KDP_SESSION* Session, const EXCEPTION_RECORD* Record, BOOLEAN SecondChance);

// kdmemory.c
ULONG KdpCopyVirtual(ULONG64 Address, void* Buffer, ULONG Size, BOOLEAN Write);
ULONG KdpCopyPhysical(ULONG64 Address, void* Buffer, ULONG Size, BOOLEAN Write);
ULONG KdpAddBreakpoint(ULONG64 Address);
BOOLEAN KdpDeleteBreakpoint(ULONG Handle);
void KdpDeleteBreakpointsIn(ULONG64 Start, ULONG64 End);
void KdpPlantBreakpoints(void);
void KdpServeMemory(ULONG Api, UCHAR* Request, ULONG DataSize);

// kdmachine.c
void KdpServeMachine(ULONG Api, UCHAR* Request, ULONG DataSize);

// kdprint.c
UCHAR* KdPullRemoteFile(const CHAR* Path, SIZE_T* Size);

static inline ULONG Get16(const UCHAR* at) { return at[0] | at[1] << 8; }
static inline ULONG Get32(const UCHAR* at) { return *(const ULONG*)at; }
static inline ULONG64 Get64(const UCHAR* at) { return *(const ULONG64*)at; }
static inline void Put16(UCHAR* at, ULONG value) { *(USHORT*)at = (USHORT)value; }
static inline void Put32(UCHAR* at, ULONG value) { *(ULONG*)at = value; }
static inline void Put64(UCHAR* at, ULONG64 value) { *(ULONG64*)at = value; }

#endif

// COM1 and the packet layer: leaders, ids, acknowledgements, retries (kd-protocol.md 1).
#include "tests/target/nt/kd.h"

#define COM1 0x3F8
#define INITIAL_ID 0x80800000u
#define SYNC_ID 0x800u
#define MAXIMUM_RETRIES 20
#define DATA_LEADER 0x30
#define CONTROL_LEADER 0x69
#define FIFO_DEPTH 16
#define MILLISECONDS_PER_TICK (1000 / CLOCK_HZ)
#define PUT_MILLISECONDS 2000

typedef enum { RxTimeout, RxControl, RxData, RxBad } RX_RESULT;

BOOLEAN KdDebuggerNotPresent = TRUE;
volatile BOOLEAN KdpHalted;
volatile ULONG KdpHaltedTicks;
static ULONG KdpNextId = INITIAL_ID | SYNC_ID;
static ULONG KdpExpectedId = INITIAL_ID;
static ULONG KdpTimeoutTicks;   // of the clock
static ULONG64 KdpPutPatience;  // of the processor's counter
static ULONG KdpFifoRoom;
static BOOLEAN KdpStuck;  // nobody takes the bytes of this packet
static BOOLEAN KdpBreakInSeen;
static UCHAR KdpReceiveBuffer[KDP_MAXIMUM_PAYLOAD];
static struct { ULONG type, size, id; } KdpPacket;

void KdpSetPresence(BOOLEAN Present) {
  KdDebuggerNotPresent = !Present;
  *(UCHAR*)0xFFFFF780000002D4ull = Present ? 3 : 1;
}

void KdpPortInitialize(ULONG64 TimeoutMilliseconds) {
  WritePort8(COM1 + 1, 0);
  WritePort8(COM1 + 3, 0x80);
  WritePort8(COM1, 1);
  WritePort8(COM1 + 1, 0);
  WritePort8(COM1 + 3, 3);
  WritePort8(COM1 + 2, 7);
  WritePort8(COM1 + 4, 0xB);
  WritePort8(COM1 + 1, 1);
  KdpTimeoutTicks = (ULONG)TimeoutMilliseconds / MILLISECONDS_PER_TICK + 1;
  KdpPutPatience = KiMeasureMillisecond() * PUT_MILLISECONDS;
}

// Time is counted in ticks that were seen: an emulator that does not get its host's processor brings neither
// bytes nor ticks, and the line is not silent because of that.
static BOOLEAN GetByte(UCHAR* Byte) {
  for (ULONG start = KdpHaltedTicks;;) {
    BOOLEAN late = KdpHaltedTicks - start >= KdpTimeoutTicks;
    if (ReadPort8(COM1 + 5) & 1) {
      *Byte = ReadPort8(COM1);
      return TRUE;
    }
    if (late) return FALSE;
    // The port's interrupt or the next clock tick ends the halt; neither does anything else while it lasts.
    KdpHalted = TRUE;
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    KdpHalted = FALSE;
  }
}

// A host that does not read must not hang the machine: what is left of the packet is lost after the time-out.
static void PutByte(UCHAR Byte) {
  if (KdpStuck) return;
  if (KdpFifoRoom == 0) {
    for (ULONG64 start = ReadTsc(); !(ReadPort8(COM1 + 5) & 0x20) && !KdpStuck;) {
      KdpStuck = ReadTsc() - start >= KdpPutPatience;
      __asm__ volatile("pause");
    }
    KdpFifoRoom = FIFO_DEPTH;
  }
  WritePort8(COM1, Byte);
  --KdpFifoRoom;
}

static void PutBytes(const void* Bytes, ULONG Size) {
  for (ULONG i = 0; i < Size; ++i) PutByte(((const UCHAR*)Bytes)[i]);
}

static ULONG Sum(const UCHAR* Bytes, ULONG Size) {
  ULONG sum = 0;
  for (ULONG i = 0; i < Size; ++i) sum += Bytes[i];
  return sum;
}

static void SendHeader(UCHAR Leader, ULONG Type, ULONG Size, ULONG Id, ULONG Checksum) {
  UCHAR header[16];
  memset(header, Leader, 4);
  Put16(header + 4, Type);
  Put16(header + 6, Size);
  Put32(header + 8, Id);
  Put32(header + 12, Checksum);
  KdpFifoRoom = 0;
  KdpStuck = FALSE;
  PutBytes(header, sizeof(header));
}

static void SendControl(ULONG Type, ULONG Id) { SendHeader(CONTROL_LEADER, Type, 0, Id, 0); }

static BOOLEAN FindLeader(UCHAR* Leader) {
  ULONG run = 0;
  UCHAR last = 0, byte;
  KdpBreakInSeen = FALSE;
  while (GetByte(&byte)) {
    if (byte != DATA_LEADER && byte != CONTROL_LEADER) {
      run = 0;
      KdpBreakInSeen = byte == 'b';
      last = 0;
      continue;
    }
    run = byte == last ? run + 1 : 1;
    last = byte;
    if (run == 4) {
      *Leader = byte;
      return TRUE;
    }
  }
  return FALSE;
}

// One packet, whole or found bad. The payload of a good data packet is in KdpReceiveBuffer.
static RX_RESULT ReadPacket(void) {
  UCHAR leader, header[12], byte;
  if (!FindLeader(&leader)) return RxTimeout;
  for (ULONG i = 0; i < sizeof(header); ++i) {
    if (!GetByte(&header[i])) return leader == CONTROL_LEADER ? RxTimeout : RxBad;
  }
  KdpSetPresence(TRUE);
  KdpPacket.type = Get16(header);
  KdpPacket.size = Get16(header + 2);
  KdpPacket.id = Get32(header + 4);
  if (leader == CONTROL_LEADER) return RxControl;
  if (KdpPacket.size == 0 || KdpPacket.size > KDP_MAXIMUM_PAYLOAD) return RxBad;
  for (ULONG i = 0; i < KdpPacket.size; ++i) {
    if (!GetByte(&KdpReceiveBuffer[i])) return RxBad;
  }
  if (!GetByte(&byte) || byte != 0xAA) return RxBad;
  return Sum(KdpReceiveBuffer, KdpPacket.size) == Get32(header + 8) ? RxData : RxBad;
}

static void HandleReset(void) {
  KdpNextId = KdpExpectedId = INITIAL_ID;
  SendControl(PACKET_TYPE_KD_RESET, 0);
}

typedef enum { AckDone, AckAgain, AckSilence } ACK_RESULT;

static ACK_RESULT WaitForAcknowledge(void) {
  for (;;) {
    switch (ReadPacket()) {
      case RxTimeout:
        return AckSilence;
      case RxControl:
        if (KdpPacket.type == PACKET_TYPE_KD_ACKNOWLEDGE) {
          if (KdpPacket.id == (KdpNextId & ~SYNC_ID)) return AckDone;
        } else if (KdpPacket.type == PACKET_TYPE_KD_RESET) {
          HandleReset();
          return AckAgain;
        } else if (KdpPacket.type == PACKET_TYPE_KD_RESEND) {
          return AckAgain;
        }
        break;
      case RxData:
      case RxBad:
        // The host has moved on, so it must have received this packet; it has to send its own again.
        SendControl(PACKET_TYPE_KD_RESEND, 0);
        return AckDone;
    }
  }
}

BOOLEAN KdpSendPacket(ULONG Type, const void* Header, ULONG HeaderSize, const void* Data, ULONG DataSize,
                      BOOLEAN GiveUp) {
  ULONG checksum = Sum(Header, HeaderSize) + Sum(Data, DataSize);
  for (ULONG retries = MAXIMUM_RETRIES;;) {
    SendHeader(DATA_LEADER, Type, HeaderSize + DataSize, KdpNextId, checksum);
    PutBytes(Header, HeaderSize);
    PutBytes(Data, DataSize);
    PutByte(0xAA);
    ACK_RESULT result = WaitForAcknowledge();
    if (result == AckDone) {
      KdpNextId = (KdpNextId & ~SYNC_ID) ^ 1;
      return TRUE;
    }
    if (result == AckSilence && GiveUp && --retries == 0) {
      KdpSetPresence(FALSE);
      KdpNextId = INITIAL_ID | SYNC_ID;
      KdpExpectedId = INITIAL_ID;
      return FALSE;
    }
  }
}

KDP_STATUS KdpReceivePacket(ULONG Type, ULONG MinimumSize, UCHAR* Payload, ULONG* Size) {
  for (;;) {
    RX_RESULT result = ReadPacket();
    if (result == RxTimeout) return KdpBreakInSeen ? KdpResend : KdpTimeout;
    if (result == RxControl) {
      if (KdpPacket.type == PACKET_TYPE_KD_RESET) HandleReset();
      if (KdpPacket.type == PACKET_TYPE_KD_RESET || KdpPacket.type == PACKET_TYPE_KD_RESEND) return KdpResend;
      continue;
    }
    if (result == RxBad || (KdpPacket.type == Type && KdpPacket.size < MinimumSize)) {
      SendControl(PACKET_TYPE_KD_RESEND, 0);
      continue;
    }
    SendControl(PACKET_TYPE_KD_ACKNOWLEDGE, KdpPacket.id);
    if (KdpPacket.id != KdpExpectedId || KdpPacket.type != Type) continue;
    KdpExpectedId ^= 1;
    memcpy(Payload, KdpReceiveBuffer, KdpPacket.size);
    *Size = KdpPacket.size;
    return KdpReceived;
  }
}

// A running machine looks at one byte per tick; anything but a break-in is thrown away.
BOOLEAN KdpTakeBreakInByte(void) {
  if (!(ReadPort8(COM1 + 5) & 1) || ReadPort8(COM1) != 'b') return FALSE;
  KdpSetPresence(TRUE);
  return TRUE;
}

#pragma once

typedef unsigned char UCHAR;
typedef unsigned short USHORT;
typedef unsigned long ULONG;
typedef long LONG;
typedef unsigned long long ULONG64;

typedef enum _SAMPLE_STATE { SampleStopped = 0, SampleStarted = 2, SampleFailed = -1 } SAMPLE_STATE;

typedef struct _LIST_ENTRY {
  struct _LIST_ENTRY* Flink;
  struct _LIST_ENTRY* Blink;
} LIST_ENTRY;

typedef struct _SAMPLE_DEVICE {
  USHORT Type;
  USHORT Size;
  LIST_ENTRY List;
  union {
    ULONG Flags;
    struct {
      ULONG Busy : 1;
      ULONG Mode : 3;
      ULONG Rest : 28;
    };
  };
  SAMPLE_STATE State;
  union {
    ULONG64 Whole;
    struct {
      ULONG Low;
      LONG High;
    } Parts;
  } Counter;
  UCHAR Name[16];
  ULONG64 Slots[4];
  long (*Handler)(struct _SAMPLE_DEVICE* device, ULONG code);
  void* Context;
  char Tag;
  double Ratio;
} SAMPLE_DEVICE;

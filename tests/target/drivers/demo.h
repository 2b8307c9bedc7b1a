// Types of the demo driver. Written to be looked at with a debugger: enums, bit fields, unions, arrays,
// lists.
#ifndef TESTS_TARGET_DRIVERS_DEMO_H_
#define TESTS_TARGET_DRIVERS_DEMO_H_

#include "tests/target/nt/ntddk.h"

// Values a debugger writes to g_Command; the driver's worker thread takes them up at its next tick.
typedef enum _DEMO_COMMAND {
  DemoNone,
  DemoPrint,           // one debug print with g_CommandArgument
  DemoPrompt,          // prompts; the answer is left in g_Answer
  DemoBreak,           // hard-coded int 3
  DemoBugCheck,        // KeBugCheckEx(g_CommandArgument, 1, 2, 3, 4)
  DemoFaultHandled,    // reads a bad address under a handler
  DemoFaultUnhandled,  // reads a bad address without one
  DemoLoadDriver,      // loads the late driver from the machine's own files
  DemoUnloadDriver,
  DemoPrintBurst,        // g_CommandArgument prints in a row
  DemoSpawnProcesses,    // creates g_CommandArgument processes
  DemoReset,             // reports that all symbols go, then restarts the machine
  DemoLoadDriverRemote,  // asks the debugger for the late driver's file first
  DemoPrintLong,         // one print of 700 characters
  DemoAssert,            // int 2C
  DemoDivide,            // divides by zero
  DemoLoadCrowd          // loads the driver with the large function table, which stops in the debugger
} DEMO_COMMAND;

typedef enum _DEMO_STATE { DemoStopped, DemoStarting, DemoStarted, DemoPaused = 10 } DEMO_STATE;

typedef union _DEMO_FLAGS {
  struct {
    ULONG Busy : 1;
    ULONG Removable : 1;
    ULONG QueueDepth : 6;
    ULONG Generation : 8;
    LONG Signed : 4;
    ULONG Rest : 12;
  };
  ULONG AsLong;
} DEMO_FLAGS;

typedef struct _DEMO_REQUEST {
  LIST_ENTRY Link;
  ULONG Id;
  UCHAR Kind;
  CHAR Tag;
  SHORT Delta;
  ULONG64 Values[4];
  union {
    ULONG64 Address;
    struct {
      ULONG Low;
      ULONG High;
    } Parts;
    UCHAR Bytes[8];
  } u;
  void (*Completion)(struct _DEMO_REQUEST*);
} DEMO_REQUEST;

typedef struct _DEMO_DEVICE {
  SHORT Type;
  USHORT Size;
  LIST_ENTRY Requests;
  KTHREAD* Owner;
  struct _DEMO_DEVICE* Next;
  UNICODE_STRING Name;
  DEMO_FLAGS Flags;
  DEMO_STATE State;
  ULONG Slots[4];
  ULONG Matrix[2][3];
  UCHAR Tag;
  BOOLEAN Ready;
  WCHAR Letter;
  CHAR Label[16];
  LARGE_INTEGER Started;
  LONG64 Balance;
  DEMO_REQUEST Inline;
  volatile ULONG64 Processed;
} DEMO_DEVICE;

// What a host finds without a PDB.
#define DEMO_EXPORT __declspec(dllexport)

// locals.c
ULONG64 DemoLocals(DEMO_DEVICE* Device, ULONG Round, CHAR Letter);
// work.c
ULONG64 DemoRunBatch(DEMO_DEVICE* Device, ULONG Count);
void DemoServeCommand(void);

DEMO_EXPORT ULONG64 DemoLeaf(ULONG64 Value, ULONG Shift);
extern DEMO_EXPORT volatile ULONG g_Command;
extern DEMO_EXPORT volatile ULONG64 g_CommandArgument;
extern DEMO_EXPORT volatile ULONG g_CommandsDone;
extern DEMO_EXPORT CHAR g_Answer[516];
extern DEMO_EXPORT ULONG g_AnswerLength;
extern DEMO_EXPORT volatile ULONG64 g_FaultsHandled;
extern DEMO_EXPORT volatile ULONG64 g_Ticks;
extern DEMO_EXPORT DEMO_DEVICE g_Device;

#endif

// The kernel's own structures: threads, processes, processors. Groups of fields are put in order by the
// layout header of the variant, so that the two variants agree on no offset that the protocol leaves free.
#ifndef TESTS_TARGET_NT_TYPES_H_
#define TESTS_TARGET_NT_TYPES_H_

#include "tests/target/nt/base_types.h"
#include "tests/target/nt/object_types.h"
#include "tests/target/nt/user_types.h"

// Groups of _KTHREAD after its dispatcher header.
#define KT_STACK             \
  PVOID InitialStack;        \
  PVOID volatile StackLimit; \
  PVOID StackBase;           \
  PVOID KernelStack;         \
  ULONG64 CycleTime;         \
  ULONG CurrentRunTime;      \
  KTRAP_FRAME* TrapFrame;
#define KT_STATE                      \
  UCHAR Running;                      \
  volatile UCHAR State;               \
  CHAR Priority;                      \
  CHAR BasePriority;                  \
  CHAR PriorityDecrement;             \
  UCHAR WaitReason;                   \
  CHAR WaitMode;                      \
  CHAR PreviousMode;                  \
  union {                             \
    struct {                          \
      ULONG AutoBoostActive : 1;      \
      ULONG ReadyTransition : 1;      \
      ULONG WaitNext : 1;             \
      ULONG SystemAffinityActive : 1; \
      ULONG Alertable : 1;            \
      ULONG UserStackWalkActive : 1;  \
      ULONG SystemThread : 1;         \
      ULONG Reserved : 25;            \
    };                                \
    LONG MiscFlags;                   \
  };
#define KT_APC                  \
  KAPC_STATE ApcState;          \
  volatile ULONG NextProcessor; \
  ULONG IdealProcessor;         \
  ULONG ContextSwitches;        \
  UCHAR WaitIrql;
#define KT_WAIT               \
  LONG64 WaitStatus;          \
  KWAIT_BLOCK* WaitBlockList; \
  LIST_ENTRY WaitListEntry;   \
  ULONG64 DueTime;            \
  KWAIT_BLOCK WaitBlock[4];   \
  UCHAR WaitBlockCount;       \
  ULONG WaitTime;
#define KT_OWNER              \
  PVOID Teb;                  \
  struct _KPROCESS* Process;  \
  PVOID volatile Win32Thread; \
  LIST_ENTRY ThreadListEntry; \
  ULONG KernelTime;           \
  ULONG UserTime;             \
  LIST_ENTRY QueueListEntry;

// Groups of _ETHREAD after its _KTHREAD.
#define ET_TIMES            \
  LARGE_INTEGER CreateTime; \
  LARGE_INTEGER ExitTime;   \
  LIST_ENTRY PostBlockList;
#define ET_IDENTITY                 \
  CLIENT_ID Cid;                    \
  PVOID StartAddress;               \
  PVOID volatile Win32StartAddress; \
  EX_FAST_REF ClientSecurity;
#define ET_LISTS                         \
  LIST_ENTRY IrpList;                    \
  LIST_ENTRY ThreadListEntry;            \
  union {                                \
    ULONG CrossThreadFlags;              \
    struct {                             \
      ULONG Terminated : 1;              \
      ULONG ThreadInserted : 1;          \
      ULONG HideFromDebugger : 1;        \
      ULONG ActiveImpersonationInfo : 1; \
      ULONG HardErrorsAreDisabled : 1;   \
      ULONG BreakOnTermination : 1;      \
      ULONG ThreadIoPriority : 3;        \
      ULONG ThreadPagePriority : 3;      \
    };                                   \
  };

// Groups of _KPROCESS after its dispatcher header.
#define KP_TABLE              \
  LIST_ENTRY ProfileListHead; \
  ULONG64 DirectoryTableBase;
#define KP_THREADS           \
  LIST_ENTRY ThreadListHead; \
  ULONG ProcessLock;         \
  CHAR BasePriority;         \
  CHAR QuantumReset;
#define KP_TIMES     \
  ULONG KernelTime;  \
  ULONG UserTime;    \
  ULONG64 CycleTime; \
  ULONG64 ContextSwitches;

// Groups of _EPROCESS after its _KPROCESS.
#define EP_IDENTITY                  \
  EX_PUSH_LOCK ProcessLock;          \
  HANDLE UniqueProcessId;            \
  LIST_ENTRY ActiveProcessLinks;     \
  union {                            \
    ULONG Flags2;                    \
    struct {                         \
      ULONG JobNotReallyActive : 1;  \
      ULONG AccountingFolded : 1;    \
      ULONG NewProcessReported : 1;  \
      ULONG ExitProcessReported : 1; \
      ULONG ProtectedProcess : 3;    \
    };                               \
  };
#define EP_ORIGIN                      \
  HANDLE InheritedFromUniqueProcessId; \
  LARGE_INTEGER CreateTime;            \
  EX_FAST_REF Token;                   \
  PVOID Session;                       \
  PVOID DeviceMap;
#define EP_MEMORY               \
  RTL_AVL_TREE VadRoot;         \
  ULONG64 VadCount;             \
  ULONG64 NumberOfPrivatePages; \
  ULONG64 NumberOfLockedPages;  \
  ULONG ModifiedPageCount;      \
  SIZE_T PeakVirtualSize;       \
  SIZE_T VirtualSize;           \
  SIZE_T CommitCharge;          \
  SIZE_T QuotaUsage[2];         \
  MMSUPPORT Vm;
#define EP_USER              \
  PEB* Peb;                  \
  HANDLE_TABLE* ObjectTable; \
  PVOID SectionBaseAddress;  \
  PVOID DebugPort;
#define EP_NAMES                                             \
  SE_AUDIT_PROCESS_CREATION_INFO SeAuditProcessCreationInfo; \
  UCHAR ImageFileName[15];                                   \
  UCHAR PriorityClass;
#define EP_THREADS              \
  LIST_ENTRY ThreadListHead;    \
  volatile ULONG ActiveThreads; \
  NTSTATUS ExitStatus;

// Groups of _KPRCB after ProcessorState, whose place debuggers know without a PDB (kd-protocol.md 5.3).
#define PRCB_CPU          \
  CHAR CpuType;           \
  CHAR CpuID;             \
  USHORT CpuStep;         \
  ULONG MHz;              \
  ULONG64 HalReserved[8]; \
  USHORT MinorVersion;    \
  USHORT MajorVersion;    \
  UCHAR BuildType;        \
  UCHAR CpuVendor;        \
  UCHAR VendorString[13]; \
  ULONG64 FeatureBits;    \
  LARGE_INTEGER UpdateSignature;
#define PRCB_GROUP        \
  UCHAR Group;            \
  UCHAR GroupIndex;       \
  ULONG64 GroupSetMember; \
  CONTEXT* Context;       \
  ULONG ContextFlags;     \
  UCHAR DebuggerSavedIRQL;
#define PRCB_COUNTERS   \
  ULONG InterruptCount; \
  ULONG KernelTime;     \
  ULONG UserTime;       \
  ULONG DpcTime;        \
  ULONG InterruptTime;  \
  ULONG KeContextSwitches;
#define PRCB_DPC                     \
  PVOID DpcStack;                    \
  PVOID IsrStack;                    \
  volatile UCHAR NormalDpcState;     \
  volatile BOOLEAN DpcRoutineActive; \
  LIST_ENTRY DispatcherReadyListHead[32];

#ifdef LW_VARIANT_B
#include "tests/target/nt/layout_b.h"
#else
#include "tests/target/nt/layout_a.h"
#endif

typedef struct _KTHREAD {
  DISPATCHER_HEADER Header;
  LW_KTHREAD_GROUPS
} KTHREAD;

typedef struct _ETHREAD {
  KTHREAD Tcb;
  LW_ETHREAD_GROUPS
} ETHREAD;

typedef struct _KPROCESS {
  DISPATCHER_HEADER Header;
  LW_KPROCESS_GROUPS
} KPROCESS;

typedef struct _EPROCESS {
  KPROCESS Pcb;
  LW_EPROCESS_GROUPS
} EPROCESS;

typedef struct _KPRCB {
  ULONG MxCsr;
  UCHAR LegacyNumber;
  UCHAR ReservedMustBeZero;
  BOOLEAN InterruptRequest;
  BOOLEAN IdleHalt;
  KTHREAD* CurrentThread;
  KTHREAD* NextThread;
  KTHREAD* IdleThread;
  UCHAR NestingLevel;
  UCHAR ClockOwner;
  UCHAR PendingTick;
  UCHAR IdleState;
  ULONG Number;
  ULONG64 RspBase;
  ULONG64 PrcbLock;
  CHAR* PriorityState;
  KPROCESSOR_STATE ProcessorState;
  LW_KPRCB_GROUPS
} KPRCB;
C_ASSERT_OFFSET(KPRCB, CurrentThread, 0x8);
C_ASSERT_OFFSET(KPRCB, IdleThread, 0x18);
C_ASSERT_OFFSET(KPRCB, Number, 0x24);
C_ASSERT_OFFSET(KPRCB, ProcessorState.SpecialRegisters, 0x40);
C_ASSERT_OFFSET(KPRCB, ProcessorState.ContextFrame, 0x120);

typedef struct __attribute__((aligned(64))) _KPCR {
  union {
    NT_TIB NtTib;
    struct {
      PVOID GdtBase;
      PVOID TssBase;
      ULONG64 UserRsp;
      struct _KPCR* Self;
      KPRCB* CurrentPrcb;
      PVOID LockArray;
      PVOID Used_Self;
    };
  };
  PVOID IdtBase;
  ULONG64 Unused[2];
  UCHAR Irql;
  UCHAR SecondLevelCacheAssociativity;
  UCHAR ObsoleteNumber;
  UCHAR Fill0;
  ULONG Unused0[3];
  USHORT MajorVersion;
  USHORT MinorVersion;
  ULONG StallScaleFactor;
  PVOID Unused1[3];
  ULONG KernelReserved[15];
  ULONG SecondLevelCacheSize;
  ULONG HalReserved[16];
  ULONG Unused2;
  PVOID KdVersionBlock;
  PVOID Unused3;
  ULONG PcrAlign1[24];
  KPRCB Prcb;
} KPCR;
C_ASSERT_OFFSET(KPCR, Self, 0x18);
C_ASSERT_OFFSET(KPCR, CurrentPrcb, 0x20);
C_ASSERT_OFFSET(KPCR, KdVersionBlock, 0x108);
C_ASSERT_OFFSET(KPCR, Prcb, 0x180);

typedef struct _KUSER_SHARED_DATA {
  ULONG TickCountLowDeprecated;
  ULONG TickCountMultiplier;
  UCHAR InterruptTime[12];
  UCHAR SystemTime[12];
  UCHAR TimeZoneBias[12];
  USHORT ImageNumberLow;
  USHORT ImageNumberHigh;
  WCHAR NtSystemRoot[260];
  ULONG MaxStackTraceDepth;
  ULONG CryptoExponent;
  ULONG TimeZoneId;
  ULONG LargePageMinimum;
  ULONG AitSamplingValue;
  ULONG AppCompatFlag;
  ULONG64 RNGSeedVersion;
  ULONG GlobalValidationRunlevel;
  LONG TimeZoneBiasStamp;
  ULONG NtBuildNumber;
  ULONG NtProductType;
  BOOLEAN ProductTypeIsValid;
  UCHAR Reserved0;
  USHORT NativeProcessorArchitecture;
  ULONG NtMajorVersion;
  ULONG NtMinorVersion;
  UCHAR ProcessorFeatures[64];
  ULONG Reserved1;
  ULONG Reserved3;
  ULONG TimeSlip;
  ULONG AlternativeArchitecture;
  ULONG BootId;
  LARGE_INTEGER SystemExpirationDate;
  ULONG SuiteMask;
  UCHAR KdDebuggerEnabled;
  UCHAR Fill[0x3C0 - 0x2D5];
  ULONG ActiveProcessorCount;
} KUSER_SHARED_DATA;
C_ASSERT_OFFSET(KUSER_SHARED_DATA, NtSystemRoot, 0x30);
C_ASSERT_OFFSET(KUSER_SHARED_DATA, NtProductType, 0x264);
C_ASSERT_OFFSET(KUSER_SHARED_DATA, NtMajorVersion, 0x26C);
C_ASSERT_OFFSET(KUSER_SHARED_DATA, SuiteMask, 0x2D0);
C_ASSERT_OFFSET(KUSER_SHARED_DATA, KdDebuggerEnabled, 0x2D4);
C_ASSERT_OFFSET(KUSER_SHARED_DATA, ActiveProcessorCount, 0x3C0);

#endif

// What threads and processes are made of: dispatcher objects, wait blocks, trees, handle tables.
#ifndef TESTS_TARGET_NT_OBJECT_TYPES_H_
#define TESTS_TARGET_NT_OBJECT_TYPES_H_

#include "tests/target/nt/base_types.h"

struct _EPROCESS;
struct _ETHREAD;
struct _KPROCESS;
struct _KTHREAD;

typedef enum _KOBJECTS {
  EventNotificationObject = 0,
  EventSynchronizationObject = 1,
  MutantObject = 2,
  ProcessObject = 3,
  QueueObject = 4,
  SemaphoreObject = 5,
  ThreadObject = 6,
  GateObject = 7,
  TimerNotificationObject = 8,
  TimerSynchronizationObject = 9
} KOBJECTS;

typedef enum _KTHREAD_STATE {
  Initialized,
  Ready,
  Running,
  Standby,
  Terminated,
  Waiting,
  Transition,
  DeferredReady,
  GateWaitObsolete,
  WaitingForProcessInSwap
} KTHREAD_STATE;

typedef enum _KWAIT_REASON {
  Executive,
  FreePage,
  PageIn,
  PoolAllocation,
  DelayExecution,
  Suspended,
  UserRequest,
  WrExecutive,
  WrFreePage,
  WrPageIn,
  WrPoolAllocation,
  WrDelayExecution,
  WrSuspended,
  WrUserRequest,
  WrSpare0,
  WrQueue,
  WrLpcReceive,
  WrLpcReply,
  WrVirtualMemory,
  WrPageOut,
  WrRendezvous,
  WrKeyedEvent,
  WrTerminated,
  WrProcessInSwap,
  WrCpuRateControl,
  WrCalloutStack,
  WrKernel,
  WrResource,
  WrPushLock,
  WrMutex,
  WrQuantumEnd,
  WrDispatchInt,
  WrPreempted,
  WrYieldExecution,
  WrFastMutex,
  WrGuardedMutex,
  WrRundown,
  WrAlertByThreadId,
  WrDeferredPreempt,
  MaximumWaitReason
} KWAIT_REASON;

typedef enum _MODE { KernelMode, UserMode, MaximumMode } MODE;

typedef struct _DISPATCHER_HEADER {
  union {
    volatile LONG Lock;
    struct {
      UCHAR Type;
      UCHAR Signalling;
      UCHAR Size;
      UCHAR Reserved1;
    };
  };
  LONG SignalState;
  LIST_ENTRY WaitListHead;
} DISPATCHER_HEADER;

typedef struct _KEVENT {
  DISPATCHER_HEADER Header;
} KEVENT;

typedef struct _KSEMAPHORE {
  DISPATCHER_HEADER Header;
  LONG Limit;
} KSEMAPHORE;

typedef struct _KMUTANT {
  DISPATCHER_HEADER Header;
  LIST_ENTRY MutantListEntry;
  struct _KTHREAD* OwnerThread;
  BOOLEAN Abandoned;
  UCHAR ApcDisable;
} KMUTANT;

typedef struct _KWAIT_BLOCK {
  LIST_ENTRY WaitListEntry;
  UCHAR WaitType;
  volatile UCHAR BlockState;
  USHORT WaitKey;
  LONG SpareLong;
  struct _KTHREAD* Thread;
  PVOID Object;
  PVOID SparePtr;
} KWAIT_BLOCK;

typedef struct _KAPC_STATE {
  LIST_ENTRY ApcListHead[2];
  struct _KPROCESS* Process;
  UCHAR InProgressFlags;
  BOOLEAN KernelApcPending;
  BOOLEAN UserApcPending;
} KAPC_STATE;

typedef struct _EX_FAST_REF {
  union {
    PVOID Object;
    ULONG64 RefCnt : 4;
    ULONG64 Value;
  };
} EX_FAST_REF;

typedef struct _HANDLE_TABLE {
  ULONG NextHandleNeedingPool;
  LONG ExtraInfoPages;
  volatile ULONG64 TableCode;
  struct _EPROCESS* QuotaProcess;
  LIST_ENTRY HandleTableList;
  ULONG UniqueProcessId;
  union {
    ULONG Flags;
    struct {
      UCHAR StrictFIFO : 1;
      UCHAR EnableHandleExceptions : 1;
      UCHAR Rundown : 1;
      UCHAR Duplicated : 1;
    };
  };
  LONG HandleCount;
} HANDLE_TABLE;

typedef struct _RTL_BALANCED_NODE {
  union {
    struct _RTL_BALANCED_NODE* Children[2];
    struct {
      struct _RTL_BALANCED_NODE* Left;
      struct _RTL_BALANCED_NODE* Right;
    };
  };
  union {
    UCHAR Red : 1;
    UCHAR Balance : 2;
    ULONG64 ParentValue;
  };
} RTL_BALANCED_NODE;

typedef struct _RTL_AVL_TREE {
  RTL_BALANCED_NODE* Root;
} RTL_AVL_TREE;

typedef struct _MMVAD_SHORT {
  RTL_BALANCED_NODE VadNode;
  ULONG StartingVpn;
  ULONG EndingVpn;
  UCHAR StartingVpnHigh;
  UCHAR EndingVpnHigh;
  LONG ReferenceCount;
  struct {
    ULONG VadType : 3;
    ULONG Protection : 5;
    ULONG PrivateMemory : 1;
  } u;
} MMVAD_SHORT;

typedef struct _OBJECT_NAME_INFORMATION {
  UNICODE_STRING Name;
} OBJECT_NAME_INFORMATION;

typedef struct _SE_AUDIT_PROCESS_CREATION_INFO {
  OBJECT_NAME_INFORMATION* ImageFileName;
} SE_AUDIT_PROCESS_CREATION_INFO;

typedef struct _MMSUPPORT {
  SIZE_T WorkingSetSize;
  SIZE_T MinimumWorkingSetSize;
  SIZE_T MaximumWorkingSetSize;
  SIZE_T PeakWorkingSetSize;
  ULONG PageFaultCount;
  UCHAR MemoryPriority;
} MMSUPPORT;

#endif  // TESTS_TARGET_NT_OBJECT_TYPES_H_

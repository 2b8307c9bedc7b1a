// What the kernel exports to drivers.
#ifndef TESTS_TARGET_NT_NTDDK_H_
#define TESTS_TARGET_NT_NTDDK_H_

#include <stdarg.h>

#include "tests/target/nt/types.h"

#ifdef LW_KERNEL
#define NTKERNELAPI __declspec(dllexport)
#else
#define NTKERNELAPI __declspec(dllimport)
#endif

typedef struct _DRIVER_OBJECT {
  SHORT Type;
  SHORT Size;
  PVOID DeviceObject;
  ULONG Flags;
  PVOID DriverStart;
  ULONG DriverSize;
  KLDR_DATA_TABLE_ENTRY* DriverSection;
  UNICODE_STRING DriverName;
  void (*DriverUnload)(struct _DRIVER_OBJECT*);
} DRIVER_OBJECT;

typedef NTSTATUS (*DRIVER_INITIALIZE)(DRIVER_OBJECT* DriverObject, UNICODE_STRING* RegistryPath);

#define DBG_STATUS_CONTROL_C 1
#define DBG_STATUS_BUGCHECK_FIRST 3
#define DBG_STATUS_BUGCHECK_SECOND 4

NTKERNELAPI ULONG DbgPrint(const CHAR* Format, ...);
NTKERNELAPI ULONG DbgPrompt(const CHAR* Prompt, CHAR* Response, ULONG Length);
NTKERNELAPI void DbgBreakPoint(void);
NTKERNELAPI void DbgBreakPointWithStatus(ULONG Status);
NTKERNELAPI __attribute__((noreturn)) void KeBugCheckEx(ULONG Code, ULONG64 P1, ULONG64 P2, ULONG64 P3,
                                                        ULONG64 P4);
NTKERNELAPI void KeInitializeEvent(KEVENT* Event, ULONG Type, BOOLEAN State);
NTKERNELAPI void KeSetEvent(KEVENT* Event);
NTKERNELAPI NTSTATUS KeWaitForSingleObject(PVOID Object, ULONG Reason, ULONG Mode, BOOLEAN Alertable);
NTKERNELAPI void KeDelayExecutionThread(ULONG Ticks);
NTKERNELAPI ULONG KeQueryTickCount(void);
NTKERNELAPI ETHREAD* PsCreateSystemThread(void (*Start)(PVOID), PVOID Context);
NTKERNELAPI void PsCreateExtraProcesses(ULONG Count);
NTKERNELAPI NTSTATUS MmLoadSystemImage(const CHAR* FileName, BOOLEAN AskDebugger,
                                       KLDR_DATA_TABLE_ENTRY** Entry);
NTKERNELAPI NTSTATUS MmUnloadSystemImage(KLDR_DATA_TABLE_ENTRY* Entry);
NTKERNELAPI BOOLEAN MmGuardedRead(const ULONG64* From, ULONG64* To);
NTKERNELAPI PVOID ExAllocatePoolWithTag(ULONG Type, SIZE_T Size, ULONG Tag);
NTKERNELAPI PVOID MmGetPagedPoolSample(void);
NTKERNELAPI void HalReturnToFirmware(ULONG Action);
NTKERNELAPI void RtlCaptureContext(CONTEXT* Context);
NTKERNELAPI SIZE_T RtlFormat(CHAR* Buffer, SIZE_T Size, const CHAR* Format, ...);
SIZE_T RtlFormatV(CHAR* Buffer, SIZE_T Size, const CHAR* Format, va_list Args);

void* memcpy(void* To, const void* From, SIZE_T Size);
void* memset(void* To, int Value, SIZE_T Size);
void* memmove(void* To, const void* From, SIZE_T Size);
int memcmp(const void* A, const void* B, SIZE_T Size);
SIZE_T strlen(const CHAR* Text);
BOOLEAN RtlEqualText(const CHAR* A, const CHAR* B);

static inline void InitializeListHead(LIST_ENTRY* Head) { Head->Flink = Head->Blink = Head; }
static inline BOOLEAN IsListEmpty(const LIST_ENTRY* Head) { return Head->Flink == Head; }
static inline void InsertTailList(LIST_ENTRY* Head, LIST_ENTRY* Entry) {
  Entry->Flink = Head;
  Entry->Blink = Head->Blink;
  Head->Blink->Flink = Entry;
  Head->Blink = Entry;
}
static inline void RemoveEntryList(LIST_ENTRY* Entry) {
  Entry->Blink->Flink = Entry->Flink;
  Entry->Flink->Blink = Entry->Blink;
}

#endif

// What a process has in its own pages: environment blocks and the loader's lists.
#ifndef TESTS_TARGET_NT_USER_TYPES_H_
#define TESTS_TARGET_NT_USER_TYPES_H_

#include "tests/target/nt/base_types.h"

typedef struct _LDR_DATA_TABLE_ENTRY {
  LIST_ENTRY InLoadOrderLinks;
  LIST_ENTRY InMemoryOrderLinks;
  LIST_ENTRY InInitializationOrderLinks;
  PVOID DllBase;
  PVOID EntryPoint;
  ULONG SizeOfImage;
  UNICODE_STRING FullDllName;
  UNICODE_STRING BaseDllName;
  ULONG Flags;
  USHORT ObsoleteLoadCount;
  USHORT TlsIndex;
  LIST_ENTRY HashLinks;
  ULONG TimeDateStamp;
} LDR_DATA_TABLE_ENTRY;
C_ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x80);

typedef struct _PEB_LDR_DATA {
  ULONG Length;
  BOOLEAN Initialized;
  PVOID SsHandle;
  LIST_ENTRY InLoadOrderModuleList;
  LIST_ENTRY InMemoryOrderModuleList;
  LIST_ENTRY InInitializationOrderModuleList;
} PEB_LDR_DATA;
C_ASSERT_OFFSET(PEB_LDR_DATA, InMemoryOrderModuleList, 0x20);

typedef struct _CURDIR {
  UNICODE_STRING DosPath;
  HANDLE Handle;
} CURDIR;

typedef struct _RTL_USER_PROCESS_PARAMETERS {
  ULONG MaximumLength;
  ULONG Length;
  ULONG Flags;
  ULONG DebugFlags;
  HANDLE ConsoleHandle;
  ULONG ConsoleFlags;
  HANDLE StandardInput;
  HANDLE StandardOutput;
  HANDLE StandardError;
  CURDIR CurrentDirectory;
  UNICODE_STRING DllPath;
  UNICODE_STRING ImagePathName;
  UNICODE_STRING CommandLine;
  PVOID Environment;
  ULONG StartingX, StartingY, CountX, CountY, CountCharsX, CountCharsY, FillAttribute, WindowFlags,
      ShowWindowFlags;
  UNICODE_STRING WindowTitle;
} RTL_USER_PROCESS_PARAMETERS;

typedef struct _PEB {
  BOOLEAN InheritedAddressSpace;
  BOOLEAN ReadImageFileExecOptions;
  BOOLEAN BeingDebugged;
  union {
    UCHAR BitField;
    struct {
      UCHAR ImageUsesLargePages : 1;
      UCHAR IsProtectedProcess : 1;
      UCHAR IsImageDynamicallyRelocated : 1;
    };
  };
  PVOID Mutant;
  PVOID ImageBaseAddress;
  PEB_LDR_DATA* Ldr;
  RTL_USER_PROCESS_PARAMETERS* ProcessParameters;
  PVOID SubSystemData;
  PVOID ProcessHeap;
  ULONG NumberOfProcessors;
  ULONG NtGlobalFlag;
  ULONG OSMajorVersion;
  ULONG OSMinorVersion;
  USHORT OSBuildNumber;
  ULONG SessionId;
} PEB;

typedef struct _NT_TIB {
  PVOID ExceptionList;
  PVOID StackBase;
  PVOID StackLimit;
  PVOID SubSystemTib;
  union {
    PVOID FiberData;
    ULONG Version;
  };
  PVOID ArbitraryUserPointer;
  struct _NT_TIB* Self;
} NT_TIB;

typedef struct _TEB {
  NT_TIB NtTib;
  PVOID EnvironmentPointer;
  CLIENT_ID ClientId;
  PVOID ActiveRpcHandle;
  PVOID ThreadLocalStoragePointer;
  PEB* ProcessEnvironmentBlock;
  ULONG LastErrorValue;
  ULONG CountOfOwnedCriticalSections;
  NTSTATUS LastStatusValue;
  ULONG HardErrorMode;
} TEB;

#endif

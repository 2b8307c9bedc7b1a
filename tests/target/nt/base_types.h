// Scalar types and the structures whose layout the KD protocol or the processor fixes. NT's names throughout,
// because debuggers look the types up by these names in the PDB.
#ifndef TESTS_TARGET_NT_BASE_TYPES_H_
#define TESTS_TARGET_NT_BASE_TYPES_H_

typedef void* PVOID;
typedef char CHAR;
typedef unsigned char UCHAR, BOOLEAN;
typedef short SHORT;
typedef unsigned short USHORT;
typedef __WCHAR_TYPE__ WCHAR;
typedef long LONG, NTSTATUS;
typedef unsigned long ULONG;
typedef long long LONG64;
typedef unsigned long long ULONG64, ULONG_PTR, SIZE_T, EX_PUSH_LOCK;
typedef PVOID HANDLE;

#define TRUE 1
#define FALSE 0
#define NULL ((void*)0)
#define FIELD_OFFSET(type, field) __builtin_offsetof(type, field)
#define CONTAINING_RECORD(at, type, field) ((type*)((UCHAR*)(at)-FIELD_OFFSET(type, field)))
#define C_ASSERT_OFFSET(type, field, offset) _Static_assert(FIELD_OFFSET(type, field) == (offset), #field)

#define STATUS_SUCCESS ((NTSTATUS)0x00000000)
#define STATUS_DATATYPE_MISALIGNMENT ((NTSTATUS)0x80000002)
#define STATUS_BREAKPOINT ((NTSTATUS)0x80000003)
#define STATUS_SINGLE_STEP ((NTSTATUS)0x80000004)
#define STATUS_WAKE_SYSTEM_DEBUGGER ((NTSTATUS)0x80000007)
#define STATUS_UNSUCCESSFUL ((NTSTATUS)0xC0000001)
#define STATUS_ACCESS_VIOLATION ((NTSTATUS)0xC0000005)
#define STATUS_INVALID_PARAMETER ((NTSTATUS)0xC000000D)
#define STATUS_NO_SUCH_DEVICE ((NTSTATUS)0xC000000E)
#define STATUS_NO_SUCH_FILE ((NTSTATUS)0xC000000F)
#define STATUS_ILLEGAL_INSTRUCTION ((NTSTATUS)0xC000001D)
#define STATUS_INTEGER_DIVIDE_BY_ZERO ((NTSTATUS)0xC0000094)
#define STATUS_PRIVILEGED_INSTRUCTION ((NTSTATUS)0xC0000096)
#define STATUS_INSUFFICIENT_RESOURCES ((NTSTATUS)0xC000009A)
#define STATUS_NOT_FOUND ((NTSTATUS)0xC0000225)
#define STATUS_ASSERTION_FAILURE ((NTSTATUS)0xC0000420)
#define NT_SUCCESS(status) ((status) >= 0)

typedef struct _LIST_ENTRY {
  struct _LIST_ENTRY* Flink;
  struct _LIST_ENTRY* Blink;
} LIST_ENTRY;

typedef struct _UNICODE_STRING {
  USHORT Length;
  USHORT MaximumLength;
  WCHAR* Buffer;
} UNICODE_STRING;

typedef struct _STRING {
  USHORT Length;
  USHORT MaximumLength;
  CHAR* Buffer;
} STRING, ANSI_STRING;

typedef union _LARGE_INTEGER {
  struct {
    ULONG LowPart;
    LONG HighPart;
  };
  struct {
    ULONG LowPart;
    LONG HighPart;
  } u;
  LONG64 QuadPart;
} LARGE_INTEGER;

typedef struct _CLIENT_ID {
  HANDLE UniqueProcess;
  HANDLE UniqueThread;
} CLIENT_ID;

typedef struct __attribute__((aligned(16))) _M128A {
  ULONG64 Low;
  LONG64 High;
} M128A;

typedef struct __attribute__((aligned(16))) _XSAVE_FORMAT {
  USHORT ControlWord;
  USHORT StatusWord;
  UCHAR TagWord;
  UCHAR Reserved1;
  USHORT ErrorOpcode;
  ULONG ErrorOffset;
  USHORT ErrorSelector;
  USHORT Reserved2;
  ULONG DataOffset;
  USHORT DataSelector;
  USHORT Reserved3;
  ULONG MxCsr;
  ULONG MxCsr_Mask;
  M128A FloatRegisters[8];
  M128A XmmRegisters[16];
  UCHAR Reserved4[96];
} XSAVE_FORMAT;

#define CONTEXT_AMD64_ALL 0x10001F

typedef struct __attribute__((aligned(16))) _CONTEXT {
  ULONG64 P1Home, P2Home, P3Home, P4Home, P5Home, P6Home;
  ULONG ContextFlags;
  ULONG MxCsr;
  USHORT SegCs, SegDs, SegEs, SegFs, SegGs, SegSs;
  ULONG EFlags;
  ULONG64 Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
  ULONG64 Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi;
  ULONG64 R8, R9, R10, R11, R12, R13, R14, R15;
  ULONG64 Rip;
  union {
    XSAVE_FORMAT FltSave;
    struct {
      M128A Header[2];
      M128A Legacy[8];
      M128A Xmm0, Xmm1, Xmm2, Xmm3, Xmm4, Xmm5, Xmm6, Xmm7;
      M128A Xmm8, Xmm9, Xmm10, Xmm11, Xmm12, Xmm13, Xmm14, Xmm15;
    };
  };
  M128A VectorRegister[26];
  ULONG64 VectorControl;
  ULONG64 DebugControl;
  ULONG64 LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
} CONTEXT;
_Static_assert(sizeof(CONTEXT) == 0x4D0, "CONTEXT");
C_ASSERT_OFFSET(CONTEXT, Rip, 0xF8);
C_ASSERT_OFFSET(CONTEXT, Xmm0, 0x1A0);

typedef struct _KDESCRIPTOR {
  USHORT Pad[3];
  USHORT Limit;
  PVOID Base;
} KDESCRIPTOR;

typedef struct _KSPECIAL_REGISTERS {
  ULONG64 Cr0, Cr2, Cr3, Cr4;
  ULONG64 KernelDr0, KernelDr1, KernelDr2, KernelDr3, KernelDr6, KernelDr7;
  KDESCRIPTOR Gdtr;
  KDESCRIPTOR Idtr;
  USHORT Tr;
  USHORT Ldtr;
  ULONG MxCsr;
  ULONG64 DebugControl;
  ULONG64 LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
  ULONG64 Cr8;
  ULONG64 MsrGsBase, MsrGsSwap, MsrStar, MsrLStar, MsrCStar, MsrSyscallMask;
  ULONG64 Xcr0;
} KSPECIAL_REGISTERS;
_Static_assert(sizeof(KSPECIAL_REGISTERS) == 0xE0, "KSPECIAL_REGISTERS");
C_ASSERT_OFFSET(KSPECIAL_REGISTERS, MsrGsBase, 0xA8);

typedef struct _KPROCESSOR_STATE {
  KSPECIAL_REGISTERS SpecialRegisters;
  CONTEXT ContextFrame;
} KPROCESSOR_STATE;

// What the trap entries of trap.S push; Rbp of a handler is the frame + 80.
typedef struct _KTRAP_FRAME {
  ULONG64 P1Home, P2Home, P3Home, P4Home, P5;
  CHAR PreviousMode;
  UCHAR PreviousIrql;
  UCHAR FaultIndicator;
  UCHAR ExceptionActive;
  ULONG MxCsr;
  ULONG64 Rax, Rcx, Rdx, R8, R9, R10, R11;
  union {
    ULONG64 GsBase;
    ULONG64 GsSwap;
  };
  M128A Xmm0, Xmm1, Xmm2, Xmm3, Xmm4, Xmm5;
  union {
    ULONG64 FaultAddress;
    ULONG64 ContextRecord;
  };
  ULONG64 Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
  ULONG64 DebugControl;
  ULONG64 LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
  USHORT SegDs, SegEs, SegFs, SegGs;
  ULONG64 TrapFrame;
  ULONG64 Rbx, Rdi, Rsi, Rbp;
  union {
    ULONG64 ErrorCode;
    ULONG64 ExceptionFrame;
  };
  ULONG64 Rip;
  USHORT SegCs;
  UCHAR Fill0;
  UCHAR Logging;
  USHORT Fill1[2];
  ULONG EFlags;
  ULONG Fill2;
  ULONG64 Rsp;
  USHORT SegSs;
  USHORT Fill3;
  ULONG Fill4;
} KTRAP_FRAME;
_Static_assert(sizeof(KTRAP_FRAME) == 0x190, "KTRAP_FRAME");
C_ASSERT_OFFSET(KTRAP_FRAME, Rbx, 0x140);
C_ASSERT_OFFSET(KTRAP_FRAME, Rip, 0x168);

typedef struct _KEXCEPTION_FRAME {
  ULONG64 P1Home, P2Home, P3Home, P4Home, P5;
  ULONG64 Spare1;
  M128A Xmm6, Xmm7, Xmm8, Xmm9, Xmm10, Xmm11, Xmm12, Xmm13, Xmm14, Xmm15;
  ULONG64 TrapFrame;
  ULONG64 OutputBuffer;
  ULONG64 OutputLength;
  ULONG64 Spare2;
  ULONG64 MxCsr;
  ULONG64 Rbp, Rbx, Rdi, Rsi, R12, R13, R14, R15;
  ULONG64 Return;
} KEXCEPTION_FRAME;
_Static_assert(sizeof(KEXCEPTION_FRAME) == 0x140, "KEXCEPTION_FRAME");
C_ASSERT_OFFSET(KEXCEPTION_FRAME, Rbx, 0x100);

typedef struct _KSWITCH_FRAME {
  ULONG64 P1Home, P2Home, P3Home, P4Home, P5Home;
  ULONG MxCsr;
  UCHAR ApcBypass;
  UCHAR FillUChar[3];
  ULONG64 Rbp;
  ULONG64 Return;
} KSWITCH_FRAME;
_Static_assert(sizeof(KSWITCH_FRAME) == 0x40, "KSWITCH_FRAME");

typedef struct _EXCEPTION_RECORD {
  NTSTATUS ExceptionCode;
  ULONG ExceptionFlags;
  struct _EXCEPTION_RECORD* ExceptionRecord;
  PVOID ExceptionAddress;
  ULONG NumberParameters;
  ULONG_PTR ExceptionInformation[15];
} EXCEPTION_RECORD;
_Static_assert(sizeof(EXCEPTION_RECORD) == 0x98, "EXCEPTION_RECORD");

typedef struct _KLDR_DATA_TABLE_ENTRY {
  LIST_ENTRY InLoadOrderLinks;
  PVOID ExceptionTable;
  ULONG ExceptionTableSize;
  PVOID GpValue;
  PVOID NonPagedDebugInfo;
  PVOID DllBase;
  PVOID EntryPoint;
  ULONG SizeOfImage;
  UNICODE_STRING FullDllName;
  UNICODE_STRING BaseDllName;
  ULONG Flags;
  USHORT LoadCount;
  union {
    USHORT SignatureLevel : 4;
    USHORT SignatureType : 3;
    USHORT Unused : 9;
    USHORT EntireField;
  } u1;
  PVOID SectionPointer;
  ULONG CheckSum;
  ULONG CoverageSectionSize;
  PVOID CoverageSection;
  PVOID LoadedImports;
  union {
    PVOID Spare;
    struct _KLDR_DATA_TABLE_ENTRY* NtDataTableEntry;
  };
  ULONG SizeOfImageNotRounded;
  ULONG TimeDateStamp;
} KLDR_DATA_TABLE_ENTRY;
C_ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, DllBase, 0x30);
C_ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, SizeOfImage, 0x40);
C_ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, BaseDllName, 0x58);
C_ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, CheckSum, 0x78);
C_ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x9C);

typedef struct _MMPTE_HARDWARE {
  ULONG64 Valid : 1;
  ULONG64 Dirty1 : 1;
  ULONG64 Owner : 1;
  ULONG64 WriteThrough : 1;
  ULONG64 CacheDisable : 1;
  ULONG64 Accessed : 1;
  ULONG64 Dirty : 1;
  ULONG64 LargePage : 1;
  ULONG64 Global : 1;
  ULONG64 CopyOnWrite : 1;
  ULONG64 Unused : 1;
  ULONG64 Write : 1;
  ULONG64 PageFrameNumber : 36;
  ULONG64 ReservedForHardware : 4;
  ULONG64 ReservedForSoftware : 4;
  ULONG64 WsleAge : 4;
  ULONG64 WsleProtection : 3;
  ULONG64 NoExecute : 1;
} MMPTE_HARDWARE;

typedef struct _MMPTE_SOFTWARE {
  ULONG64 Valid : 1;
  ULONG64 PageFileReserved : 1;
  ULONG64 PageFileAllocated : 1;
  ULONG64 ColdPage : 1;
  ULONG64 SwizzleBit : 1;
  ULONG64 Protection : 5;
  ULONG64 Prototype : 1;
  ULONG64 Transition : 1;
  ULONG64 PageFileLow : 4;
  ULONG64 UsedPageTableEntries : 10;
  ULONG64 ShadowStack : 1;
  ULONG64 Unused : 5;
  ULONG64 PageFileHigh : 32;
} MMPTE_SOFTWARE;

typedef struct _MMPTE_TRANSITION {
  ULONG64 Valid : 1;
  ULONG64 Write : 1;
  ULONG64 Spare : 1;
  ULONG64 IoTracker : 1;
  ULONG64 SwizzleBit : 1;
  ULONG64 Protection : 5;
  ULONG64 Prototype : 1;
  ULONG64 Transition : 1;
  ULONG64 PageFrameNumber : 36;
  ULONG64 Unused : 16;
} MMPTE_TRANSITION;

typedef struct _MMPTE {
  union {
    ULONG64 Long;
    volatile ULONG64 VolatileLong;
    MMPTE_HARDWARE Hard;
    MMPTE_SOFTWARE Soft;
    MMPTE_TRANSITION Trans;
  } u;
} MMPTE;

#endif

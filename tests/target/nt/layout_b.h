// Variant b: other offsets, other names. Nothing outside may notice the difference except by asking.
#define LW_KTHREAD_GROUPS            \
  ULONG64 SListFaultAddress;         \
  KT_WAIT KT_OWNER ULONG64 Spare[5]; \
  KT_STATE KT_STACK KT_APC
#define LW_ETHREAD_GROUPS    \
  ULONG64 KeyedWaitChain[3]; \
  ET_LISTS ET_IDENTITY ET_TIMES
#define LW_KPROCESS_GROUPS        \
  KP_THREADS ULONG64 Affinity[8]; \
  KP_TIMES KP_TABLE
#define LW_EPROCESS_GROUPS                              \
  ULONG64 RundownProtect[2];                            \
  EP_NAMES EP_THREADS EP_USER EP_IDENTITY ULONG Cookie; \
  EP_MEMORY EP_ORIGIN
#define LW_KPRCB_GROUPS      \
  PRCB_DPC ULONG64 Spare[9]; \
  PRCB_COUNTERS PRCB_CPU PRCB_GROUP

#define LW_BUILD_NUMBER 22621
#define LW_BUILD_LAB "22621.7.amd64fre.lw_other.220506-1250"
#define LW_PROCESS_NAMES \
  "init.exe", "broker.exe", "logon.exe", "control.exe", "vault.exe", "host.exe", "desk.exe"
#define LW_EXTRA_PROCESS_NAME "crew"
#define LW_POOL_BASE 0xFFFFA00000000000ull
#define LW_STACK_BASE 0xFFFFE78000000000ull
#define LW_PAGED_POOL_BASE 0xFFFFC80000000000ull
#define LW_USER_IMAGE_BASE 0x00007FF7A0000000ull

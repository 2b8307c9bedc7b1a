// Types and data that the commands' tests look at; never run.
typedef unsigned short USHORT;
typedef unsigned char UCHAR;
typedef unsigned long ULONG;
typedef long LONG;
typedef unsigned long long ULONG64;

typedef struct _UNICODE_STRING {
  USHORT Length;
  USHORT MaximumLength;
  USHORT *Buffer;
} UNICODE_STRING;
typedef struct _LIST_ENTRY {
  struct _LIST_ENTRY *Flink;
  struct _LIST_ENTRY *Blink;
} LIST_ENTRY;
typedef enum _EXT_STATE { ExtStopped = 0, ExtStarted = 2 } EXT_STATE;
struct _OWNER {
  ULONG Id;
};
typedef struct _CONTEXT_EXT {
  short Type;
  USHORT Size;
  LIST_ENTRY List;
  struct _OWNER *Owner;
  struct _CONTEXT_EXT *Next;
  UNICODE_STRING Name;
  struct {
    ULONG Flags : 4;
    ULONG Busy : 1;
    ULONG Rest : 27;
  };
  EXT_STATE State;
  ULONG Slots[4];
  UCHAR Tag;
  char Text[8];
  const char *Label;
  LONG (*Handler)(struct _OWNER *owner, ULONG code);
  double Ratio;
} CONTEXT_EXT;

int _fltused = 1;
CONTEXT_EXT Extension;
ULONG Count = 3;

LONG Handle(struct _OWNER *owner, ULONG code) { return (LONG)(owner->Id + code); }
LONG Nothing(void) { return 0; }

LONG InspectedEntry(void *driver, void *path) {
  Extension.Handler = Handle;
  Extension.Label = path;
  return Extension.Handler(driver, Count) + Nothing();
}

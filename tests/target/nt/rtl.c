// Freestanding memory and text routines, linked into every image.
#include "tests/target/nt/ntddk.h"

int _fltused = 0;

void* memcpy(void* To, const void* From, SIZE_T Size) {
  void* to = To;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(From), "+c"(Size)::"memory");
  return To;
}

void* memset(void* To, int Value, SIZE_T Size) {
  void* to = To;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(Size) : "a"(Value) : "memory");
  return To;
}

void* memmove(void* To, const void* From, SIZE_T Size) {
  if ((ULONG64)To - (ULONG64)From >= Size) return memcpy(To, From, Size);
  for (SIZE_T i = Size; i-- > 0;) ((volatile UCHAR*)To)[i] = ((const UCHAR*)From)[i];
  return To;
}

int memcmp(const void* A, const void* B, SIZE_T Size) {
  for (SIZE_T i = 0; i < Size; ++i) {
    int difference = ((const volatile UCHAR*)A)[i] - ((const UCHAR*)B)[i];
    if (difference != 0) return difference;
  }
  return 0;
}

SIZE_T strlen(const CHAR* Text) {
  SIZE_T length = 0;
  while (((const volatile CHAR*)Text)[length] != 0) ++length;
  return length;
}

BOOLEAN RtlEqualText(const CHAR* A, const CHAR* B) {
  for (;; ++A, ++B) {
    CHAR a = *A >= 'A' && *A <= 'Z' ? *A + 32 : *A, b = *B >= 'A' && *B <= 'Z' ? *B + 32 : *B;
    if (a != b) return FALSE;
    if (a == 0) return TRUE;
  }
}

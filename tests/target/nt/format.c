// The kernel's printf: %s %c %d %u %x %p with width, zero fill and the l, ll, I64 prefixes.
#include "tests/target/nt/kernel.h"

static SIZE_T Emit(CHAR* Buffer, SIZE_T Size, SIZE_T At, CHAR Character) {
  if (At + 1 < Size) Buffer[At] = Character;
  return At + 1;
}

static SIZE_T EmitNumber(CHAR* Buffer, SIZE_T Size, SIZE_T At, ULONG64 Value, ULONG Base, BOOLEAN Upper,
                         ULONG Width, CHAR Fill) {
  CHAR digits[24];
  ULONG count = 0;
  do {
    digits[count++] = (Upper ? "0123456789ABCDEF" : "0123456789abcdef")[Value % Base];
    Value /= Base;
  } while (Value != 0);
  for (ULONG i = count; i < Width; ++i) At = Emit(Buffer, Size, At, Fill);
  while (count > 0) At = Emit(Buffer, Size, At, digits[--count]);
  return At;
}

SIZE_T RtlFormatV(CHAR* Buffer, SIZE_T Size, const CHAR* Format, va_list Args) {
  SIZE_T at = 0;
  for (; *Format != 0; ++Format) {
    if (*Format != '%') {
      at = Emit(Buffer, Size, at, *Format);
      continue;
    }
    CHAR fill = ' ';
    ULONG width = 0, longs = 0;
    if (*++Format == '0') fill = '0';
    for (; *Format >= '0' && *Format <= '9'; ++Format) width = width * 10 + (ULONG)(*Format - '0');
    for (; *Format == 'l'; ++Format) ++longs;
    if (Format[0] == 'I' && Format[1] == '6' && Format[2] == '4') longs = 2, Format += 3;
    switch (*Format) {
      case 's': {
        const CHAR* text = va_arg(Args, const CHAR*);
        for (text = text != NULL ? text : "(null)"; *text != 0; ++text) at = Emit(Buffer, Size, at, *text);
        break;
      }
      case 'c':
        at = Emit(Buffer, Size, at, (CHAR)va_arg(Args, int));
        break;
      case 'd': {
        LONG64 value = longs >= 2 ? va_arg(Args, LONG64) : va_arg(Args, LONG);
        if (value < 0) at = Emit(Buffer, Size, at, '-');
        at = EmitNumber(Buffer, Size, at, value < 0 ? 0 - (ULONG64)value : (ULONG64)value, 10, FALSE, width,
                        fill);
        break;
      }
      case 'u':
      case 'x':
      case 'X': {
        ULONG64 value = longs >= 2 ? va_arg(Args, ULONG64) : va_arg(Args, ULONG);
        at = EmitNumber(Buffer, Size, at, value, *Format == 'u' ? 10 : 16, *Format == 'X', width, fill);
        break;
      }
      case 'p':
        at = EmitNumber(Buffer, Size, at, va_arg(Args, ULONG64), 16, TRUE, 16, '0');
        break;
      default:
        at = Emit(Buffer, Size, at, *Format);
        if (*Format == 0) --Format;
    }
  }
  if (Size != 0) Buffer[at < Size ? at : Size - 1] = 0;
  return at < Size ? at : Size - 1;
}

SIZE_T RtlFormat(CHAR* Buffer, SIZE_T Size, const CHAR* Format, ...) {
  va_list args;
  va_start(args, Format);
  SIZE_T length = RtlFormatV(Buffer, Size, Format, args);
  va_end(args);
  return length;
}

// Finds NAME or NAME=decimal among the blank-separated boot options.
BOOLEAN KiOption(const CHAR* Options, const CHAR* Name, ULONG64* Value) {
  SIZE_T length = strlen(Name);
  for (const CHAR* at = Options; *at != 0;) {
    while (*at == ' ') ++at;
    const CHAR* end = at;
    while (*end != 0 && *end != ' ') ++end;
    if ((SIZE_T)(end - at) >= length && memcmp(at, Name, length) == 0 &&
        (at + length == end || at[length] == '=')) {
      ULONG64 value = 0;
      for (const CHAR* digit = at + length + 1; digit < end && *digit >= '0' && *digit <= '9'; ++digit) {
        value = value * 10 + (ULONG64)(*digit - '0');
      }
      if (Value != NULL) *Value = value;
      return TRUE;
    }
    at = end;
  }
  return FALSE;
}

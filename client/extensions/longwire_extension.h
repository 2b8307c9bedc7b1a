/* The extension interface of Longwire's debuggers: a C ABI, so that an extension built by any compiler, or an
 * older or newer release, loads. docs/extensions.md is its manual, longwire_extension.hpp a thin C++ wrapper.
 *
 * An extension is a shared object NAME.so that exports
 *
 *     const lw_extension *longwire_extension_query(uint32_t host_version);
 *
 * Rules: the host table and every session pointer are valid only during a call into the extension, on that
 * thread. Functions that can fail return an lw_status; 0 is success; lw_host::last_error gives the text.
 * Tables grow at their end only: a field lies in a table if `size` covers it. Strings are UTF-8 and end with
 * NUL. */
#ifndef LONGWIRE_EXTENSION_H
#define LONGWIRE_EXTENSION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LW_EXTENSION_VERSION 1u

typedef struct lw_session lw_session; /* opaque */

/* The values of Errc in proto/error.h; 0 is success. */
typedef uint32_t lw_status;

enum { LW_SPACE_CURRENT = 0, LW_SPACE_PHYSICAL = 1, LW_SPACE_PAGE_TABLE = 2 };

typedef struct lw_space {
  uint32_t kind; /* LW_SPACE_...; CURRENT is the selected process */
  uint32_t reserved;
  uint64_t directory_base; /* for PAGE_TABLE */
} lw_space;

typedef struct lw_range {
  uint64_t address, size;
} lw_range;

typedef struct lw_field_info {
  uint64_t offset;                  /* bytes from the start of the structure */
  uint64_t size;                    /* bytes of the field, of the whole array for arrays */
  uint32_t bit_position, bit_count; /* bit_count 0: not a bit field */
} lw_field_info;

/* One instruction of a read plan; docs/protocol.md "Read plans". */
typedef struct lw_plan_instruction {
  uint8_t op, a, b, c;
  uint32_t size, target, reserved;
  uint64_t immediate;
} lw_plan_instruction;

typedef struct lw_plan_record {
  uint32_t tag, reserved;
  uint64_t address, value;
  const uint8_t* data;
  uint64_t data_size;
} lw_plan_record;

/* A list to be read ahead: spans of each element, what its pointers point to, and a list inside each element.
 * Offsets count from the element's LIST_ENTRY. */
typedef struct lw_span {
  int64_t offset;
  uint64_t size;
} lw_span;

typedef struct lw_follow {
  int64_t pointer_offset; /* where the pointer stands */
  uint64_t mask;          /* kept bits of its value, ~0 for plain pointers */
  int64_t offset;         /* what to read, relative to where it points */
  uint64_t size;
} lw_follow;

typedef struct lw_list {
  uint64_t
      head; /* address of the list head; in an inner list: its offset from the outer element's LIST_ENTRY */
  uint32_t limit; /* elements to walk at most; the cycle guard */
  uint32_t span_count, follow_count, reserved;
  const lw_span* spans;
  const lw_follow* follows;
  const struct lw_list* inner; /* walked once per element, one level deep; may be NULL */
} lw_list;

typedef struct lw_frame {
  uint64_t instruction_pointer, stack_pointer, return_address;
} lw_frame;

typedef struct lw_host {
  uint32_t size;    /* bytes of this table */
  uint32_t version; /* LW_EXTENSION_VERSION of the host */

  /* ---- output ---- */
  void (*output)(lw_session*, const char* text);
  void (*error)(lw_session*, const char* text);
  /* Structured rows for --json. row_text adds to the text that shows the row. Rows do not nest. */
  void (*row_begin)(lw_session*, const char* kind);
  void (*row_string)(lw_session*, const char* name, const char* value);
  void (*row_hex)(lw_session*, const char* name, uint64_t value);
  void (*row_number)(lw_session*, const char* name, int64_t value);
  void (*row_end)(lw_session*, const char* text);
  const char* (*last_error)(lw_session*); /* of the last call that failed; valid until the next call */
  int (*interrupted)(lw_session*);        /* 1 after Ctrl-C: return as soon as possible */

  /* ---- the target ---- */
  uint32_t (*pointer_size)(lw_session*);
  uint32_t (*machine)(lw_session*); /* IMAGE_FILE_MACHINE: 0x8664, 0x14c, 0xaa64 */
  uint32_t (*processor_count)(lw_session*);
  uint32_t (*current_processor)(lw_session*);
  uint64_t (*current_thread)(lw_session*);  /* KTHREAD of the selection or the stop, 0 if unknown */
  uint64_t (*current_process)(lw_session*); /* EPROCESS of the selection; 0: that of the stop */
  /* Copies [offset, offset + size) of KDDEBUGGER_DATA64; not-found beyond the target's block. */
  lw_status (*debugger_data)(lw_session*, uint32_t offset, void* out, uint32_t size);

  /* ---- memory ---- */
  /* Reads the readable prefix; unreadable if there is none. `read` may be NULL: then anything less than
   * `size` fails. */
  lw_status (*read)(lw_session*, lw_space, uint64_t address, void* out, uint64_t size, uint64_t* read);
  lw_status (*write)(lw_session*, lw_space, uint64_t address, const void* data, uint64_t size);
  /* Announces reads to come, so that they share one round trip. Never fails. */
  void (*prefetch)(lw_session*, lw_space, const lw_range* ranges, uint32_t count);
  /* Walks a list next to the target, one round trip, so that the ordinary reads of it that follow cost none.
   */
  lw_status (*prefetch_list)(lw_session*, lw_space, const lw_list* list);
  /* Runs a read plan next to the target; memory it emits is read without a round trip afterwards. */
  lw_status (*run_plan)(lw_session*, const lw_plan_instruction* program, uint32_t count,
                        int (*visit)(void* context, const lw_plan_record*), void* context);

  /* ---- registers, expressions, stacks ---- */
  lw_status (*register_value)(lw_session*, const char* name, uint64_t* value);
  lw_status (*evaluate)(lw_session*, const char* expression, uint64_t* value);
  /* Stack of a register context: the scope's, or, with instruction and stack pointer not 0, of these values.
   */
  lw_status (*walk_stack)(lw_session*, uint64_t instruction_pointer, uint64_t stack_pointer,
                          uint64_t frame_pointer, lw_frame* frames, uint32_t capacity, uint32_t* count);

  /* ---- symbols and types ---- */
  lw_status (*symbol_address)(lw_session*, const char* name,
                              uint64_t* address); /* "nt!PsActiveProcessHead" */
  /* "nt!KeBugCheckEx+0x14", or an empty string. Truncated to `capacity`. */
  void (*name_of)(lw_session*, uint64_t address, char* out, uint32_t capacity);
  lw_status (*type_size)(lw_session*, const char* type, uint64_t* size); /* "nt!_EPROCESS" */
  lw_status (*field)(lw_session*, const char* type, const char* path,
                     lw_field_info* out); /* "Pcb.DirectoryTableBase" */
  lw_status (*enumerator)(lw_session*, const char* type, int64_t value, char* out, uint32_t capacity);

  /* ---- selection ---- */
  /* Makes a process the one whose user memory LW_SPACE_CURRENT reads; 0, 0 restores that of the stop. */
  void (*select_process)(lw_session*, uint64_t process, uint64_t directory_base);
} lw_host;

typedef struct lw_command {
  const char* name;    /* case-sensitive, without `!` */
  const char* grammar; /* "process [address|pid|0|-1 [flags]] [image]" */
  const char* help;    /* one sentence */
  lw_status (*run)(const lw_host*, lw_session*, const char* arguments);
} lw_command;

typedef struct lw_extension {
  uint32_t size;    /* bytes of this table */
  uint32_t version; /* LW_EXTENSION_VERSION the extension was built with */
  const char* name;
  const char* description;
  const char* software_version; /* shown by .chain */
  const lw_command* commands;
  uint32_t command_count;
  uint32_t command_size;                          /* sizeof(lw_command) of the extension */
  lw_status (*load)(const lw_host*, lw_session*); /* may be NULL; a failure refuses the load */
  void (*unload)(void);                           /* may be NULL */
} lw_extension;

typedef const lw_extension* (*lw_extension_query_function)(uint32_t host_version);
#define LW_EXTENSION_QUERY "longwire_extension_query"

#ifdef __cplusplus
}
#endif
#endif

// Linked into every image: the stack probe the compiler calls for frames above one page.
  .text
  .globl __chkstk
  .p2align 4, 0xCC
  .def __chkstk; .scl 2; .type 32; .endef
__chkstk:
  .seh_proc __chkstk
  .seh_endprologue
  ret
  .seh_endproc

// A crowd of small functions of uneven size: their function table is larger than 1 MiB, and in the middle of it
// is one that calls on.
  .text
  .set seed, 1

  .macro one_of_the_crowd
crowd\@:
  .seh_proc crowd\@
  subq $40, %rsp
  .seh_stackalloc 40
  .seh_endprologue
  .space (seed >> 12) & 31, 0x90
  addq $40, %rsp
  ret
  .seh_endproc
  .if ((seed >> 9) & 511) == 7
  .space 1700, 0xCC
  .endif
  .set seed, (seed * 1103515245 + 12345) & 0x7FFFFFFF
  .endm

  .rept 60000
  one_of_the_crowd
  .endr

  .globl CrowdMiddle
  .def CrowdMiddle; .scl 2; .type 32; .endef
CrowdMiddle:
  .seh_proc CrowdMiddle
  pushq %rbx
  .seh_pushreg %rbx
  subq $48, %rsp
  .seh_stackalloc 48
  .seh_endprologue
  callq CrowdStop
  nop
  addq $48, %rsp
  popq %rbx
  ret
  .seh_endproc

  .rept 27400
  one_of_the_crowd
  .endr

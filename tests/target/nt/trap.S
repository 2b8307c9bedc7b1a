// Trap entries, context switch and the few instructions C has no words for. Every routine carries unwind data:
// the handlers' is PUSH_MACHFRAME with Rbp = frame + 80, as debuggers expect of a kernel.
  .text

  .macro BEGIN name
  .globl \name
  .p2align 4, 0xCC
  .def \name; .scl 2; .type 32; .endef
\name:
  .seh_proc \name
  .endm

  .macro END
  .seh_endproc
  .endm

  .macro TRAP name, vector, code=0
  BEGIN \name
  .if \code
  .seh_pushframe @code
  .else
  .seh_pushframe
  subq $8, %rsp
  .seh_stackalloc 8
  .endif
  pushq %rbp
  .seh_pushreg %rbp
  subq $0x158, %rsp
  .seh_stackalloc 0x158
  leaq 0x80(%rsp), %rbp
  .seh_setframe %rbp, 0x80
  .seh_endprologue
  movq %rax, -0x50(%rbp)
  movq %rcx, -0x48(%rbp)
  movq %rdx, -0x40(%rbp)
  movq %r8, -0x38(%rbp)
  movq %r9, -0x30(%rbp)
  movq %r10, -0x28(%rbp)
  movq %r11, -0x20(%rbp)
  movq %rbx, 0xC0(%rbp)
  movq %rdi, 0xC8(%rbp)
  movq %rsi, 0xD0(%rbp)
  cld
  movq %rsp, %rcx
  movl $\vector, %edx
  call KiExceptionDispatch
  movq -0x50(%rbp), %rax
  movq -0x48(%rbp), %rcx
  movq -0x40(%rbp), %rdx
  movq -0x38(%rbp), %r8
  movq -0x30(%rbp), %r9
  movq -0x28(%rbp), %r10
  movq -0x20(%rbp), %r11
  movq 0xC0(%rbp), %rbx
  movq 0xC8(%rbp), %rdi
  movq 0xD0(%rbp), %rsi
  addq $0x158, %rsp
  popq %rbp
  addq $8, %rsp
  iretq
  END
  .endm

  TRAP KiDivideErrorFault, 0
  TRAP KiDebugTrapOrFault, 1
  TRAP KiNmiInterrupt, 2
  TRAP KiBreakpointTrap, 3
  TRAP KiOverflowTrap, 4
  TRAP KiBoundFault, 5
  TRAP KiInvalidOpcodeFault, 6
  TRAP KiNpxNotAvailableFault, 7
  TRAP KiDoubleFaultAbort, 8, 1
  TRAP KiInvalidTssFault, 10, 1
  TRAP KiSegmentNotPresentFault, 11, 1
  TRAP KiStackFault, 12, 1
  TRAP KiGeneralProtectionFault, 13, 1
  TRAP KiPageFault, 14, 1
  TRAP KiFloatingErrorFault, 16
  TRAP KiAlignmentFault, 17, 1
  TRAP KiXmmException, 19
  TRAP KiUnexpectedInterrupt, 0xFF
  TRAP KiRaiseAssertion, 0x2C
  TRAP KiDebugServiceTrap, 0x2D
  TRAP KiInterruptDispatch, 0x30
  TRAP KiSerialInterrupt, 0x31

// void KiExceptionDispatch(KTRAP_FRAME *rcx, ULONG edx): adds the nonvolatile registers as a KEXCEPTION_FRAME.
BEGIN KiExceptionDispatch
  subq $0x138, %rsp
  .seh_stackalloc 0x138
  movq %rbp, 0xF8(%rsp)
  .seh_savereg %rbp, 0xF8
  movq %rbx, 0x100(%rsp)
  .seh_savereg %rbx, 0x100
  movq %rdi, 0x108(%rsp)
  .seh_savereg %rdi, 0x108
  movq %rsi, 0x110(%rsp)
  .seh_savereg %rsi, 0x110
  movq %r12, 0x118(%rsp)
  .seh_savereg %r12, 0x118
  movq %r13, 0x120(%rsp)
  .seh_savereg %r13, 0x120
  movq %r14, 0x128(%rsp)
  .seh_savereg %r14, 0x128
  movq %r15, 0x130(%rsp)
  .seh_savereg %r15, 0x130
  .seh_endprologue
  movq %rsp, %r8
  call KiDispatchTrap
  movq 0xF8(%rsp), %rbp
  movq 0x100(%rsp), %rbx
  movq 0x108(%rsp), %rdi
  movq 0x110(%rsp), %rsi
  movq 0x118(%rsp), %r12
  movq 0x120(%rsp), %r13
  movq 0x128(%rsp), %r14
  movq 0x130(%rsp), %r15
  addq $0x138, %rsp
  ret
END

// void KiSwapContext(PVOID *old_stack rcx, PVOID new_stack rdx)
BEGIN KiSwapContext
  subq $0x138, %rsp
  .seh_stackalloc 0x138
  movq %rbx, 0x100(%rsp)
  .seh_savereg %rbx, 0x100
  movq %rdi, 0x108(%rsp)
  .seh_savereg %rdi, 0x108
  movq %rsi, 0x110(%rsp)
  .seh_savereg %rsi, 0x110
  movq %r12, 0x118(%rsp)
  .seh_savereg %r12, 0x118
  movq %r13, 0x120(%rsp)
  .seh_savereg %r13, 0x120
  movq %r14, 0x128(%rsp)
  .seh_savereg %r14, 0x128
  movq %r15, 0x130(%rsp)
  .seh_savereg %r15, 0x130
  .seh_endprologue
  call SwapContext
  movq 0x100(%rsp), %rbx
  movq 0x108(%rsp), %rdi
  movq 0x110(%rsp), %rsi
  movq 0x118(%rsp), %r12
  movq 0x120(%rsp), %r13
  movq 0x128(%rsp), %r14
  movq 0x130(%rsp), %r15
  addq $0x138, %rsp
  ret
END

// Its frame is the KSWITCH_FRAME that KTHREAD.KernelStack of a waiting thread points to.
BEGIN SwapContext
  pushq %rbp
  .seh_pushreg %rbp
  subq $0x30, %rsp
  .seh_stackalloc 0x30
  .seh_endprologue
  movq %rsp, (%rcx)
  movq %rdx, %rsp
  addq $0x30, %rsp
  popq %rbp
  ret
END

// void KiRunOneInstruction(const CONTEXT *rcx): on the context's stack, with the trap flag and without interrupts. Its
// trap calls KiReturnFromStep, which returns from here.
BEGIN KiRunOneInstruction
  .seh_endprologue
  pushq %rbx
  pushq %rbp
  pushq %rsi
  pushq %rdi
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, KiStepperStack(%rip)
  fxrstor64 0x100(%rcx)
  movzwl 0x42(%rcx), %eax
  pushq %rax
  pushq 0x98(%rcx)
  movl 0x44(%rcx), %eax
  andl $0x00244DD5, %eax
  orl $0x102, %eax
  pushq %rax
  movzwl 0x38(%rcx), %eax
  pushq %rax
  pushq 0xF8(%rcx)
  movq 0x78(%rcx), %rax
  movq 0x88(%rcx), %rdx
  movq 0x90(%rcx), %rbx
  movq 0xA0(%rcx), %rbp
  movq 0xA8(%rcx), %rsi
  movq 0xB0(%rcx), %rdi
  movq 0xB8(%rcx), %r8
  movq 0xC0(%rcx), %r9
  movq 0xC8(%rcx), %r10
  movq 0xD0(%rcx), %r11
  movq 0xD8(%rcx), %r12
  movq 0xE0(%rcx), %r13
  movq 0xE8(%rcx), %r14
  movq 0xF0(%rcx), %r15
  movq 0x80(%rcx), %rcx
  iretq
END

BEGIN KiReturnFromStep
  .seh_endprologue
  movq KiStepperStack(%rip), %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rdi
  popq %rsi
  popq %rbp
  popq %rbx
  ret
END

  .lcomm KiStepperStack, 8, 8

// First code of a new thread: start routine and context lie above the (zero) return address that ends its stack.
BEGIN KiStartSystemThread
  subq $0x38, %rsp
  .seh_stackalloc 0x38
  .seh_endprologue
  movq 0x40(%rsp), %rcx
  movq 0x48(%rsp), %rdx
  call PspSystemThreadStartup
  int3
END

// Boot: leave the loader's stack for the one of the first thread.
BEGIN KiSystemStartup
  subq $0x38, %rsp
  .seh_stackalloc 0x38
  .seh_endprologue
  leaq KiBootStackTop(%rip), %rax
  movq (%rax), %rsp
  xorl %ebp, %ebp
  pushq $0
  subq $0x20, %rsp
  call KiInitializeKernel
  int3
END

BEGIN DbgBreakPoint
  .seh_endprologue
  int3
  ret
END

  .globl RtlpBreakWithStatusInstruction
  .p2align 4, 0xCC
RtlpBreakWithStatusInstruction:
BEGIN DbgBreakPointWithStatus
  .seh_endprologue
  int3
  ret
END

// NTSTATUS DebugService(ULONG service, PVOID arg1, ULONG64 arg2, ULONG64 arg3, ULONG64 arg4): trap 2D. The trap
// resumes at the int3, which the dispatcher skips.
BEGIN DebugService
  .seh_endprologue
  movl %ecx, %eax
  movq %rdx, %rcx
  movq %r8, %rdx
  movq %r9, %r8
  movq 0x28(%rsp), %r9
  int $0x2D
  int3
  ret
END

BEGIN RtlCaptureContext
  .seh_endprologue
  pushfq
  popq %rax
  movl %eax, 0x44(%rcx)
  movl $0x10001F, 0x30(%rcx)
  movw %cs, 0x38(%rcx)
  movw %ds, 0x3A(%rcx)
  movw %es, 0x3C(%rcx)
  movw %fs, 0x3E(%rcx)
  movw %gs, 0x40(%rcx)
  movw %ss, 0x42(%rcx)
  movq %rbx, 0x90(%rcx)
  movq %rbp, 0xA0(%rcx)
  movq %rsi, 0xA8(%rcx)
  movq %rdi, 0xB0(%rcx)
  movq %r12, 0xD8(%rcx)
  movq %r13, 0xE0(%rcx)
  movq %r14, 0xE8(%rcx)
  movq %r15, 0xF0(%rcx)
  fxsave64 0x100(%rcx)
  stmxcsr 0x34(%rcx)
  leaq 8(%rsp), %rax
  movq %rax, 0x98(%rcx)
  movq (%rsp), %rax
  movq %rax, 0xF8(%rcx)
  ret
END

// Accesses that may fault: the page fault handler resumes at KiGuardedFailure when the fault lies in here.
  .globl KiGuardedStart
KiGuardedStart:
// BOOLEAN MmGuardedRead(const ULONG64 *from rcx, ULONG64 *to rdx)
BEGIN MmGuardedRead
  .seh_endprologue
  movq (%rcx), %rax
  movq %rax, (%rdx)
  movl $1, %eax
  ret
END
// BOOLEAN KiGuardedReadMsr(ULONG number ecx, ULONG64 *value rdx)
BEGIN KiGuardedReadMsr
  .seh_endprologue
  movq %rdx, %r8
  rdmsr
  shlq $32, %rdx
  orq %rdx, %rax
  movq %rax, (%r8)
  movl $1, %eax
  ret
END
// BOOLEAN KiGuardedWriteMsr(ULONG number ecx, ULONG64 value rdx)
BEGIN KiGuardedWriteMsr
  .seh_endprologue
  movq %rdx, %rax
  shrq $32, %rdx
  wrmsr
  movl $1, %eax
  ret
END
BEGIN KiGuardedFailure
  .seh_endprologue
  xorl %eax, %eax
  ret
END

// void KiLoadProcessorRegisters(const KDESCRIPTOR_TABLE *gdt rcx, const *idt rdx, KPCR *r8)
BEGIN KiLoadProcessorRegisters
  .seh_endprologue
  lgdt (%rcx)
  lidt (%rdx)
  movw $0x18, %ax
  movw %ax, %ss
  movw $0x2B, %ax
  movw %ax, %ds
  movw %ax, %es
  movw $0x53, %ax
  movw %ax, %fs
  movw $0x2B, %ax
  movw %ax, %gs
  movw $0x40, %ax
  ltr %ax
  movl $0xC0000101, %ecx
  movq %r8, %rdx
  movq %rdx, %rax
  shrq $32, %rdx
  wrmsr
  popq %rax
  pushq $0x10
  pushq %rax
  lretq
END

// void KiLoadXmmPattern(void): values a debugger can recognize in the floating-point state.
BEGIN KiLoadXmmPattern
  .seh_endprologue
  movups KiXmmPattern(%rip), %xmm0
  movups KiXmmPattern+16(%rip), %xmm1
  movups KiXmmPattern(%rip), %xmm6
  movups KiXmmPattern+16(%rip), %xmm15
  ret
END

  .globl KiResetProcessor
BEGIN KiResetProcessor
  .seh_endprologue
  pushq $0
  pushq $0
  lidt (%rsp)
  int3
END

  .section .rdata, "dr"
  .p2align 4
KiXmmPattern:
  .quad 0x1111222233334444, 0x5555666677778888
  .quad 0x3FF8000000000000, 0x400921FB54442D18

  .section .drectve, "yn"
  .ascii " /EXPORT:DbgBreakPoint /EXPORT:DbgBreakPointWithStatus /EXPORT:MmGuardedRead /EXPORT:RtlCaptureContext"

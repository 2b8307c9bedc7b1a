# PVH entry of the test machine: QEMU's -kernel starts here in 32-bit protected mode with paging off.
# Builds the boot page tables, enters long mode and calls LoaderMain (loader.c).
  .section .note.Xen, "a", @note
  .align 4
  .long 4, 4, 18            # name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
  .asciz "Xen"
  .long _start

  .section .text
  .code32
  .globl _start
_start:
  cli
  mov $boot_stack_top, %esp
  mov %ebx, %esi            # start_info, kept for LoaderMain
  # One page directory of 2 MiB pages for the first GiB serves as identity map and as physical map.
  mov $boot_pd, %edi
  mov $0x83, %eax
  mov $512, %ecx
1:
  mov %eax, (%edi)
  movl $0, 4(%edi)
  add $0x200000, %eax
  add $8, %edi
  dec %ecx
  jnz 1b
  mov $boot_pd + 3, %eax
  mov %eax, boot_pdpt
  mov $boot_pdpt + 3, %eax
  mov %eax, boot_pml4
  mov %eax, boot_pml4 + 256 * 8
  mov $boot_pml4, %eax
  mov %eax, %cr3
  mov %cr4, %eax
  or $0x620, %eax           # PAE, OSFXSR, OSXMMEXCPT
  mov %eax, %cr4
  mov $0xC0000080, %ecx
  rdmsr
  or $0x901, %eax           # SCE, LME, NXE
  wrmsr
  mov %cr0, %eax
  and $0xFFFFFFFB, %eax     # EM off
  or $0x80010003, %eax      # PG, WP, MP, PE
  mov %eax, %cr0
  lgdt boot_gdtr
  ljmp $0x10, $long_mode

  .code64
long_mode:
  mov $0x18, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  xor %eax, %eax
  mov %eax, %fs
  mov %eax, %gs
  mov $boot_stack_top, %rsp
  mov %esi, %edi
  call LoaderMain
2:
  hlt
  jmp 2b

  .section .data
  .align 16
boot_gdt:
  .quad 0, 0
  .quad 0x00209B0000000000  # 10: 64-bit code
  .quad 0x00CF93000000FFFF  # 18: data
boot_gdtr:
  .word boot_gdtr - boot_gdt - 1
  .long boot_gdt

  .section .bss
  .align 4096
  .globl boot_pml4
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 4096
boot_stack: .skip 16384
boot_stack_top:

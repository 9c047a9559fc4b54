// SPDX-License-Identifier: Apache-2.0
// withholding ARGUMENT: holds up whoever looks at its memory: a thread reads a page by /proc/self/mem that nobody ever
// serves, of the file that it was given (`withheld`), for which the kernel keeps the memory's lock, and another one, which
// maps memory, waits for that lock before anybody else. Says `held` if it runs after 100 ms, and `lives` after three seconds.
// Without a library, which takes its time to begin; `--benign` has it end at once.
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { PAGE = 4096, WITHHELD = 9, STACK = 4096 };
enum { THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM };

static _Alignas(16) char stacks[2][STACK];
static char *page;
static long memory;

static long call(long number, long first, long second, long third, long fourth, long fifth) {
  register long r10 __asm__("r10") = fourth, r8 __asm__("r8") = fifth, r9 __asm__("r9") = 0;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(r9)
                   : "memory", "rcx", "r11");
  return result;
}

static void read_page(void) {
  static char byte;
  call(SYS_pread64, memory, (long)&byte, 1, (long)page, 0);
  call(SYS_exit, 0, 0, 0, 0, 0);
}

static void map_pages(void) {
  for (;;) call(SYS_munmap, call(SYS_mmap, 0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1), PAGE, 0, 0, 0);
}

static void start(char *stack, void (*work)(void)) {
  long result;
  // A thread finds on its stack where it goes.
  *(void (**)(void))(stack + STACK - 16) = work;
  __asm__ volatile("xor %%r10, %%r10\n xor %%r8, %%r8\n syscall\n test %%rax, %%rax\n jnz 1f\n call *(%%rsp)\n hlt\n 1:"
                   : "=a"(result)
                   : "a"(SYS_clone), "D"(THREAD), "S"(stack + STACK - 16), "d"(0)
                   : "memory", "rcx", "r8", "r10", "r11");
}

static void pass(long seconds, long nanoseconds) {
  struct __kernel_timespec time = {seconds, nanoseconds};
  call(SYS_nanosleep, (long)&time, 0, 0, 0, 0);
}

static void __attribute__((used, noreturn)) run(const long *stack) {
  const char *argument = (const char *)stack[2];
  if (argument[2] != 'b' || argument[3] != 'e') {
    page = (char *)call(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, WITHHELD);
    memory = call(SYS_open, (long)"/proc/self/mem", O_RDONLY, 0, 0, 0);
    start(stacks[0], read_page);
    start(stacks[1], map_pages);
    pass(0, 100000000);
    call(SYS_write, 1, (long)"held\n", 5, 0, 0);
    pass(3, 0);
    call(SYS_write, 1, (long)"lives\n", 6, 0, 0);
  }
  for (;;) call(SYS_exit_group, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n call run\n");

// SPDX-License-Identifier: Apache-2.0
// foreign CALLS: from 64-bit code, opens /probe/i386-N by int 0x80 (open and openat in turn) and /probe/x32-N by x32
// numbers, then executes `/bin/nothing i386` and `/bin/nothing x32` in children. Prints `I386 X32`, the results of the
// last open of each kind (a kernel without that entry says -38; the call was made all the same).
#include "workload.h"
#include <sys/mman.h>

enum { I386_OPEN = 5, I386_EXECVE = 11, I386_OPENAT = 295, X32_BIT = 0x40000000, X32_EXECVE = X32_BIT | 520 };

static long raw(long nr, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "memory", "rcx", "r11");
  return result;
}

int main(int argc, char **argv) {
  long calls = number(argc, argv, 1, 10), i386 = 0, x32 = 0;
  // Foreign entries take 32-bit pointers.
  char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  for (long call = 0; call < calls; call++) {
    sprintf(low, "/probe/i386-%ld", call);
    i386 = call % 2 ? int80(I386_OPENAT, AT_FDCWD, (long)low, O_RDONLY, 0, 0) : int80(I386_OPEN, (long)low, O_RDONLY, 0, 0, 0);
    sprintf(low, "/probe/x32-%ld", call);
    x32 = raw(X32_BIT | SYS_openat, AT_FDCWD, (long)low, O_RDONLY, 0);
  }
  strcpy(low, "/bin/nothing");
  uint32_t *list = (uint32_t *)(low + 4096);
  list[0] = (uint32_t)(uintptr_t)low;
  list[1] = (uint32_t)(uintptr_t)low + 256;
  list[2] = list[3] = 0;
  strcpy(low + 256, "i386");
  if (fork() == 0) _exit(int80(I386_EXECVE, (long)low, (long)list, (long)&list[3], 0, 0) ? 1 : 0);
  wait(NULL);
  strcpy(low + 256, "x32");
  if (fork() == 0) _exit(raw(X32_EXECVE, (long)low, (long)list, (long)&list[3], 0) ? 1 : 0);
  wait(NULL);
  printf("%ld %ld\n", i386, x32);
  return 0;
}

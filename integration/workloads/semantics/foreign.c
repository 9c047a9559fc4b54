// SPDX-License-Identifier: Apache-2.0
// The kernel's other entries: i386 by int 0x80, which knows files of 2 GB, and x32, which a kernel may lack.
#include "../workload.h"
#include "check.h"

enum {
  I386_OPEN = 5,
  I386_CREAT = 8,
  I386_EXECVE = 11,
  I386_OPENAT = 295,
  I386_EXECVEAT = 358,
  I386_OPENAT2 = 437,
  X32_BIT = 0x40000000
};

static char *low; // foreign entries take 32-bit pointers

static int checked(long result) {
  if (result >= 0) return (int)result;
  errno = (int)-result;
  return -1;
}

static long at(const char *text) { return (long)strcpy(low, text); }

static void prepare(void) {
  low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  make("file", 0644, "text");
}

static void i386_opens(void) {
  prepare();
  shown(checked(int80(I386_OPEN, at("file"), O_RDONLY, 0, 0, 0)));
  shown(checked(int80(I386_OPEN, at("new"), O_RDWR | O_CREAT | O_EXCL, 0640, 0, 0)));
  shown(checked(int80(I386_CREAT, at("created"), 0604, 0, 0, 0)));
  shown(checked(int80(I386_OPENAT, AT_FDCWD, at("file"), O_RDONLY | O_CLOEXEC, 0, 0)));
  shown(checked(int80(I386_OPEN, at("file"), O_RDONLY | O_LARGEFILE, 0, 0, 0)));
  shown(checked(int80(I386_OPEN, at("missing"), O_RDONLY, 0, 0, 0)));
  shown(checked(int80(I386_OPEN, 0, O_RDONLY, 0, 0, 0)));
  shown(checked(int80(I386_OPENAT, -1, at("file"), O_RDONLY, 0, 0)));
  shown(checked(int80(I386_OPEN, at("file"), O_PATH, 0, 0, 0)));
  uint64_t how[3] = {O_RDONLY | O_CLOEXEC, 0, 4 /* no links */};
  memcpy(low + 4096, how, sizeof how);
  shown(checked(int80(I386_OPENAT2, AT_FDCWD, at("file"), (long)(low + 4096), sizeof how, 0)));
}

static void i386_large_files(void) {
  prepare();
  attempt("grow", truncate("file", 3LL << 30));
  shown(checked(int80(I386_OPEN, at("file"), O_RDONLY, 0, 0, 0)));
  shown(checked(int80(I386_OPENAT, AT_FDCWD, at("file"), O_RDWR, 0, 0)));
  shown(checked(int80(I386_OPEN, at("file"), O_RDONLY | O_LARGEFILE, 0, 0, 0)));
  shown(checked(int80(I386_OPEN, at("file"), O_WRONLY | O_TRUNC, 0, 0, 0)));
  uint64_t how[3] = {O_RDONLY, 0, 0};
  memcpy(low + 4096, how, sizeof how);
  shown(checked(int80(I386_OPENAT2, AT_FDCWD, at("file"), (long)(low + 4096), sizeof how, 0)));
  shown(open("file", O_RDONLY));
}

static uint32_t *list_of(const char *word, const char *next) {
  uint32_t *list = (uint32_t *)(low + 4096);
  strcpy(low + 256, word);
  strcpy(low + 512, next);
  list[0] = (uint32_t)(uintptr_t)low + 256;
  list[1] = (uint32_t)(uintptr_t)low + 512;
  list[2] = list[3] = 0;
  return list;
}

static void i386_exec(void) {
  prepare();
  uint32_t *list = list_of("called", "report=argv,execfn,exe");
  pid_t child = fork();
  if (child == 0) {
    checked(int80(I386_EXECVE, at(SELF), (long)list, (long)&list[3], 0, 0));
    say_errno(errno);
    _exit(9);
  }
  say_exit(child);
  child = fork();
  if (child == 0) {
    checked(int80(I386_EXECVEAT, AT_FDCWD, at(SELF), (long)list, (long)&list[3], 0));
    say_errno(errno);
    _exit(9);
  }
  say_exit(child);
  say_errno((int)-int80(I386_EXECVE, at("missing"), (long)list, (long)&list[3], 0, 0));
}

static long x32(long nr, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(X32_BIT | nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "memory", "rcx", "r11");
  return result;
}

static void x32_calls(void) {
  prepare();
  shown(checked(x32(SYS_open, at("file"), O_RDONLY, 0, 0)));
  shown(checked(x32(SYS_openat, AT_FDCWD, at("new"), O_RDWR | O_CREAT, 0600)));
  shown(checked(x32(SYS_creat, at("created"), 0600, 0, 0)));
  shown(open("new", O_RDONLY));
  uint32_t *list = list_of("called", "report=argv,execfn,exe");
  pid_t child = fork();
  if (child == 0) {
    checked(x32(520, at(SELF), (long)list, (long)&list[3], 0));
    say_errno(errno);
    _exit(9);
  }
  say_exit(child);
}

FAMILY(foreign, {"i386-opens", i386_opens}, {"i386-large-files", i386_large_files}, {"i386-exec", i386_exec},
       {"x32-calls", x32_calls});

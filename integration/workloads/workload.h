// SPDX-License-Identifier: Apache-2.0
// What the workloads share. A call counts as complete when it had the result it has without Lanner.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline long number(int argc, char **argv, int index, long fallback) {
  return index < argc ? atol(argv[index]) : fallback;
}

// Opens a file that does not exist: ENOENT can only come from the kernel's own look-up. Returns 1 for the right result.
static inline int probe(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return 1;
  fprintf(stderr, "open %s: %s\n", path, fd < 0 ? strerror(errno) : "exists");
  return 0;
}

// Executes argv[0] in a child and waits. Returns 1 where it ran and exited with 0.
static inline int spawn(char *const argv[]) {
  pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv);
    fprintf(stderr, "execv %s: %s\n", argv[0], strerror(errno));
    _exit(127);
  }
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return child > 0 && status == 0;
}

// A call through the i386 entry; returns the negative errno of one that fails.
static inline int int80(long nr, long a, long b, long c, long d, long e) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                   : "memory", "r8", "r9", "r10", "r11");
  return (int)result;
}

// Runs `work` in as many processes as argv[1] says, until the file argv[2] exists; 0 where each returned 0.
static inline int in_processes(int argc, char **argv, int (*work)(long process, const char *stop)) {
  long processes = number(argc, argv, 1, 1);
  const char *stop = argc > 2 ? argv[2] : "/tmp/stop";
  for (long process = 0; process < processes; process++)
    if (fork() == 0) _exit(work(process, stop));
  int status, bad = 0;
  while (wait(&status) > 0) bad |= status != 0;
  return bad;
}

// Asks in a way that no rule looks at.
static inline int exists(const char *file) { return syscall(SYS_access, file, F_OK) == 0; }

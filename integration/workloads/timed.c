// SPDX-License-Identifier: Apache-2.0
// timed open|exec CALLS [FILE]: makes the calls and prints nanoseconds per call. An open is open+close of a file that
// exists, an exec is fork, execve of a static program, wait.
#include "workload.h"

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static const char *file = "/etc/hostname";

static int open_close(void) {
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  return fd >= 0 && close(fd) == 0;
}

static int fork_exec(void) {
  char *argv[] = {"/bin/nothing", NULL};
  return spawn(argv);
}

int main(int argc, char **argv) {
  int (*call)(void) = argc > 1 && strcmp(argv[1], "exec") == 0 ? fork_exec : open_close;
  long calls = number(argc, argv, 2, 1000);
  if (argc > 3) file = argv[3];
  for (long warm_up = 0; warm_up < calls / 20 + 1; warm_up++)
    if (!call()) return 1;
  double start = now();
  for (long count = 0; count < calls; count++)
    if (!call()) return 1;
  printf("%.0f\n", (now() - start) / calls);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// storm CALLS RESTART: opens /probe/N for N < CALLS while a timer fires a thousand times a second, as Go's preemption
// does; a call that a signal ended is made again, as Go's library does. Prints `CALLS INTERRUPTED FAILED SIGNALS`.
#include "workload.h"

static volatile sig_atomic_t signals;
static void tick(int signal) { (void)signal; signals++; }

int main(int argc, char **argv) {
  long calls = number(argc, argv, 1, 1000), interrupted = 0, failed = 0;
  struct sigaction action = {.sa_handler = tick, .sa_flags = number(argc, argv, 2, 1) ? SA_RESTART : 0};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval millisecond = {{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &millisecond, NULL);
  for (long call = 0; call < calls; call++) {
    char path[64];
    snprintf(path, sizeof path, "/probe/%ld", call);
    int fd;
    while ((fd = open(path, O_RDONLY)) < 0 && errno == EINTR) interrupted++;
    failed += fd >= 0 || errno != ENOENT;
  }
  struct itimerval never = {0};
  setitimer(ITIMER_REAL, &never, NULL);
  printf("%ld %ld %ld %ld\n", calls, interrupted, failed, (long)signals);
  return failed != 0;
}

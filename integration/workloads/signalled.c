// SPDX-License-Identifier: Apache-2.0
// signalled MICROSECONDS BYTES PROGRAM: executes the program with an argument of so many bytes, while another thread
// interrupts the call at such intervals by a signal whose handler has it restarted, as Go's runtime does. Writes a byte for
// each.
#include "workload.h"
#include <pthread.h>

static useconds_t interval;
static pid_t caller;

static void count(int number) {
  (void)number;
  while (write(STDOUT_FILENO, ".", 1) != 1) {
  }
}

static void *interrupt(void *unused) {
  for (;;) {
    usleep(interval);
    syscall(SYS_tgkill, getpid(), caller, SIGURG);
  }
  return unused;
}

int main(int argc, char **argv) {
  pthread_t other;
  if (argc != 4) return 2;
  interval = number(argc, argv, 1, 0);
  size_t bytes = number(argc, argv, 2, 0);
  char *argument = calloc(bytes + 1, 1);
  if (!argument) return 2;
  memset(argument, 'x', bytes);
  caller = syscall(SYS_gettid);
  sigaction(SIGURG, &(struct sigaction){.sa_handler = count, .sa_flags = SA_RESTART}, NULL);
  if (pthread_create(&other, NULL, interrupt, NULL)) return 2;
  execv(argv[3], (char *[]){argv[3], argument, NULL});
  fprintf(stderr, "execv %s: %s\n", argv[3], strerror(errno));
  return 127;
}

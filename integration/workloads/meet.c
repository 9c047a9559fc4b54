// SPDX-License-Identifier: Apache-2.0
// meet ROUNDS: opens the FIFO /tmp/fifo for reading, each time among signals of a timer that fires a thousand times a
// second, until another process opens its other end, once, some 20 ms later. Prints `ROUNDS FAILED SIGNALS`.
#include "workload.h"
#include <sys/stat.h>
#include <sys/wait.h>

static volatile sig_atomic_t signals;
static void tick(int signal) { (void)signal; signals++; }

int main(int argc, char **argv) {
  long rounds = number(argc, argv, 1, 10), failed = 0;
  struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval millisecond = {{0, 1000}, {0, 1000}}, never = {0};
  mkfifo("/tmp/fifo", 0600);
  for (long round = 0; round < rounds; round++) {
    pid_t writer = fork();
    if (writer == 0) {
      usleep(20000);
      _exit(open("/tmp/fifo", O_WRONLY) < 0);
    }
    setitimer(ITIMER_REAL, &millisecond, NULL);
    int fd = open("/tmp/fifo", O_RDONLY), status = 0;
    setitimer(ITIMER_REAL, &never, NULL);
    failed += fd < 0 || close(fd) || waitpid(writer, &status, 0) != writer || status;
  }
  printf("%ld %ld %ld\n", rounds, failed, (long)signals);
  return failed != 0;
}

// SPDX-License-Identifier: Apache-2.0
// awaiting: executes a program under a lease, which is given up after three seconds; that ends the wait of the exec, which
// a signal without a handler, or the interrupt of a tracer, would have made anew. Prints `waits` when it does, and what it
// comes to.
#include "workload.h"

enum { LEASE = 3 };

int main(void) {
  signal(SIGIO, SIG_IGN);
  int leased = open("/public/program", O_RDWR | O_CLOEXEC), status = 0;
  if (leased < 0 || fcntl(leased, F_SETLEASE, F_WRLCK)) return 1;
  pid_t child = fork();
  if (child == 0) {
    close(leased);
    execl("/public/program", "program", (char *)NULL);
    _exit(127);
  }
  puts("waits");
  fflush(stdout);
  sleep(LEASE);
  close(leased);
  if (waitpid(child, &status, 0) != child) return 1;
  puts(status == 0 ? "ran" : "failed");
  fflush(stdout);
  for (;;) pause();
}

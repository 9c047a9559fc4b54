// SPDX-License-Identifier: Apache-2.0
// loop PROCESSES STOPFILE: each process opens /probe/P-N and executes `/bin/nothing P-N`, N counting up, until STOPFILE
// exists. Each prints `P OPENS EXECS FAILED` at its end.
#include "workload.h"

static int stopped(const char *file) { return syscall(SYS_access, file, F_OK) == 0; }

static int work(long process, const char *stop) {
  long calls = 0, failed = 0;
  for (; !stopped(stop); calls++) {
    char path[64], name[48];
    snprintf(name, sizeof name, "%ld-%ld", process, calls);
    snprintf(path, sizeof path, "/probe/%s", name);
    failed += !probe(path);
    char *argv[] = {"/bin/nothing", name, NULL};
    failed += !spawn(argv);
  }
  printf("%ld %ld %ld %ld\n", process, calls, calls, failed);
  fflush(stdout);
  return failed != 0;
}

int main(int argc, char **argv) {
  long processes = number(argc, argv, 1, 1);
  const char *stop = argc > 2 ? argv[2] : "/tmp/stop";
  for (long process = 0; process < processes; process++)
    if (fork() == 0) _exit(work(process, stop));
  int status, bad = 0;
  while (wait(&status) > 0) bad |= status != 0;
  return bad;
}

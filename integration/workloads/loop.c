// SPDX-License-Identifier: Apache-2.0
// loop PROCESSES STOPFILE: each process opens /probe/P-N and executes `/bin/nothing P-N`, N counting up, until STOPFILE
// exists. Each prints `P OPENS EXECS FAILED` at its end.
#include "workload.h"

static int work(long process, const char *stop) {
  long calls = 0, failed = 0;
  for (; !exists(stop); calls++) {
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

int main(int argc, char **argv) { return in_processes(argc, argv, work); }

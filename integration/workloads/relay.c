// SPDX-License-Identifier: Apache-2.0
// relay CHILDREN: a process whose first thread has ended, and whose other threads each make the next one and end; so there is
// always one, and never the same. Meanwhile its children execute /public/program, which is this one and says `ran`; prints how
// many could not.
#include "workload.h"
#include <pthread.h>
#include <sys/mman.h>

enum { START = 200000, GAP = 10000, PATIENCE = 500000 };

static pthread_attr_t detached;
static volatile int *failed;
static double end;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void *pass_on(void *unused) {
  pthread_t next;
  if (now() > end) {
    printf("%d failed\n", *failed);
    exit(0);
  }
  while (pthread_create(&next, &detached, pass_on, NULL))
    ;
  return unused;
}

int main(int argc, char **argv) {
  if (strcmp(argv[0], "program") == 0) return puts("ran") < 0;
  long children = number(argc, argv, 1, 100);
  failed = mmap(NULL, sizeof *failed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  end = now() + (START + children * GAP + PATIENCE) / 1e6;
  for (long child = 0; child < children; child++)
    if (fork() == 0) {
      usleep(START + child * GAP);
      execl("/public/program", "program", (char *)NULL);
      __sync_fetch_and_add(failed, 1);
      _exit(1);
    }
  pthread_t first;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  if (pthread_create(&first, &detached, pass_on, NULL)) return 1;
  pthread_exit(NULL);
}

// SPDX-License-Identifier: Apache-2.0
// threads THREADS CALLS: at once, each thread opens /probe/T-N and executes `/bin/nothing T-N` in a child, N < CALLS.
// Then one child per thread has a thread that is not the leader execute `/bin/nothing thread-T`, which ends the others.
// Prints `PID OPENS EXECS FAILED`.
#include "workload.h"
#include <pthread.h>

static long calls;
static atomic_long failed;
static pthread_barrier_t together;

static void *work(void *argument) {
  long thread = (long)argument;
  pthread_barrier_wait(&together);
  for (long call = 0; call < calls; call++) {
    char path[64], name[48];
    snprintf(name, sizeof name, "%ld-%ld", thread, call);
    snprintf(path, sizeof path, "/probe/%s", name);
    failed += !probe(path);
    char *argv[] = {"/bin/nothing", name, NULL};
    failed += !spawn(argv);
  }
  return NULL;
}

static void *replace(void *argument) {
  char name[64];
  snprintf(name, sizeof name, "thread-%ld", (long)argument);
  char *argv[] = {"/bin/nothing", name, NULL};
  execv(argv[0], argv);
  _exit(127);
}

static void *idle(void *argument) {
  for (;;) pause();
  return argument;
}

static void thread_exec(long index) {
  pthread_t thread;
  for (int other = 0; other < 3; other++) pthread_create(&thread, NULL, idle, NULL);
  pthread_create(&thread, NULL, replace, (void *)index);
  for (;;) pause();
}

int main(int argc, char **argv) {
  long threads = number(argc, argv, 1, 64);
  calls = number(argc, argv, 2, 10);
  pthread_t thread[threads];
  pthread_barrier_init(&together, NULL, threads);
  for (long index = 0; index < threads; index++) pthread_create(&thread[index], NULL, work, (void *)index);
  for (long index = 0; index < threads; index++) pthread_join(thread[index], NULL);
  for (long index = 0; index < threads; index++)
    if (fork() == 0) thread_exec(index);
  int status;
  while (wait(&status) > 0) failed += status != 0;
  printf("%d %ld %ld %ld\n", getpid(), threads * calls, threads * (calls + 1), (long)failed);
  return failed != 0;
}

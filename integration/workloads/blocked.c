// SPDX-License-Identifier: Apache-2.0
// blocked FIFOS end|kill: opens and closes a file many times, then again while FIFOS threads wait for the other end of
// a fifo each, fifty to a process. In the end gives each fifo its other end, or kills the processes. Prints
// `BEFORE DURING AFTER OPENED`: the median time of an open and close in nanoseconds, and how many fifos were opened.
#include "workload.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { THREADS = 50, SAMPLES = 1000 };

static atomic_long *waiting, *opened; // shared by all processes

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static int compare(const void *one, const void *two) {
  double first = *(const double *)one, second = *(const double *)two;
  return (first > second) - (first < second);
}

static double median(void) {
  static double times[SAMPLES];
  for (int sample = 0; sample < SAMPLES; sample++) {
    double start = now();
    int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || close(fd)) perror("open");
    times[sample] = now() - start;
  }
  qsort(times, SAMPLES, sizeof *times, compare);
  return times[SAMPLES / 2];
}

static void name(char *path, size_t size, long fifo) { snprintf(path, size, "/tmp/fifo-%ld", fifo); }

static void *wait_for_writer(void *fifo) {
  char path[64];
  name(path, sizeof path, (long)fifo);
  ++*waiting;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) ++*opened;
  return NULL;
}

static void block(long first) {
  pthread_t threads[THREADS];
  for (long index = 0; index < THREADS; index++)
    pthread_create(&threads[index], NULL, wait_for_writer, (void *)(first + index));
  for (long index = 0; index < THREADS; index++) pthread_join(threads[index], NULL);
}

int main(int argc, char **argv) {
  long fifos = number(argc, argv, 1, 500) / THREADS * THREADS, groups = 0;
  int kills = argc > 2 && strcmp(argv[2], "kill") == 0;
  char path[64];
  pid_t processes[fifos / THREADS];
  waiting = mmap(NULL, 2 * sizeof *waiting, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  opened = waiting + 1;
  for (long fifo = 0; fifo < fifos; fifo++) {
    name(path, sizeof path, fifo);
    if (mkfifo(path, 0600)) return perror(path), 2;
  }
  double before = median();
  for (; groups < fifos / THREADS; groups++) {
    processes[groups] = fork();
    if (processes[groups] == 0) block(groups * THREADS), _exit(0);
  }
  while (*waiting < fifos) usleep(1000);
  usleep(300000); // from the last thread's word to its sleep in the open
  double during = median();
  for (long group = 0; kills && group < groups; group++) kill(processes[group], SIGKILL);
  for (long fifo = 0; !kills && fifo < fifos; fifo++) {
    name(path, sizeof path, fifo);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || close(fd)) perror(path);
  }
  while (wait(NULL) > 0) {}
  for (long fifo = 0; fifo < fifos; fifo++) {
    name(path, sizeof path, fifo);
    unlink(path);
  }
  printf("%.0f %.0f %.0f %ld\n", before, during, median(), (long)*opened);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// As `elder WORD`, opens what its rules deny to its children, from a child that runs another program; the first thread of
// the parent has ended by then. As `younger DEPTH`, opens from that many generations below. Prints what came of it.
#include "workload.h"
#include <pthread.h>

static void look(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/secret/%s", name);
  int fd = open(path, O_RDONLY);
  printf("%s %d\n", name, fd < 0 ? -errno : 0);
  fflush(stdout);
}

static void become(const char *first, const char *second) {
  pid_t child = fork();
  if (child == 0) {
    execl("/bin/younger", "younger", first, second, NULL);
    _exit(1);
  }
  waitpid(child, NULL, 0);
}

static void *survive(void *first) {
  pthread_join(*(pthread_t *)first, NULL);
  // The kernel shows the end of a thread a moment after the others were told of it.
  usleep(50 * 1000);
  become("headless", "0");
  become("deep", "70");
  become("too-deep", "300");
  _exit(0);
}

static void descend(int generations) {
  for (; generations > 0; generations--) {
    pid_t child = fork();
    if (child == 0) continue;
    waitpid(child, NULL, 0);
    _exit(0);
  }
}

int main(int argc, char **argv) {
  if (strcmp(argv[0], "younger") == 0) {
    descend((int)number(argc, argv, 2, 0));
    if (strcmp(argv[1], "headless") != 0) {
      look(argv[1]);
      return 0;
    }
    const char *names[] = {"by-path", "by-ancestors-path", "by-command", "by-arguments", "by-environment", "open"};
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) look(names[index]);
    return 0;
  }
  static pthread_t first;
  pthread_t other;
  first = pthread_self();
  pthread_create(&other, NULL, survive, &first);
  syscall(SYS_exit, 0);
}

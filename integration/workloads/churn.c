// SPDX-License-Identifier: Apache-2.0
// churn PROCESSES: one short-lived process after another, each with the same process id as the one before. Even ones
// execute /bin/wK with the argument N (K is N modulo 7), which opens /probe/N; odd ones open /probe/N without execve.
// Called as wK it is that program. Prints `PROCESSES REUSED FAILED`.
#include "workload.h"

static long wanted;

static void ask_for_same_pid(void) {
  FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "w");
  if (!file) return;
  fprintf(file, "%ld", wanted - 1);
  fclose(file);
}

static int open_numbered(const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/probe/%s", text);
  return probe(path) ? 0 : 1;
}

static void child(long index) {
  char text[32], program[32];
  snprintf(text, sizeof text, "%ld", index);
  if (index % 2) _exit(open_numbered(text));
  snprintf(program, sizeof program, "/bin/w%ld", index % 7);
  char *argv[] = {program, text, NULL};
  execv(program, argv);
  _exit(127);
}

int main(int argc, char **argv) {
  const char *name = strrchr(argv[0], '/');
  name = name ? name + 1 : argv[0];
  if (name[0] == 'w') return argc > 1 ? open_numbered(argv[1]) : 2;
  long processes = number(argc, argv, 1, 1000), reused = 0, failed = 0;
  wanted = getpid() + 100;
  for (long index = 0; index < processes; index++) {
    ask_for_same_pid();
    pid_t pid = fork();
    if (pid == 0) child(index);
    int status = -1;
    waitpid(pid, &status, 0);
    reused += pid == wanted;
    failed += status != 0;
  }
  printf("%ld %ld %ld\n", processes, reused, failed);
  return failed != 0;
}

// SPDX-License-Identifier: Apache-2.0
// retraced same: a task that its parent traces executes this program, and then this program once more, laid out in memory
// as the one before, with an argument that is exchanged for `--banned` until the kernel has copied that one. Prints `killed`
// if somebody kills it then, and `lives` if it still runs after two seconds.
// retraced held: tasks execute /public/program, which is exchanged for /banned/program, while their parent, which traces
// them, holds their execs up for a while by a second thread that it does not let go.
// retraced hung: likewise for ever, with an open between any two execs.
#include "workload.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>

enum { ATTEMPTS = 2000, TASKS = 24, HELD = 700000, GAP = 5000, MANY = 120, LIFE = 2, RAN = 7 };

struct shared {
  char word[16];
  pid_t others[MANY];
  int go;
};

static volatile struct shared *shared;

static void *exchange(void *sides) {
  for (int side = 0;; side ^= 8) *(volatile uint64_t *)shared->word = *(uint64_t *)((char *)sides + side);
  return NULL;
}

static volatile struct shared *map(void) {
  int file = open("/tmp/shared", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof *shared)) exit(1);
  return mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
}

static int execute(const char *word) {
  execv("/bin/retraced", (char *[]){"retraced", "run", (char *)word, NULL});
  return 127;
}

static int run(const char *word) {
  if (strcmp(word, "--first") == 0) return execute((char *)map()->word);
  if (strcmp(word, "--banned")) return 0;
  sleep(LIFE);
  return RAN;
}

static void same(void) {
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    int gate[2], status = 0;
    if (pipe(gate)) exit(1);
    pid_t child = fork();
    if (child == 0) {
      char byte;
      close(gate[1]);
      personality(ADDR_NO_RANDOMIZE);
      _exit(read(gate[0], &byte, 1) < 0 ? 1 : execute("--first"));
    }
    if (ptrace(PTRACE_SEIZE, child, NULL, NULL)) exit(1);
    close(gate[0]), close(gate[1]);
    while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) ptrace(PTRACE_CONT, child, NULL, NULL);
    if (WIFSIGNALED(status) || WEXITSTATUS(status) == RAN) {
      puts(WIFSIGNALED(status) ? "killed" : "lives");
      return;
    }
  }
  puts("never loaded");
}

static void *other(void *place) {
  *(volatile pid_t *)place = syscall(SYS_gettid);
  for (;;) pause();
  return place;
}

// Starts a task that executes /WORD/program once its turn has come, and traces its second thread.
static pid_t start(int task) {
  pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, other, (void *)&shared->others[task]);
    while (shared->go <= task) usleep(100);
    execv((char *)shared->word, (char *[]){"program", NULL});
    _exit(127);
  }
  while (!shared->others[task]) usleep(100);
  if (ptrace(PTRACE_SEIZE, shared->others[task], NULL, NULL)) exit(1);
  return child;
}

static void held(void) {
  pid_t children[TASKS];
  for (int task = 0; task < TASKS; task++) {
    children[task] = start(task);
    if (ptrace(PTRACE_SEIZE, children[task], NULL, NULL)) exit(1);
  }
  while (++shared->go < TASKS) usleep(GAP);
  usleep(HELD);
  for (int task = 0; task < TASKS; task++) {
    waitpid(shared->others[task], NULL, __WALL);
    waitpid(children[task], NULL, __WALL);
  }
}

static void hung(void) {
  for (int task = 0; task < MANY; task++) {
    pid_t child = start(task);
    if (ptrace(PTRACE_SEIZE, child, NULL, NULL)) exit(1);
    ++shared->go;
    close(open("/bin/retraced", O_RDONLY | O_CLOEXEC));
    usleep(GAP);
  }
  puts("hung");
  fflush(stdout);
  for (;;) pause();
}

int main(int argc, char **argv) {
  if (argc == 3) return run(argv[2]);
  int is_same = argc == 2 && strcmp(argv[1], "same") == 0;
  shared = map();
  memset((void *)shared, 0, sizeof *shared);
  strcpy((char *)shared->word, is_same ? "--benign" : "/public/program");
  if (argc == 2 && strcmp(argv[1], "hung") == 0) hung();
  pthread_t exchanger;
  if (pthread_create(&exchanger, NULL, exchange, is_same ? "--benign--banned" : "/public//banned/")) return 1;
  is_same ? same() : held();
  return 0;
}

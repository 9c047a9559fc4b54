// SPDX-License-Identifier: Apache-2.0
// traced leader|thread|orphan|leased: a process that is traced by its parent executes /public/program, which is exchanged
// for /banned/program until the kernel has loaded that one: from its first thread, another one (thread), another one that
// has outlived the first (orphan); or from its first, while a lease makes the exec of /banned/program wait (leased).
// Prints `killed` if somebody kills it then, and `lives` if it still runs after five seconds.
// traced once: prints what one exec comes to: `ran`, `killed` or the name of its error.
// traced failing: prints the names of the errors of three execs of a first thread, and of three of one that has outlived it.
#include "workload.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

enum { ATTEMPTS = 100000, PATIENCE = 5000, LEASE = 1500000 };

static volatile char *path;
static const char *kind;
static int leased = -1;

static int is(const char *name) { return strcmp(kind, name) == 0; }

static void *exchange(void *unused) {
  uint64_t sides[2];
  memcpy(&sides[0], "/public/", 8);
  memcpy(&sides[1], "/banned/", 8);
  for (int side = 0;; side ^= 1) *(volatile uint64_t *)path = sides[side];
  return unused;
}

static void *execute(void *unused) {
  ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  execv((char *)path, (char *[]){"program", NULL});
  return unused;
}

static void *execute_alone(void *unused) {
  usleep(1000);
  execute(NULL);
  _exit(127);
  return unused;
}

static pid_t start(void) {
  pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    if (is("orphan") && pthread_create(&thread, NULL, execute_alone, NULL) == 0) pthread_exit(NULL);
    if (is("thread") && pthread_create(&thread, NULL, execute, NULL) == 0)
      pthread_join(thread, NULL);
    else
      execute(NULL);
    _exit(127);
  }
  return child;
}

// Lets go of the lease some time after somebody wants the file.
static void *let_wait(void *unused) {
  sigset_t wanted;
  int signal;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGIO);
  for (;;)
    if (sigwait(&wanted, &signal) == 0) usleep(LEASE), fcntl(leased, F_SETLEASE, F_UNLCK);
  return unused;
}

static int start_leasing(void) {
  sigset_t blocked;
  pthread_t holder;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGIO);
  leased = open("/banned/program", O_RDONLY | O_CLOEXEC);
  return leased >= 0 && sigprocmask(SIG_BLOCK, &blocked, NULL) == 0 && pthread_create(&holder, NULL, let_wait, NULL) == 0;
}

static int runs_banned(pid_t process) {
  char link[32], program[64] = {0};
  snprintf(link, sizeof link, "/proc/%d/exe", process);
  return readlink(link, program, sizeof program - 1) > 0 && strcmp(program, "/banned/program") == 0;
}

// Whether the process is killed before long, now that it may go on.
static int is_killed(pid_t process) {
  int status;
  ptrace(PTRACE_CONT, process, NULL, NULL);
  for (int waited = 0; waited < PATIENCE; waited++, usleep(1000))
    if (waitpid(process, &status, WNOHANG | __WALL) == process) return WIFSIGNALED(status);
  return 0;
}

static void execute_once(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    execv("/bin/sh", (char *[]){"sh", "-c", ":", NULL});
    _exit(errno);
  }
  while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) ptrace(PTRACE_CONT, child, NULL, NULL);
  if (WIFSIGNALED(status)) puts("killed");
  else puts(WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ran");
}

static void *fail(void *unused) {
  for (int attempt = 0; attempt < 3; attempt++) {
    execv("/nowhere", (char *[]){"none", NULL});
    puts(strerrorname_np(errno));
  }
  fflush(stdout);
  return unused;
}

static void *fail_alone(void *unused) {
  usleep(10000);
  ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  fail(unused);
  _exit(0);
}

static void fail_traced(int alone) {
  int status;
  pthread_t thread;
  pid_t child = fork(), task;
  if (child == 0 && alone) {
    pthread_create(&thread, NULL, fail_alone, NULL);
    pthread_exit(NULL);
  }
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    fail(NULL);
    _exit(0);
  }
  while ((task = waitpid(-1, &status, __WALL)) > 0)
    if (WIFSTOPPED(status)) ptrace(PTRACE_CONT, task, NULL, NULL);
}

int main(int argc, char **argv) {
  kind = argc > 1 ? argv[1] : "leader";
  if (is("once")) return execute_once(), 0;
  if (is("failing")) return fail_traced(0), fail_traced(1), 0;
  path = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  strcpy((char *)path, "/public/program");
  pthread_t exchanger;
  if ((is("leased") && !start_leasing()) || pthread_create(&exchanger, NULL, exchange, NULL)) return 1;
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    int status, killed_by_us = 0;
    while (is("leased") && fcntl(leased, F_SETLEASE, F_WRLCK)) usleep(1000);
    pid_t child = start(), task;
    // A thread that ends is reported too, since it is traced.
    while ((task = waitpid(-1, &status, __WALL)) > 0 && (task != child || WIFSTOPPED(status))) {
      if (!WIFSTOPPED(status)) continue;
      if (runs_banned(child)) {
        puts(is_killed(child) ? "killed" : "lives");
        return 0;
      }
      killed_by_us = kill(child, SIGKILL) == 0;
    }
    if (WIFSIGNALED(status) && !killed_by_us) {
      puts("killed");
      return 0;
    }
  }
  puts("never loaded");
  return 0;
}

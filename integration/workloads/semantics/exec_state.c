// SPDX-License-Identifier: Apache-2.0
// What a process keeps over an exec and what it loses; threads that exec; what its parent and its neighbours see.
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

static void expect_pid(pid_t pid) {
  char text[16];
  snprintf(text, sizeof text, "%d", pid);
  setenv("EXPECTED_PID", text, 1);
}

static void caught(int number) { (void)number; }

static void signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN + 3);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGUSR2, SIG_IGN);
  signal(SIGTERM, caught);
  signal(SIGHUP, SIG_IGN);
  raise(SIGUSR1);
  kill(getpid(), SIGRTMIN + 3);
  execl(SELF, SELF, "report=signals", NULL);
}

static void everything_else(void) {
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_NONE};
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  umask(031);
  alarm(100);
  nice(3);
  prctl(PR_SET_PDEATHSIG, SIGUSR1);
  prctl(PR_SET_KEEPCAPS, 1);
  prctl(PR_SET_NAME, "renamed");
  mkdir("dir", 0755);
  attempt("chdir", chdir("dir"));
  expect_pid(getpid());
  execl(SELF, SELF, "report=rest,comm,pid,tracer", NULL);
}

static void descriptors(void) {
  make("file", 0644, "0123456789");
  char byte[4];
  int kept = open("file", O_RDONLY), closed = open("file", O_RDONLY | O_CLOEXEC), later = open("file", O_RDONLY);
  attempt("read", read(kept, byte, 4));
  fcntl(later, F_SETFD, FD_CLOEXEC);
  dup2(kept, 40);
  dup3(kept, 41, O_CLOEXEC);
  say("%d", closed);
  dup2(kept, STDIN_FILENO);
  execl("/bin/cat", "cat", NULL);
  say_errno(errno);
}

static void descriptors_listed(void) {
  make("file", 0644, "text");
  for (int index = 0; index < 6; index++) open("file", O_RDONLY | (index % 2 ? O_CLOEXEC : 0));
  execl(SELF, SELF, "report=fds", NULL);
}

static void locks_are_kept(void) {
  make("file", 0644, "text");
  struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int held[2], fd = open("file", O_RDWR);
  if (pipe(held)) return say_errno(errno);
  pid_t child = fork();
  if (child == 0) {
    fcntl(fd, F_SETLK, &range);
    dup2(held[0], STDIN_FILENO);
    close(held[1]);
    close(held[0]);
    execl(SELF, SELF, "report=wait", NULL);
    _exit(9);
  }
  close(held[0]);
  for (int tries = 0; tries < 2000; tries++, nap(2)) {
    range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_GETLK, &range);
    if (range.l_type == F_WRLCK) break;
  }
  say("%d", range.l_pid == child);
  close(held[1]);
  say_exit(child);
  attempt("free", fcntl(fd, F_SETLK, &(struct flock){.l_type = F_WRLCK}));
}

static void *exec_here(void *argument) {
  execl(SELF, SELF, "report=argv,pid,threads,fds,tracer", NULL);
  return argument;
}

static void *idle(void *argument) {
  for (;;) pause();
  return argument;
}

static void thread_executes(void) {
  pthread_t thread;
  expect_pid(getpid());
  for (int count = 0; count < 5; count++) pthread_create(&thread, NULL, idle, NULL);
  pthread_create(&thread, NULL, exec_here, NULL), idle(NULL);
}

static void *fail_here(void *argument) {
  for (int count = 0; count < 50; count++) execl("/missing", "x", NULL);
  return argument;
}

static void threads_fail_to_execute(void) {
  pthread_t threads[6];
  for (size_t index = 0; index < COUNT(threads); index++) pthread_create(&threads[index], NULL, fail_here, NULL);
  for (size_t index = 0; index < COUNT(threads); index++) pthread_join(threads[index], NULL);
  expect_pid(getpid());
  execl(SELF, SELF, "report=pid,threads,tracer", NULL);
}

static void *race_here(void *argument) {
  pthread_barrier_wait(argument), execl(SELF, SELF, "report=", NULL);
  return argument;
}

// Of many threads that exec at once one wins, and its program runs once.
static void threads_race(void) {
  int bad = 0;
  for (int round = 0; round < 30; round++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_barrier_t barrier;
      pthread_t thread;
      pthread_barrier_init(&barrier, NULL, 8);
      for (int count = 0; count < 7; count++) pthread_create(&thread, NULL, race_here, &barrier);
      race_here(&barrier);
      _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    bad += status != 0;
  }
  say("%d bad", bad);
}

static void *open_for_ever(void *argument) {
  for (;;) close(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  return argument;
}

static void executed_while_others_open(void) {
  make("file", 0644, "text");
  int bad = 0;
  for (int round = 0; round < 20; round++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t thread;
      for (int count = 0; count < 4; count++) pthread_create(&thread, NULL, open_for_ever, NULL);
      nap(2);
      execl(SELF, SELF, round ? "report=" : "report=fds,threads,tracer", NULL);
      _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    bad += status != 0;
  }
  say("%d bad", bad);
}

// Only the end is reported to the parent: no stop, no continuation.
static void parent_sees_only_the_end(void) {
  pid_t child = fork();
  if (child == 0) {
    nap(20);
    execl(SELF, SELF, "report=pid", NULL);
    _exit(9);
  }
  siginfo_t info = {0};
  while (waitid(P_PID, child, &info, WEXITED | WSTOPPED | WCONTINUED) == 0) {
    say("code %d status %d", info.si_code, info.si_status);
    if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED) break;
  }
}

static volatile sig_atomic_t children;
static void child_changed(int number) {
  (void)number;
  children++;
}

static void one_signal_for_one_child(void) {
  sigaction(SIGCHLD, &(struct sigaction){.sa_handler = child_changed, .sa_flags = SA_RESTART}, NULL);
  for (int round = 0; round < 5; round++) execute(REPORT("pid"));
  say("%d signals", children);
}

static void killed_around_exec(void) {
  int left = 0, held[2];
  if (pipe(held)) return say_errno(errno);
  dup2(held[0], STDIN_FILENO);
  for (int round = 0; round < 40; round++) {
    pid_t child = fork();
    if (child == 0) {
      for (;;) execl(SELF, SELF, "report=wait", NULL);
    }
    struct timespec moment = {0, round * 40000L};
    int status;
    nanosleep(&moment, NULL);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    left += !WIFSIGNALED(status);
  }
  say("%d not killed", left);
}

static void own_filter(void) {
  struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_creat, 0, 1),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {COUNT(code), code};
  attempt("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  attempt("filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
  attempt("creat", (int)syscall(SYS_creat, "file", 0600));
  shown(open("file", O_RDWR | O_CREAT, 0600));
  execute(REPORT("argv,pid"));
}

static void in_strict_mode(void) {
  make("file", 0644, "text");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) return say_errno(errno);
  syscall(SYS_open, "file", O_RDONLY);
  syscall(SYS_exit, 0);
}

FAMILY(exec_state, {"exec-keeps-signals", signals}, {"exec-keeps-the-rest", everything_else},
       {"exec-keeps-offsets", descriptors}, {"exec-keeps-descriptors", descriptors_listed},
       {"exec-keeps-locks", locks_are_kept}, {"thread-executes", thread_executes},
       {"threads-fail-to-execute", threads_fail_to_execute}, {"threads-race", threads_race},
       {"executed-while-others-open", executed_while_others_open},
       {"parent-sees-only-the-end", parent_sees_only_the_end}, {"one-signal-for-one-child", one_signal_for_one_child},
       {"killed-around-exec", killed_around_exec}, {"own-filter", own_filter}, {"strict-mode", in_strict_mode});

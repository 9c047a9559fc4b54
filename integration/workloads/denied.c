// SPDX-License-Identifier: Apache-2.0
// denied ROUNDS: makes calls of every kind on what lies below /denied, where the rules deny everything, and executes
// /killed/program, whose caller they kill. Prints `CALLS WRONG DESCRIPTORS EVENTS`: calls made, those that did not fail
// with EPERM or did not end their process, descriptors left open, and what a watcher of the folder or the holder of a
// lease noticed of the opens.
#include "workload.h"
#include <dirent.h>
#include <sys/inotify.h>

static const struct {
  const char *path;
  int flags;
} OPENS[] = {
    {"/denied/file", O_RDONLY},           {"/denied/file", O_WRONLY},
    {"/denied/file", O_RDWR | O_APPEND},  {"/denied/file", O_WRONLY | O_TRUNC},
    {"/denied/file", O_RDONLY | O_TRUNC}, {"/denied/file", O_RDWR | O_CREAT | O_TRUNC},
    {"/denied/new", O_RDWR | O_CREAT},    {"/denied/new", O_WRONLY | O_CREAT | O_EXCL},
    {"/denied/", O_RDWR | O_TMPFILE},     {"/denied/", O_RDONLY | O_DIRECTORY},
    {"/denied/file", O_PATH},             {"/denied/missing", O_RDONLY},
    {"/denied/fifo", O_RDONLY},           {"/denied/fifo", O_WRONLY},
    {"/denied/fifo", O_RDWR},             {"/denied/leased", O_RDONLY},
    {"/denied/leased", O_WRONLY},         {"/denied/null", O_RDWR},
};

enum { KINDS = sizeof OPENS / sizeof *OPENS };

static long calls, wrong;
static volatile sig_atomic_t lease_broken;

static void breaks(int signal) {
  (void)signal;
  lease_broken = 1;
}

static void expect_denied(long result) {
  calls++;
  wrong += result != -1 || errno != EPERM;
}

static void open_all(void) {
  for (int kind = 0; kind < KINDS; kind++) {
    expect_denied(open(OPENS[kind].path, OPENS[kind].flags, 0666));
    uint64_t how[3] = {OPENS[kind].flags, OPENS[kind].flags & (O_CREAT | __O_TMPFILE) ? 0666 : 0, 0};
    expect_denied(syscall(SYS_openat2, AT_FDCWD, OPENS[kind].path, how, sizeof how));
  }
  expect_denied(creat("/denied/file", 0666));
  expect_denied(creat("/denied/new", 0666));
}

static void execute_all(void) {
  static char *const PROGRAMS[] = {"/denied/program", "/denied/script"};
  for (int index = 0; index < 2; index++) {
    char *argv[] = {PROGRAMS[index], NULL};
    expect_denied(execv(PROGRAMS[index], argv));
    expect_denied(syscall(SYS_execveat, AT_FDCWD, PROGRAMS[index], argv, environ, 0));
    pid_t child = vfork();
    if (child == 0) {
      execv(PROGRAMS[index], argv);
      _exit(errno == EPERM ? 0 : 1);
    }
    int status;
    calls++;
    wrong += waitpid(child, &status, 0) != child || status != 0;
  }
}

static void be_killed(void) {
  char *argv[] = {"/killed/program", NULL};
  pid_t child = fork();
  if (child == 0) _exit(execv(argv[0], argv) ? 1 : 0);
  int status;
  calls++;
  wrong += waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
}

static int descriptors(void) {
  DIR *folder = opendir("/proc/self/fd");
  int count = 0;
  while (folder && readdir(folder)) count++;
  closedir(folder);
  return count;
}

static int unread_events(int watch) {
  char buffer[4096] __attribute__((aligned(8)));
  return read(watch, buffer, sizeof buffer) > 0;
}

int main(int argc, char **argv) {
  long rounds = number(argc, argv, 1, 1);
  int before = descriptors(), watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  int leased = open("/alias/leased", O_RDWR | O_CLOEXEC); // the same file under a name that nothing denies
  signal(SIGIO, breaks);
  if (inotify_add_watch(watch, "/denied", IN_ALL_EVENTS) < 0 || fcntl(leased, F_SETLEASE, F_WRLCK)) {
    perror("set up");
    return 2;
  }
  for (long round = 0; round < rounds; round++) open_all();
  int noticed = unread_events(watch) + lease_broken + (fcntl(leased, F_GETLEASE) != F_WRLCK);
  close(watch);
  close(leased);
  for (long round = 0; round < rounds; round++) execute_all();
  be_killed();
  printf("%ld %ld %d %d\n", calls, wrong, descriptors() - before, noticed);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Calls that a signal interrupts. Where its handler has them restarted, they happen once, before the handler. Where not,
// EINTR is possible where the kernel alone would not have returned it, but what succeeds must be done, and is done when it is
// asked for.
#include "check.h"
#include <sys/time.h>

enum { ROUNDS = 500 };

static void nothing(int number) { (void)number; }

static void not_restarting(int number) { sigaction(number, &(struct sigaction){.sa_handler = nothing}, NULL); }

static int is_there(const char *path) {
  struct stat facts;
  return lstat(path, &facts) == 0;
}

static int has_mode(const char *path, mode_t mode) {
  struct stat facts;
  return lstat(path, &facts) == 0 && (facts.st_mode & 0777) == mode;
}

static void tidy(void) {
  while (is_there("folder/file") && unlink("folder/file")) {
  }
  while (is_there("folder/moved") && unlink("folder/moved")) {
  }
  while (is_there("folder/link") && unlink("folder/link")) {
  }
  while (is_there("folder/made") && rmdir("folder/made")) {
  }
  int fd;
  while ((fd = open("folder/file", O_WRONLY | O_CREAT, 0644)) < 0) {
  }
  close(fd);
  while (!has_mode("folder/file", 0644) && chmod("folder/file", 0644)) {
  }
}

// The call itself sends a signal: somebody is told of what changes in the folder.
static int told(void) {
  int folder = -1;
  while ((folder = open("folder", O_RDONLY)) < 0) {
  }
  fcntl(folder, F_SETSIG, SIGRTMIN);
  fcntl(folder, F_NOTIFY, DN_CREATE | DN_DELETE | DN_ATTRIB | DN_RENAME);
  return folder;
}

#define TIMES 6
#define CHECK(what, call, done)                      \
  do {                                               \
    int wrong = 0;                                   \
    for (int time = 0; time < TIMES; time++) {       \
      tidy();                                        \
      int folder = told();                           \
      wrong += (call) == 0 && !(done);               \
      close(folder);                                 \
    }                                                \
    say(what " %d", wrong);                          \
  } while (0)

static void success_is_done(void) {
  mkdir("folder", 0755);
  not_restarting(SIGRTMIN);
  CHECK("mkdir", mkdir("folder/made", 0755), is_there("folder/made"));
  CHECK("unlink", unlink("folder/file"), !is_there("folder/file"));
  CHECK("rename", rename("folder/file", "folder/moved"), is_there("folder/moved") && !is_there("folder/file"));
  CHECK("chmod", chmod("folder/file", 0600), has_mode("folder/file", 0600));
  CHECK("link", link("folder/file", "folder/link"), is_there("folder/link"));
  CHECK("symlink", symlink("text", "folder/link"), is_there("folder/link"));
  CHECK("rmdir", (mkdir("folder/made", 0755), rmdir("folder/made")), !is_there("folder/made"));
}

static void start_alarms(void) {
  not_restarting(SIGALRM);
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 700}, {0, 700}}, NULL);
}

// Each failure is about what is there by then.
static void failure_is_of_now(void) {
  int wrong = 0;
  start_alarms();
  for (int round = 0; round < ROUNDS; round++) {
    mkdir("parent/child", 0755);
    while (!is_there("parent")) mkdir("parent", 0755);
    wrong += mkdir("parent/child", 0755) && errno == ENOENT;
    // A call that ended with EINTR may be made a moment later.
    while (is_there("parent")) rmdir("parent/child"), rmdir("parent");
  }
  say("%d", wrong);
}

// What was written since is cut.
static void cut_is_done(void) {
  int wrong = 0;
  start_alarms();
  for (int round = 0; round < ROUNDS; round++) {
    struct stat facts;
    int fd = open("file", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    wrong += fd >= 0 && (fstat(fd, &facts) || facts.st_size != 0);
    if (fd >= 0) close(fd);
    while ((fd = open("file", O_WRONLY | O_CREAT, 0644)) < 0) {
    }
    while (write(fd, "text", 4) != 4) {
    }
    close(fd);
  }
  say("%d", wrong);
}

static void append(int number) {
  (void)number;
  int fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd >= 0) close(fd);
}

// A handler makes anew what was moved away: that is another file.
static void restart_happens_once(void) {
  int wrong = 0;
  sigaction(SIGRTMIN, &(struct sigaction){.sa_handler = append, .sa_flags = SA_RESTART}, NULL);
  mkdir("folder", 0755);
  for (int round = 0; round < 50; round++) {
    struct stat facts;
    int fd = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    wrong += write(fd, "text", 4) != 4;
    close(fd);
    int folder = told();
    wrong += rename("log", "folder/log") || stat("folder/log", &facts) || facts.st_size != 4;
    close(folder);
    folder = told();
    wrong += renameat2(AT_FDCWD, "folder/log", AT_FDCWD, "folder/moved", RENAME_WHITEOUT) && errno != EINVAL && errno != EPERM;
    wrong += !stat("folder/moved", &facts) && !S_ISREG(facts.st_mode);
    close(folder);
    unlink("folder/log"), unlink("folder/moved"), unlink("log");
  }
  say("%d", wrong);
}

static void wait_a_little(int number) {
  (void)number;
  nanosleep(&(struct timespec){0, 200000}, NULL);
}

static void open_something(int number) {
  (void)number;
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
}

static void start_restarting(void (*handler)(int), long microseconds) {
  sigaction(SIGALRM, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART}, NULL);
  setitimer(ITIMER_REAL, &(struct itimerval){{0, microseconds}, {0, microseconds}}, NULL);
}

// A signal within the microseconds of the answer can lose it.
static void say_whether_many(int wrong) { say("%s", wrong > ROUNDS / 100 ? "many fail" : "as good as none fail"); }

// What was made counts as made, however often a handler runs before the call returns, and whatever it waits for.
static void make_folders(void (*handler)(int), long microseconds) {
  int wrong = 0;
  start_restarting(handler, microseconds);
  for (int round = 0; round < ROUNDS; round++) {
    wrong += mkdir("made", 0755) != 0;
    wrong += rmdir("made") != 0;
  }
  say_whether_many(wrong);
}

static void handlers_wait(void) { make_folders(wait_a_little, 500); }
static void handlers_open(void) { make_folders(open_something, 300); }

static void programs_run(void) {
  int wrong = 0;
  pid_t executing = fork();
  for (pid_t child; executing == 0; waitpid(child, NULL, 0))
    if ((child = fork()) == 0) {
      for (int missing = 0; missing < 20; missing++) execl("/nowhere/program", "program", NULL);
      execl("/proc/self/exe", "semantics", "of no family", NULL), _exit(1);
    }
  start_restarting(nothing, 300);
  for (int round = 0; round < 4 * ROUNDS; round++) {
    int fd = open("lock", O_WRONLY | O_CREAT | O_EXCL, 0600);
    wrong += fd < 0;
    close(fd);
    unlink("lock");
  }
  kill(executing, SIGKILL);
  say_whether_many(wrong);
}

FAMILY(interrupted, {"success-is-done", success_is_done}, {"failure-is-of-now", failure_is_of_now},
       {"cut-is-done", cut_is_done},
       {"restart-happens-once", restart_happens_once},
       {"once-although-handlers-wait", handlers_wait},
       {"once-although-handlers-open", handlers_open},
       {"once-although-programs-run", programs_run});

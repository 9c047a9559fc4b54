// SPDX-License-Identifier: Apache-2.0
// semantics [FAMILY..]: makes open and exec calls of every kind (of all families but `sticky` and `traced` where none is
// named) and prints `name: outcome` for each check, the same text in every run. What the outcomes should be is not written down
// anywhere: a run without Lanner says it.
#include "check.h"

static const struct family *const FAMILIES[] = {
    &flags, &openat2_calls, &paths, &rights, &sticky, &context, &namespaces, &proc, &own_files, &devices, &waiting,
    &interrupted, &effects, &others, &foreign, &names, &connections, &exec_errors, &exec_image, &exec_state,
    &traced};

static const char BASE[] = "/tmp/semantics";
enum { LIMIT = 40 * SECOND, LONGEST = 16384 };

// Ends when the child does, or kills it after the limit; what it started goes with it.
static void finish(pid_t child) {
  struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
  int status = 0;
  if (poll(&ended, 1, LIMIT) == 0) say("TIMED OUT");
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  close(ended.fd);
  waitpid(child, &status, 0);
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
  if (WIFSIGNALED(status)) say("killed %s", sigabbrev_np(WTERMSIG(status)));
}

static void run_check(const struct check *check) {
  static char text[LONGEST];
  char place[128];
  snprintf(place, sizeof place, "%s/%s", BASE, check->name);
  // A pipe, which takes it all without a reader: no limit on the size of files holds for it.
  int outcome[2], printed = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (mkdir(place, 0755) || pipe2(outcome, O_CLOEXEC) || printed < 0) {
    perror(place);
    exit(1);
  }
  dup2(outcome[1], STDOUT_FILENO);
  close(outcome[1]);
  pid_t child = fork();
  if (child == 0) {
    close(printed);
    close(outcome[0]);
    setsid();
    umask(022);
    if (chdir(place)) _exit(2);
    check->run();
    _exit(0);
  }
  finish(child);
  dup2(printed, STDOUT_FILENO);
  close(printed);
  fcntl(outcome[0], F_SETFL, O_NONBLOCK);
  ssize_t length = read(outcome[0], text, sizeof text);
  close(outcome[0]);
  dprintf(STDOUT_FILENO, "%s:%.*s\n", check->name, (int)(length > 0 ? length : 0), text);
}

static int wanted(const struct family *family, int argc, char **argv) {
  for (int index = 1; index < argc; index++)
    if (strcmp(argv[index], family->name) == 0) return 1;
  // Another test changes the settings of the one; the other's execs fail in a container that has mounted something.
  return argc == 1 && family != &sticky && family != &traced;
}

int main(int argc, char **argv) {
  if (argc > 1 && strncmp(argv[1], "report=", 7) == 0) return report(argc, argv);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  umask(0);
  if (mkdir(BASE, 0777) && errno != EEXIST) return perror(BASE), 1;
  for (size_t index = 0; index < COUNT(FAMILIES); index++)
    for (size_t check = 0; wanted(FAMILIES[index], argc, argv) && check < FAMILIES[index]->count; check++)
      run_check(&FAMILIES[index]->checks[check]);
  return 0;
}

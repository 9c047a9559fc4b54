// SPDX-License-Identifier: Apache-2.0
// `semantics report=WORD,WORD.. ARGUMENTS`: what a program finds after its exec, a word each.
#include "check.h"
#include <dirent.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>

static int count;
static char **words;

static void say_argv(void) {
  for (int index = 0; index < count; index++) say("[%s]", words[index]);
}

static void say_execfn(void) {
  say("execfn");
  say_name((const char *)getauxval(AT_EXECFN));
}

static void say_exe(void) { say_link("/proc/self/exe"); }

static void say_comm(void) { say_text("/proc/self/comm"); }

static void say_cmdline(void) { say_text("/proc/self/cmdline"); }

static void say_ids(void) {
  uid_t uids[3];
  gid_t gids[3];
  getresuid(&uids[0], &uids[1], &uids[2]);
  getresgid(&gids[0], &gids[1], &gids[2]);
  say("uid %u %u %u gid %u %u %u fs %d %d secure %lu", uids[0], uids[1], uids[2], gids[0], gids[1], gids[2],
      setfsuid(-1), setfsgid(-1), getauxval(AT_SECURE));
}

// Open descriptors by number; the one that reads the list is not listed.
static void say_fds(void) {
  DIR *folder = opendir("/proc/self/fd");
  for (int fd = 0; fd < 128; fd++)
    if (folder && fd != dirfd(folder) && fcntl(fd, F_GETFD) >= 0) say("%d", fd);
  say("fds");
}

static void say_status(const char *const *keys, size_t keys_count) {
  char text[8192];
  slurp("/proc/self/status", text, sizeof text);
  for (size_t index = 0; index < keys_count; index++) {
    char *line = strstr(text, keys[index]);
    say("%s%.*s", keys[index], line ? (int)strcspn(line + strlen(keys[index]), "\n") : 0,
        line ? line + strlen(keys[index]) : "");
  }
}

static void say_signals(void) {
  static const char *const KEYS[] = {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"};
  say_status(KEYS, COUNT(KEYS));
}

static void say_rights(void) {
  static const char *const KEYS[] = {"CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Groups:"};
  say_status(KEYS, COUNT(KEYS));
}

static void say_tracer(void) {
  static const char *const KEYS[] = {"TracerPid:"};
  say_status(KEYS, COUNT(KEYS));
}

static void say_threads(void) {
  static const char *const KEYS[] = {"Threads:"};
  say_status(KEYS, COUNT(KEYS));
}

// The process that was executed is the one that was forked: the check gives its number in the environment.
static void say_pid(void) {
  const char *expected = getenv("EXPECTED_PID");
  say("leader %d%s", getpid() == thread_id(), expected && atoi(expected) == getpid() ? " same pid" : "");
}

static void say_rest(void) {
  char cwd[PATH_MAX] = "";
  mode_t mask = umask(0);
  if (!getcwd(cwd, sizeof cwd)) say_errno(errno);
  struct itimerspec none = {0};
  timer_t created = 0;
  int parent_dies = -1;
  prctl(PR_GET_PDEATHSIG, &parent_dies);
  say("umask %03o cwd %s alarm %d timer %d dumpable %d pdeathsig %d nice %d keepcaps %d", mask, cwd, alarm(0) > 0,
      timer_settime(created, 0, &none, NULL), prctl(PR_GET_DUMPABLE), parent_dies, getpriority(PRIO_PROCESS, 0),
      prctl(PR_GET_KEEPCAPS));
}

static void say_env(void) {
  for (char **entry = environ; *entry; entry++) say("{%s}", *entry);
}

// Reads standard input to its end.
static void wait_for_end(void) {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

static void act_on_rest(void) { // a file of another user, as a set-user-id program opens it
  shown(open("/probe/root-0600", O_RDONLY));
  shown(open("/probe/user-0600", O_RDONLY));
  shown(open("/tmp/semantics/made-by-report", O_RDWR | O_CREAT, 0600));
  unlink("/tmp/semantics/made-by-report");
}

static void open_of_group(void) { shown(open("/probe/group-0640", O_RDONLY)); }

// Removes the program and executes it again, as far as it still can be.
static void run_again(void) {
  attempt("unlink", unlink(words[0]));
  execl("/proc/self/exe", "again", "report=argv,execfn,exe,comm", NULL);
  say_errno(errno);
}

int report(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } WORDS[] = {{"argv", say_argv},       {"execfn", say_execfn}, {"exe", say_exe},         {"comm", say_comm},
               {"cmdline", say_cmdline}, {"ids", say_ids},       {"fds", say_fds},         {"signals", say_signals},
               {"rights", say_rights},   {"tracer", say_tracer}, {"threads", say_threads}, {"pid", say_pid},
               {"rest", say_rest},       {"env", say_env},       {"wait", wait_for_end},   {"files", act_on_rest},
               {"again", run_again},     {"open-of-group", open_of_group}};
  count = argc;
  words = argv;
  for (char *list = strdup(argv[1] + 7), *word = strtok(list, ","); word; word = strtok(NULL, ","))
    for (size_t index = 0; index < COUNT(WORDS); index++)
      if (strcmp(word, WORDS[index].name) == 0) WORDS[index].run();
  return 0;
}

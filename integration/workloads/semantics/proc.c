// SPDX-License-Identifier: Apache-2.0
// Files of /proc that mean something else to each task, and links that are more than their text.
#include "check.h"

static int status_names(const char *path, const char *key, pid_t pid) {
  char text[8192], line[64];
  snprintf(line, sizeof line, "\n%s:\t%d\n", key, pid);
  slurp(path, text, sizeof text);
  return strstr(text, line) != NULL;
}

static void self(void) {
  say("%d", status_names("/proc/self/status", "Pid", getpid()));
  int proc = open("/proc", O_RDONLY | O_DIRECTORY), text = openat(proc, "self/comm", O_RDONLY);
  shown(text);
  attempt("chdir", chdir("/proc"));
  say("%d", status_names("self/status", "Pid", getpid()));
  say("%d", status_names("./self/../self/./status", "Pid", getpid()));
  attempt("chdir", chdir("self"));
  say("%d", status_names("status", "Pid", getpid()));
  say("%d", status_names("../self/status", "Pid", getpid()));
  say("%d", status_names("task/../status", "Pid", getpid()));
}

static void self_through_links(void) {
  attempt("links", symlink("/proc/self", "self") | symlink("/proc/self/status", "status") |
                       symlink("self/status", "twice") | symlink("../../../proc/self/status", "up"));
  static const char *const NAMES[] = {"self/status",
                                      "status",
                                      "twice",
                                      "up",
                                      "/proc/../proc/self/status",
                                      "/proc/self/root/proc/self/status",
                                      "/dev/../proc/self/status",
                                      "/proc/self/task/../status"};
  for (size_t index = 0; index < COUNT(NAMES); index++) say("%d", status_names(NAMES[index], "Pid", getpid()));
}

static void self_kept_by_child(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", getppid());
  say("%d", status_names("status", "Pid", getpid()));
  say("%d", status_names("status", "Pid", getppid()));
  say("%d", status_names(path, "Pid", getppid()));
  say("%d", status_names("/proc/self/status", "Pid", getpid()));
}

// A working folder is one process' folder, not "self" for ever.
static void self_is_resolved_once(void) {
  attempt("chdir", chdir("/proc/self"));
  say_exit(child_of(self_kept_by_child));
}

static void check_thread(void) {
  char path[64];
  say("%d", status_names("/proc/thread-self/status", "Pid", thread_id()));
  say("%d", status_names("/proc/self/status", "Pid", getpid()));
  snprintf(path, sizeof path, "/proc/self/task/%d/status", thread_id());
  say("%d", status_names(path, "Pid", thread_id()));
  snprintf(path, sizeof path, "/proc/%d/status", thread_id());
  say("%d", status_names(path, "Pid", thread_id()));
  prctl(PR_SET_NAME, "second");
  say_text("/proc/thread-self/comm");
  say_text("/proc/self/comm");
  int fd = open("/proc/thread-self/comm", O_WRONLY);
  attempt("write", write(fd, "renamed", 7));
  say_text("/proc/thread-self/comm");
  say_text("/proc/self/comm");
}

static void thread_self(void) {
  run_thread(check_thread);
  check_thread();
}

static void reopened_descriptors(void) {
  make("file", 0644, "0123456789");
  char path[3][64], text[8];
  int fd = open("file", O_RDONLY);
  attempt("read", read(fd, text, 4));
  snprintf(path[0], 64, "/proc/self/fd/%d", fd);
  snprintf(path[1], 64, "/dev/fd/%d", fd);
  snprintf(path[2], 64, "/proc/thread-self/fd/%d", fd);
  for (int index = 0; index < 3; index++) {
    shown(open(path[index], O_RDONLY));
    shown(open(path[index], O_RDWR | O_APPEND));
    shown(open(path[index], O_RDONLY | O_NOFOLLOW));
    shown(open(path[index], O_PATH | O_NOFOLLOW));
    shown(open(path[index], O_RDONLY | O_CREAT | O_EXCL, 0600));
  }
  chmod("file", 0400);
  shown(open(path[0], O_RDWR));
  shown(open("/proc/self/fd/77", O_RDONLY));
  shown(open("/dev/fd/77", O_RDONLY));
  shown(open("/proc/self/fd/x", O_RDONLY));
  shown(open(path[0], O_RDONLY | O_TRUNC));
  say_text("file");
}

static void reopened_deleted_file(void) {
  make("file", 0644, "text");
  int fd = open("file", O_RDONLY);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  attempt("unlink", unlink("file"));
  shown(open(path, O_RDWR));
  say_text(path);
  make("file", 0644, "another");
  say_text(path);
}

static void reopened_without_names(void) {
  int pipes[2], sockets[2], memory = memfd_create("memory", 0);
  if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) return say_errno(errno);
  attempt("write", write(memory, "text", 4));
  const int FDS[] = {pipes[0], pipes[1], sockets[0], memory};
  for (size_t index = 0; index < COUNT(FDS); index++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", FDS[index]);
    shown(open(path, O_RDONLY | O_NONBLOCK));
    shown(open(path, O_WRONLY | O_NONBLOCK));
    shown(open(path, O_PATH));
  }
  attempt("seals", fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
}

// A number that is a task's to whoever jumps there, and a descriptor's to whoever goes by the names on the way.
static void link_behind_a_jump(void) {
  char path[64];
  pid_t task = gettid();
  snprintf(path, sizeof path, "/proc/self/task/%d", task);
  int jump = open(path, O_PATH);
  attempt("mkdir", mkdir("dir", 0755));
  attempt("symlink", symlink(".", "dir/root"));
  int decoy = dup2(open("dir", O_PATH | O_DIRECTORY), task);
  snprintf(path, sizeof path, "/proc/self/fd/%d/../%d/root", jump, decoy);
  struct stat root, found;
  int fd = open(path, O_RDONLY | O_DIRECTORY);
  if (stat("/", &root) || fstat(fd, &found)) return say_errno(errno);
  say("the root: %d", root.st_dev == found.st_dev && root.st_ino == found.st_ino);
}

static void standard_streams(void) {
  make("input", 0644, "from standard input");
  int fd = open("input", O_RDONLY);
  dup2(fd, STDIN_FILENO);
  say_text("/dev/stdin");
  say_text("/dev/fd/0");
  say_text("/proc/self/fd/0");
  shown(open("/dev/stdin", O_RDONLY | O_NOFOLLOW));
  shown(open("/dev/stdout", O_WRONLY));
  shown(open("/dev/fd", O_RDONLY | O_DIRECTORY));
  close(STDIN_FILENO);
  shown(open("/dev/stdin", O_RDONLY));
  shown(open("/dev/stdin", O_RDONLY));
}

static int sleeper_stop[2];

static pid_t sleeper(void) {
  int ready[2];
  char byte;
  if (pipe(ready) || pipe(sleeper_stop)) return say_errno(errno), -1;
  pid_t child = fork();
  if (child == 0) {
    mkdir("there", 0755);
    close(sleeper_stop[1]);
    int fd = open("file", O_RDWR);
    dup2(fd, 60);
    ssize_t done = chdir("there") ? 0 : write(ready[1], "x", 1);
    _exit(done == 1 && read(sleeper_stop[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(sleeper_stop[0]);
  say("%zd", read(ready[0], &byte, 1));
  return child;
}

static void links_of_another_process(void) {
  make("file", 0644, "text");
  mkdir("there", 0755);
  make("there/inner", 0644, "inner");
  pid_t child = sleeper();
  static const char *const NAMES[] = {"fd/60", "cwd/inner", "root/etc/hostname", "exe", "comm", "fd/61", "cwd/../file"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", child, NAMES[index]);
    shown(open(path, O_RDONLY));
    attempt("path", open(path, O_PATH | O_NOFOLLOW));
  }
  become(USER, USER);
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", child, NAMES[index]);
    attempt(NAMES[index], open(path, O_RDONLY));
  }
  close(sleeper_stop[1]);
  say_exit(child);
}

static void links_of_a_process_that_is_gone(void) {
  pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);
  static const char *const NAMES[] = {"cwd/x", "exe", "fd/0", "comm", "root/etc/hostname", "maps", "environ"};
  for (int round = 0; round < 2; round++, waitpid(child, NULL, 0))
    for (size_t index = 0; index < COUNT(NAMES); index++) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%d/%s", child, NAMES[index]);
      attempt(NAMES[index], open(path, O_RDONLY));
    }
}

static void links_of_self(void) {
  make("file", 0644, "text");
  say_text("/proc/self/cwd/file");
  say_text("/proc/self/root/etc/hostname");
  shown(open("/proc/self/root", O_RDONLY | O_DIRECTORY));
  shown(open("/proc/self/cwd", O_RDONLY));
  shown(open("/proc/self/cwd/new", O_RDWR | O_CREAT, 0600));
  say("%d", open("/proc/self/exe", O_RDONLY) >= 0);
  attempt("exe", open("/proc/self/exe", O_RDWR));
  shown(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW));
  shown(open("/proc/self/root/../etc/hostname", O_RDONLY));
  shown(open("/proc/self/cwd/../links-of-self/file", O_RDONLY));
  shown(open("/proc/self/ns/net", O_RDONLY));
  shown(open("/proc/self/ns/mnt", O_RDWR));
}

static void own_memory(void) {
  static char words[] = "original words";
  char text[sizeof words] = "";
  int fd = shown(open("/proc/self/mem", O_RDWR));
  attempt("read", pread(fd, text, sizeof text, (off_t)(uintptr_t)words));
  say("%s", text);
  attempt("write", pwrite(fd, "changed", 7, (off_t)(uintptr_t)words));
  say("%s", words);
}

static void memory_of_another_process(void) {
  make("file", 0644, "text");
  static char words[] = "shared by fork";
  pid_t child = sleeper();
  char path[64], text[sizeof words] = "";
  snprintf(path, sizeof path, "/proc/%d/mem", child);
  int fd = open(path, O_RDONLY);
  attempt("read", pread(fd, text, sizeof text, (off_t)(uintptr_t)words));
  say("%s", text);
  become(USER, USER);
  attempt("mem", open(path, O_RDONLY));
  snprintf(path, sizeof path, "/proc/%d/maps", child);
  attempt("maps", open(path, O_RDONLY));
  close(sleeper_stop[1]);
  say_exit(child);
}

static void contents(void) {
  char text[8192], here[64];
  slurp("/proc/self/maps", text, sizeof text);
  say("%d", strstr(text, SELF) != NULL);
  slurp("/proc/self/cmdline", text, sizeof text);
  say("%s", text);
  slurp("/proc/self/fdinfo/1", text, sizeof text);
  say("%d", strstr(text, "flags:") != NULL);
  snprintf(here, sizeof here, "%d (semantics) R", getpid());
  slurp("/proc/self/stat", text, sizeof text);
  say("%d", strncmp(text, here, strlen(here)) == 0);
  slurp("/proc/self/mountinfo", text, sizeof text);
  say("%d", strstr(text, " / /proc ") != NULL);
  say("%d", slurp("/proc/self/cgroup", text, sizeof text) > 0);
  slurp("/proc/self/limits", text, sizeof text);
  say("%d", strstr(text, "Max open files") != NULL);
  say_text("/proc/self/uid_map");
  say_text("/proc/self/setgroups");
  slurp("/proc/mounts", text, sizeof text);
  say("%d", strstr(text, "mqueue") != NULL);
  say_text("/proc/self/oom_score_adj");
  say_text("/proc/self/loginuid");
}

static void written_settings(void) {
  static const struct {
    const char *path, *text;
  } FILES[] = {{"/proc/self/comm", "another"},        {"/proc/self/oom_score_adj", "500"},
               {"/proc/self/oom_score_adj", "-500"},  {"/proc/self/coredump_filter", "0x1"},
               {"/proc/self/timerslack_ns", "60000"}, {"/proc/self/clear_refs", "1"},
               {"/proc/self/setgroups", "deny"},      {"/proc/self/uid_map", "0 0 1"},
               {"/proc/self/attr/current", "x"},      {"/proc/sys/kernel/domainname", "x"},
               {"/proc/self/loginuid", "0"}};
  for (size_t index = 0; index < COUNT(FILES); index++) {
    int fd = open(FILES[index].path, O_WRONLY | O_CLOEXEC);
    attempt(FILES[index].path + 6, fd);
    if (fd >= 0) {
      attempt("write", write(fd, FILES[index].text, strlen(FILES[index].text)) < 0 ? -1 : 0);
      close(fd);
    }
  }
  say_text("/proc/self/comm");
  say_text("/proc/self/oom_score_adj");
}

static void after_losing_rights(void) {
  prctl(PR_SET_DUMPABLE, 0);
  static const char *const NAMES[] = {"status", "maps", "environ", "mem", "fd/1", "cwd", "exe", "io", "auxv", "comm"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/%s", NAMES[index]);
    attempt(NAMES[index], open(path, O_RDONLY));
  }
  shown(open("/proc/self/comm", O_RDONLY));
}

FAMILY(proc, {"self", self}, {"self-through-links", self_through_links},
       {"self-is-resolved-once", self_is_resolved_once}, {"thread-self", thread_self},
       {"reopened-descriptors", reopened_descriptors}, {"reopened-deleted-file", reopened_deleted_file},
       {"reopened-without-names", reopened_without_names}, {"standard-streams", standard_streams},
       {"link-behind-a-jump", link_behind_a_jump},
       {"links-of-another-process", links_of_another_process},
       {"links-of-a-process-that-is-gone", links_of_a_process_that_is_gone}, {"links-of-self", links_of_self},
       {"own-memory", own_memory}, {"memory-of-another-process", memory_of_another_process}, {"contents", contents},
       {"written-settings", written_settings}, {"not-dumpable", after_losing_rights});

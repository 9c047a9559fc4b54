// SPDX-License-Identifier: Apache-2.0
// What a process finds in its own /proc/self after it changed its rights: it may look at itself whatever they are
// (same_thread_group in __ptrace_may_access of the kernel's ptrace.c), at others as before.
#include "check.h"
#include <dirent.h>
#include <linux/capability.h>
#include <sys/fsuid.h>

static int kept;    // a descriptor of the check's file
static void *mapped; // where it is mapped for reading

static void prepare(void) {
  chmod(".", 0777);
  make("file", 0666, "text");
  kept = open("file", O_RDONLY);
  mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, kept, 0);
}

static void open_in(const char *base) {
  static const char *const NAMES[] = {
      "exe",     "cwd",      "root",     "cwd/file", "ns/net",       "ns/mnt", "maps",      "smaps",   "mem",
      "environ", "auxv",     "io",       "pagemap",  "clear_refs",   "fd",     "fd/.",      "fd/..",   "fdinfo",
      "stat",    "fdinfo/1", "timers",   "syscall",  "map_files",    "attr",   "mountinfo", "net/tcp", "fd/77",
      "uid_map", "wchan",    "fd/1/foo", "stack",    "comm",   "personality", "ns",    "task"};
  char path[128];
  snprintf(path, sizeof path, "%s/fd/%d", base, kept);
  for (int mode = O_RDONLY; mode <= O_RDWR; mode++) attempt("fd", open(path, mode) < 0 ? -1 : 0);
  attempt("handle", open(path, O_PATH) < 0 ? -1 : 0);
  snprintf(path, sizeof path, "%s/map_files/%lx-%lx", base, (long)mapped, (long)mapped + 4096);
  for (int mode = O_RDONLY; mode <= O_RDWR; mode++) attempt("mapping", open(path, mode) < 0 ? -1 : 0);
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    char byte;
    snprintf(path, sizeof path, "%s/%s", base, NAMES[index]);
    say("%s", NAMES[index]);
    for (int mode = O_RDONLY; mode <= O_RDWR; mode++) {
      int fd = open(path, mode);
      say("%s", fd < 0 ? strerrorname_np(errno) : mode == O_WRONLY || read(fd, &byte, 1) >= 0 ? "ok"
                                                                                             : strerrorname_np(errno));
      if (fd >= 0) close(fd);
    }
  }
}

// Descriptors by way of a listing, as closefrom(3) and others find them.
static void list(const char *base) {
  char path[64];
  int found = 0;
  snprintf(path, sizeof path, "%s/fd", base);
  DIR *folder = opendir(path);
  if (!folder) return say_errno(errno);
  for (struct dirent *entry; (entry = readdir(folder));) found += atoi(entry->d_name) == kept;
  say("listed %d", found);
  closedir(folder);
}

static void open_own(void) {
  char path[64];
  open_in("/proc/self");
  open_in("/proc/thread-self");
  snprintf(path, sizeof path, "/proc/%d", getpid());
  open_in(path);
  list("/proc/self");
  snprintf(path, sizeof path, "/dev/fd/%d", kept);
  attempt("dev", open(path, O_RDONLY) < 0 ? -1 : 0);
}

// Another process with the rights that this one had before: only its rights count.
static void open_others(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d", getppid());
  open_in(path);
}

static void open_all(void) {
  open_own();
  open_others();
}

static void own_with_effective_ids(void) {
  prepare();
  attempt("ids", setegid(USER) | seteuid(USER));
  open_all();
  prctl(PR_SET_DUMPABLE, 1);
  open_all();
}

static void own_with_real_ids(void) {
  prepare();
  attempt("ids", setresgid(USER, 0, 0) | setresuid(USER, 0, 0));
  open_all();
}

static void own_with_filesystem_ids(void) {
  prepare();
  setfsgid(USER);
  setfsuid(USER);
  open_all();
  prctl(PR_SET_DUMPABLE, 1);
  open_all();
}

static void own_without_capabilities(void) {
  prepare();
  drop_effective_capabilities();
  open_all();
}

static void own_after_setuid(void) {
  prepare();
  become(USER, USER);
  open_all();
}

static void own_with_permitted_capabilities(void) {
  prepare();
  attempt("keep", prctl(PR_SET_KEEPCAPS, 1));
  become(USER, USER);
  prctl(PR_SET_DUMPABLE, 1);
  open_all();
}

static void thread_with_other_ids(void) {
  attempt("ids", syscall(SYS_setresuid, USER, USER, USER)); // of this thread alone
  open_own();
  prctl(PR_SET_DUMPABLE, 1);
  open_own();
}

static void own_of_a_thread(void) {
  prepare();
  run_thread(thread_with_other_ids);
  open_own();
}

static void another_is_not_own(void) {
  prepare();
  attempt("keep", prctl(PR_SET_KEEPCAPS, 1));
  become(USER, USER);
  prctl(PR_SET_DUMPABLE, 1);
  pid_t child = fork();
  if (child == 0) {
    keep_capabilities(0);
    open_others();
    _exit(0);
  }
  say_exit(child);
}

// Calls on names that start with a link of the process' own.
static void names_behind_own_links(void) {
  prepare();
  int unnamed = open(".", O_TMPFILE | O_RDWR, 0600), handle = open("file", O_PATH);
  char path[64];
  struct stat facts;
  attempt("own", chown("file", USER, USER) | fchown(unnamed, USER, USER));
  attempt("ids", setegid(USER) | seteuid(USER));
  prctl(PR_SET_DUMPABLE, 1);
  for (int round = 0; round < 2; round++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    attempt("chmod", chmod(path, 0640));
    attempt("chown", chown(path, USER, USER));
    say("%o", stat("file", &facts) ? 0 : facts.st_mode);
    snprintf(path, sizeof path, "/proc/self/fd/%d", unnamed);
    attempt("link", linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
    attempt("mkdir", mkdir("/proc/self/cwd/dir", 0755));
    attempt("rename", rename("/proc/self/cwd/dir", "/proc/self/cwd/moved"));
    attempt("rmdir", rmdir("moved"));
    attempt("unlink", unlink("/proc/self/cwd/linked"));
    struct sockaddr_un address = {AF_UNIX, "sock"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    attempt("bind", bind(listener, (void *)&address, sizeof address) | listen(listener, 1));
    strcpy(address.sun_path, "/proc/self/cwd/sock");
    attempt("connect", connect(client, (void *)&address, sizeof address));
    unlink("sock");
    close(listener), close(client);
    prctl(PR_SET_DUMPABLE, 0);
  }
}

// Something of another process in the place of one's own: its rights count, not whose place it has.
static void others_in_own_place(void) {
  prepare();
  char path[64];
  attempt("unshare", unshare(CLONE_NEWNS) | mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  static const char *const NAMES[] = {"maps", "environ", "attr", "fdinfo"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    char place[64];
    snprintf(path, sizeof path, "/proc/%d/%s", getppid(), NAMES[index]);
    snprintf(place, sizeof place, "/proc/self/%s", NAMES[index]);
    attempt(NAMES[index], mount(path, place, NULL, MS_BIND, NULL));
  }
  attempt("keep", prctl(PR_SET_KEEPCAPS, 1));
  become(USER, USER);
  prctl(PR_SET_DUMPABLE, 1);
  open_in("/proc/self");
}

// The first process of a namespace of processes, in a child; it does not end by itself.
static pid_t first_process(void (*run)(void)) {
  int ready[2];
  char byte;
  if (pipe(ready)) return -1;
  pid_t child = fork();
  if (child == 0) {
    attempt("unshare", unshare(CLONE_NEWPID));
    pid_t first = fork();
    if (first == 0) {
      run();
      byte = write(ready[1], "x", 1) != 1;
      close(ready[1]);
      pause();
    }
    close(ready[1]);
    waitpid(first, NULL, 0);
    _exit(0);
  }
  close(ready[1]);
  say("%zd", read(ready[0], &byte, 1));
  return child;
}

static void mount_other(void) { attempt("mount", mount("proc", "other", "proc", 0, NULL)); }

static void open_namesake(void) {
  attempt("keep", prctl(PR_SET_KEEPCAPS, 1));
  become(USER, USER);
  prctl(PR_SET_DUMPABLE, 1);
  open_in("other/1");
}

// Another process that has the same number in its own namespace, and shows no other one in its procfs.
static void namesake_is_not_own(void) {
  prepare();
  mkdir("other", 0755);
  attempt("unshare", unshare(CLONE_NEWNS) | mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  pid_t namesake = first_process(mount_other), opener = first_process(open_namesake);
  kill(namesake, SIGKILL), kill(opener, SIGKILL);
  waitpid(namesake, NULL, 0), waitpid(opener, NULL, 0);
}

FAMILY(own_files, {"own-with-effective-ids", own_with_effective_ids}, {"own-with-real-ids", own_with_real_ids},
       {"own-with-filesystem-ids", own_with_filesystem_ids}, {"own-without-capabilities", own_without_capabilities},
       {"own-after-setuid", own_after_setuid}, {"own-with-permitted-capabilities", own_with_permitted_capabilities},
       {"own-of-a-thread", own_of_a_thread}, {"another-is-not-own", another_is_not_own},
       {"names-behind-own-links", names_behind_own_links}, {"others-in-own-place", others_in_own_place},
       {"namesake-is-not-own", namesake_is_not_own});

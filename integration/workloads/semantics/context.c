// SPDX-License-Identifier: Apache-2.0
// What an open takes from the calling task: root, working folder, descriptor table, limits; and what threads share of
// it.
#include "check.h"
#include <dirent.h>
#include <sys/syscall.h>

static void changed_root(void) {
  mkdir("root", 0755);
  mkdir("root/etc", 0755);
  make("root/etc/hostname", 0644, "inside");
  make("outside", 0644, "outside");
  int outside = open(".", O_PATH | O_DIRECTORY);
  attempt("links", symlink("/etc/hostname", "root/absolute") | symlink("../../../outside", "root/up"));
  attempt("chroot", chroot("root"));
  attempt("chdir", chdir("/"));
  static const char *const NAMES[] = {"/etc/hostname", "absolute",    "up",
                                      "../outside",    "/../outside", "/proc/self/comm"};
  for (size_t index = 0; index < COUNT(NAMES); index++) say_text(NAMES[index]);
  shown(openat(outside, "outside", O_RDONLY));
  shown(openat(outside, "root/absolute", O_RDONLY));
  shown(openat(outside, "root/../outside", O_RDONLY));
  shown(open("/made", O_RDWR | O_CREAT, 0600));
}

static void changed_root_with_folder_outside(void) {
  mkdir("root", 0755);
  make("file", 0644, "outside");
  make("root/file", 0644, "inside");
  attempt("chroot", chroot("root")); // the working folder stays outside
  say_text("file");
  say_text("/file");
  say_text("../file");
  shown(open("new", O_RDWR | O_CREAT, 0600));
  int dir = open("..", O_RDONLY | O_DIRECTORY);
  say("%d", dir >= 0);
}

static void proc_in_changed_root(void) {
  mkdir("root", 0755);
  mkdir("root/proc", 0755);
  make("root/file", 0644, "inside");
  attempt("mount", unshare(CLONE_NEWNS) || mount("proc", "root/proc", "proc", 0, NULL) ? -1 : 0);
  attempt("chroot", chroot("root"));
  attempt("chdir", chdir("/"));
  int fd = open("file", O_RDONLY);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  say_text(path);
  say_text("/proc/self/root/file");
  say_text("/proc/self/cwd/file");
  say_text("/proc/self/comm");
}

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

static void links_on_a_mount_that_follows_none(void) {
  mkdir("mounted", 0755);
  make("file", 0644, "outside");
  if (attempt("mount", unshare(CLONE_NEWNS) || mount("none", "mounted", "tmpfs", MS_NOSYMFOLLOW, NULL) ? -1 : 0)) return;
  attempt("links", symlink("../file", "mounted/up") | symlink("..", "mounted/folder") | symlink("new", "mounted/dangling") |
                       symlink("mounted/up", "down"));
  say_text("mounted/up");
  say_text("mounted/folder/file");
  say_text("down");
  shown(open("mounted/up", O_WRONLY | O_TRUNC));
  shown(open("mounted/dangling", O_WRONLY | O_CREAT, 0600));
  shown(open("mounted/up", O_PATH | O_NOFOLLOW));
  say_text("file");
}

static void folder_thread(void) {
  attempt("unshare", unshare(CLONE_FS));
  attempt("chdir", chdir("two"));
  say_text("file");
  say_text("/proc/thread-self/cwd/file");
  say_text("/proc/self/cwd/file");
  shown(open("made-by-thread", O_RDWR | O_CREAT, 0600));
}

static void working_folder_of_one_thread(void) {
  mkdir("one", 0755);
  mkdir("one/two", 0755);
  make("one/file", 0644, "one");
  make("one/two/file", 0644, "two");
  attempt("chdir", chdir("one"));
  run_thread(folder_thread);
  say_text("file");
  shown(open("made-by-process", O_RDWR | O_CREAT, 0600));
}

static void shared_thread(void) { attempt("chdir", chdir("dir")); }

static void working_folder_of_all_threads(void) {
  mkdir("dir", 0755);
  make("dir/file", 0644, "inner");
  run_thread(shared_thread);
  say_text("file");
  int up = open("..", O_PATH | O_DIRECTORY);
  attempt("fchdir", fchdir(up));
  say_text("dir/file");
}

static void root_thread(void) {
  attempt("unshare", unshare(CLONE_FS));
  attempt("chroot", chroot("root"));
  say_text("/file");
}

static void root_of_one_thread(void) {
  mkdir("root", 0755);
  make("root/file", 0644, "inside");
  run_thread(root_thread);
  say_text("/file");
  say_text("/etc/hostname");
}

static void table_thread(void) {
  attempt("unshare", unshare(CLONE_FILES));
  int fd = open("file", O_RDONLY);
  say("%d %d", fd, count_fds());
  attempt("close", close(fd + 1));
}

static void descriptors_of_one_thread(void) {
  make("file", 0644, "text");
  int before = count_fds();
  run_thread(table_thread);
  say("%d", count_fds() - before);
  say("%d", open("file", O_RDONLY));
}

static void lowest_descriptor(void) {
  make("file", 0644, "text");
  int numbers[6];
  for (size_t index = 0; index < COUNT(numbers); index++) numbers[index] = open("file", O_RDONLY);
  close(numbers[1]);
  close(numbers[4]);
  close(STDIN_FILENO);
  for (int count = 0; count < 4; count++) say("%d", open("file", O_RDONLY));
  dup2(STDOUT_FILENO, 100);
  close(STDERR_FILENO);
  say("%d", open("missing", O_RDONLY));
  say("%d", open("file", O_RDONLY | O_CLOEXEC));
}

static void limit_descriptors(rlim_t count) {
  struct rlimit limit = {count, count};
  attempt("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
}

static void no_more_descriptors(void) {
  make("file", 0644, "text");
  make("kept", 0644, "kept");
  limit_descriptors(8);
  int last = -1, fd;
  while ((fd = open("file", O_RDONLY)) >= 0) last = fd;
  say("%d %s", last, strerrorname_np(errno));
  attempt("create", open("new", O_RDWR | O_CREAT, 0600));
  attempt("truncate", open("kept", O_WRONLY | O_TRUNC));
  attempt("path", open("file", O_PATH));
  attempt("fault", (int)syscall(SYS_open, NULL, O_RDONLY));
  attempt("empty", open("", O_RDONLY));
  attempt("fifo", mkfifo("fifo", 0600));
  attempt("waiting", open("fifo", O_RDONLY));
  close(last);
  say_text("kept");
  attempt("created", access("new", F_OK));
  shown(open("file", O_RDONLY));
}

// The kernel looks for a free descriptor before it looks for the file.
static void no_more_descriptors_nor_file(void) {
  limit_descriptors(3);
  attempt("missing", open("missing", O_RDONLY));
  attempt("dirfd", openat(-1, "x", O_RDONLY));
}

// More are open than the limit allows, and the lowest number is free all the same.
static void limit_below_most_descriptors(void) {
  make("file", 0644, "text");
  for (int number = 100; number < 140; number++) dup2(STDOUT_FILENO, number);
  limit_descriptors(20);
  shown(open("file", O_RDONLY));
  shown(open("new", O_RDWR | O_CREAT, 0600));
  shown(open("file", O_WRONLY | O_TRUNC));
}

static void limit_below_open_descriptors(void) {
  make("file", 0644, "text");
  dup2(STDOUT_FILENO, 50);
  limit_descriptors(3);
  attempt("open", open("file", O_RDONLY));
  close(STDIN_FILENO);
  say("%d", open("file", O_RDONLY));
  attempt("open", open("file", O_RDONLY));
  limit_descriptors(0);
  close(STDIN_FILENO);
  attempt("open", open("file", O_RDONLY));
}

static void file_size_limit(void) {
  make("large", 0644, "0123456789");
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit = {4, 4};
  attempt("setrlimit", setrlimit(RLIMIT_FSIZE, &limit));
  int fd = open("new", O_RDWR | O_CREAT, 0644), large = open("large", O_RDWR);
  say("%zd", write(fd, "123456", 6));
  attempt("write", write(fd, "7", 1));
  attempt("write", write(large, "x", 1));
  say("%zd", pread(large, (char[16]){0}, 10, 0));
  attempt("truncate", open("large", O_RDWR | O_TRUNC));
  attempt("create", open("another", O_RDWR | O_CREAT | O_EXCL, 0644));
}

static volatile sig_atomic_t got;
static void note(int number) { got = number; }

static void file_size_signal(void) {
  signal(SIGXFSZ, note);
  struct rlimit limit = {0, 0};
  attempt("setrlimit", setrlimit(RLIMIT_FSIZE, &limit));
  int fd = open("new", O_RDWR | O_CREAT, 0644);
  say("%d before", got);
  got = 0;
  attempt("write", write(fd, "1", 1));
  say("%s", got == SIGXFSZ ? "signal" : "no signal");
}

static int shared_child(void *argument) {
  (void)argument;
  umask(0);
  return chdir("dir");
}

// Another process with a descriptor table of its own, but with this one's working folder and umask.
static void folder_shared_by_processes(void) {
  static char stack[65536] __attribute__((aligned(16)));
  mkdir("dir", 0755);
  make("dir/file", 0644, "inner");
  say_exit(clone(shared_child, stack + sizeof stack, CLONE_FS | SIGCHLD, NULL));
  say_text("file");
  shown(open("new", O_RDWR | O_CREAT, 0666));
}

static int leave_for_own_process(void *argument) {
  (void)argument;
  return chroot("/proc/self/fdinfo/") || chdir("/");
}

// How Chromium's sandbox gets rid of all files: the root folder ends with the child that chose it, and what was opened before
// is all that is left.
static void root_of_a_dead_process(void) {
  static char stack[65536] __attribute__((aligned(16)));
  mkdir("dir", 0755);
  mkdir("dir/inner", 0755);
  make("dir/file", 0644, "inner");
  attempt("links", symlink("inner/../file", "dir/relative") | symlink("/etc/hostname", "dir/absolute"));
  int proc = open("/proc", O_RDONLY | O_DIRECTORY), dir = open("dir", O_RDONLY | O_DIRECTORY);
  say_exit(clone(leave_for_own_process, stack + sizeof stack, CLONE_FS | SIGCHLD, NULL));
  if (access("/etc", F_OK) == 0) return; // who may not change the root
  static const char *const OF_PROC[] = {"self/fd/", "self/stat", "self/status", "thread-self/comm", "self/fd/../comm"};
  for (size_t index = 0; index < COUNT(OF_PROC); index++) shown(openat(proc, OF_PROC[index], O_RDONLY));
  static const char *const OF_DIR[] = {"file", "relative", "absolute", "inner/../file", "inner/../../dir/file", "missing", "inner/../missing"};
  for (size_t index = 0; index < COUNT(OF_DIR); index++) shown(openat(dir, OF_DIR[index], O_RDONLY));
  shown(openat(dir, "made", O_RDWR | O_CREAT, 0600));
  shown(openat(dir, "inner/../made-too", O_RDWR | O_CREAT, 0600));
  attempt("mkdir", mkdirat(dir, "new", 0700));
  attempt("mkdir", mkdirat(dir, "inner/../newer", 0700));
  static const char *const OF_ROOT[] = {"/", "/file", ".", "..", "../file", "file", "/etc/hostname"};
  for (size_t index = 0; index < COUNT(OF_ROOT); index++) shown(open(OF_ROOT[index], O_RDONLY));
}

static void vfork_child_opens(void) {
  make("file", 0644, "text");
  int before = count_fds();
  pid_t child = vfork();
  if (child == 0) {
    shown(open("file", O_RDWR));
    shown(open("made", O_RDWR | O_CREAT | O_EXCL, 0600));
    shown(open("missing", O_RDONLY));
    _exit(0);
  }
  say_exit(child);
  say("%d", count_fds() - before);
  shown(open("made", O_RDONLY));
}

static void *open_many(void *argument) {
  long failed = 0;
  for (int count = 0; count < 60; count++) {
    char name[32];
    snprintf(name, sizeof name, "%s-%d", (const char *)argument, count % 10);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600), missing = open("missing", O_RDONLY);
    failed += fd < 0 || missing >= 0 || close(fd);
  }
  return (void *)failed;
}

static void many_threads(void) {
  static const char *const NAMES[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
  pthread_t threads[COUNT(NAMES)];
  int before = count_fds();
  for (size_t index = 0; index < COUNT(NAMES); index++)
    pthread_create(&threads[index], NULL, open_many, (void *)(uintptr_t)NAMES[index]);
  long failed = 0;
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    void *result;
    pthread_join(threads[index], &result), failed += (long)result;
  }
  say("%ld failed %d leaked", failed, count_fds() - before);
}

static void large_folder(void) {
  mkdir("dir", 0755);
  int failed = 0, seen = 0;
  for (int index = 0; index < 400; index++) {
    char name[64];
    snprintf(name, sizeof name, "dir/a-file-with-a-rather-long-name-%d", index);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    failed += fd < 0 || close(fd);
  }
  DIR *dir = opendir("dir");
  while (dir && readdir(dir)) seen++;
  say("%d failed %d seen", failed, seen);
  shown(open("dir/a-file-with-a-rather-long-name-399", O_RDONLY));
  shown(open("dir/a-file-with-a-rather-long-name-400", O_RDONLY));
}

FAMILY(context, {"changed-root", changed_root}, {"changed-root-with-folder-outside", changed_root_with_folder_outside},
       {"proc-in-changed-root", proc_in_changed_root},
       {"links-on-a-mount-that-follows-none", links_on_a_mount_that_follows_none}, {"working-folder-of-one-thread", working_folder_of_one_thread},
       {"working-folder-of-all-threads", working_folder_of_all_threads}, {"root-of-one-thread", root_of_one_thread},
       {"descriptors-of-one-thread", descriptors_of_one_thread}, {"lowest-descriptor", lowest_descriptor},
       {"no-more-descriptors", no_more_descriptors}, {"no-more-descriptors-nor-file", no_more_descriptors_nor_file},
       {"limit-below-open-descriptors", limit_below_open_descriptors}, {"limit-below-most-descriptors", limit_below_most_descriptors}, {"file-size-limit", file_size_limit},
       {"file-size-signal", file_size_signal}, {"folder-shared-by-processes", folder_shared_by_processes},
       {"root-of-a-dead-process", root_of_a_dead_process}, {"vfork-child-opens", vfork_child_opens}, {"many-threads", many_threads}, {"large-folder", large_folder});

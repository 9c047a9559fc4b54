// SPDX-License-Identifier: Apache-2.0
// What a path can be, and which error each mistake gives.
#include "check.h"

static void missing(void) {
  make("file", 0644, "text");
  static const char *const NAMES[] = {"missing",    "",     "none/missing", "file/below",       "file/.",
                                      "/",          ".",    "..",           "//etc///hostname", "/../../etc/hostname",
                                      "./././file", ".../x"};
  for (size_t index = 0; index < COUNT(NAMES); index++) shown(open(NAMES[index], O_RDONLY));
  for (size_t index = 0; index < COUNT(NAMES); index++) shown(open(NAMES[index], O_RDWR));
}

static void long_names(void) {
  char name[300], path[PATH_MAX + 2];
  memset(name, 'n', sizeof name);
  name[255] = 0;
  int fd = open(name, O_RDWR | O_CREAT, 0600);
  say("255 %s", fd < 0 ? strerrorname_np(errno) : "ok");
  name[255] = 'n';
  name[256] = 0;
  say("256");
  shown(open(name, O_RDWR | O_CREAT, 0600));
  memset(path, '/', sizeof path);
  make("file", 0644, "text");
  for (size_t length = PATH_MAX - 2; length <= PATH_MAX; length++) { // with the NUL, PATH_MAX is the most
    path[0] = '.';
    memcpy(path + length - 4, "file", 5);
    say("%zu", length);
    shown(open(path, O_RDONLY));
    memset(path, '/', sizeof path);
  }
}

static void long_way_down(void) {
  char folder[201], path[PATH_MAX] = "";
  memset(folder, 'd', 200);
  folder[200] = 0;
  int at = open(".", O_PATH | O_DIRECTORY), levels = 0;
  for (; levels < 30; levels++) {
    if (mkdirat(at, folder, 0755)) break;
    at = openat(at, folder, O_PATH | O_DIRECTORY);
    if (levels < 19) {
      strcat(path, folder);
      strcat(path, "/");
    }
  }
  say("%d levels", levels);
  int fd = openat(at, "deep", O_RDWR | O_CREAT, 0600);
  say("%s", fd < 0 ? strerrorname_np(errno) : "ok");
  say("%s", fchdir(at) || open("deep", O_RDONLY) < 0 ? strerrorname_np(errno) : "ok");
  attempt("back", chdir("/tmp/semantics/long-way-down"));
  strcat(path, "missing");
  shown(open(path, O_RDONLY));
}

static void chain_of_links(void) {
  char from[16], to[16] = "file";
  make("file", 0644, "text");
  for (int link = 1; link <= 41; link++) {
    snprintf(from, sizeof from, "link-%d", link);
    if (symlink(to, from)) say("no link");
    strcpy(to, from);
  }
  say("40");
  shown(open("link-40", O_RDONLY));
  say("41");
  shown(open("link-41", O_RDONLY));
  attempt("self", symlink("self", "self"));
  shown(open("self", O_RDONLY));
  shown(open("self", O_RDWR | O_CREAT, 0600));
  shown(open("self/x", O_PATH));
  shown(open("self", O_PATH | O_NOFOLLOW));
}

static void links_everywhere(void) {
  mkdir("dir", 0755);
  make("dir/file", 0644, "text");
  attempt("links", symlink("dir", "a") | symlink("a/../a", "b") | symlink("/etc", "etc") | symlink("dir/", "slash") |
                       symlink("dir/file", "to-file"));
  static const char *const NAMES[] = {"b/file",        "etc/hostname",        "slash/file",
                                      "b/../dir/file", "etc/../etc/hostname", "to-file/",
                                      "to-file/x",     "etc/../missing"};
  for (size_t index = 0; index < COUNT(NAMES); index++) shown(open(NAMES[index], O_RDONLY));
}

// A slash at the end says that a directory is to be made, which no open does, whatever is there.
static void slashes_behind_new_names(void) {
  char name[300];
  mkdir("dir", 0755);
  make("file", 0644, "text");
  attempt("links", symlink("dir", "to-dir") | symlink("file", "to-file") | symlink("loop", "loop") | symlink("gone", "nowhere"));
  static const char *const NAMES[] = {"new/",    "dir/",       "dir//",     "file/",        "to-dir/", "to-file/",
                                      "loop/",   "nowhere/",   "dir/new/",  "to-dir/new/",  "gone/new/", "file/new/",
                                      "loop/new/", "dir/./",   "dir/../",   "./",           "/",       "//",
                                      "/gone/new/", "/proc/self/new/"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    shown(open(NAMES[index], O_RDONLY | O_CREAT, 0600));
    shown(open(NAMES[index], O_RDWR | O_CREAT | O_EXCL, 0600));
    shown(open(NAMES[index], O_RDONLY));
  }
  memset(name, 'n', 256);
  strcpy(name + 256, "/");
  shown(open(name, O_RDONLY | O_CREAT, 0600));
}

static void strange_names(void) {
  static const char *const NAMES[] = {"new\nline", "\xff\xfe",          "\033[31m",         " ",  "-",
                                      "*",         "name with blanks ", "\xf0\x9f\x98\x80", "\\", "`"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    int fd = open(NAMES[index], O_RDWR | O_CREAT | O_EXCL, 0600);
    struct stat by_name, by_fd;
    say("%d", fd >= 0 && !fstat(fd, &by_fd) && !stat(NAMES[index], &by_name) && by_fd.st_ino == by_name.st_ino);
    shown(open(NAMES[index], O_RDONLY | O_CREAT | O_EXCL, 0600));
  }
}

static void faults(void) {
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  make("file", 0644, "text");
  memcpy(page + 4096 - 5, "file", 5);
  say("whole");
  shown(open(page + 4096 - 5, O_RDONLY));
  memcpy(page + 4096 - 4, "file", 4);
  say("cut");
  shown(open(page + 4096 - 4, O_RDONLY));
  say("null");
  shown((int)syscall(SYS_open, NULL, O_RDONLY));
  say("kernel");
  shown((int)syscall(SYS_open, (char *)0xffffffff80000000UL, O_RDONLY));
  say("odd");
  shown((int)syscall(SYS_openat, AT_FDCWD, (char *)1, O_RDWR | O_CREAT, 0600));
  char *behind = mmap(NULL, 8192, PROT_READ, MAP_SHARED, open("file", O_RDONLY | O_CLOEXEC), 0);
  say("behind the end of a mapped file");
  shown((int)syscall(SYS_open, behind + 4096, O_RDONLY));
  mprotect(page, 4096, PROT_NONE);
  say("unreadable");
  shown((int)syscall(SYS_open, page + 4000, O_RDONLY));
}

static void path_across_two_pages(void) {
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  make("file-over-the-edge", 0644, "text");
  strcpy(page + 4096 - 7, "file-over-the-edge");
  shown(open(page + 4096 - 7, O_RDONLY));
  mprotect(page, 8192, PROT_READ);
  shown(open(page + 4096 - 7, O_RDONLY));
  mprotect(page, 8192, PROT_EXEC);
  shown(open(page + 4096 - 7, O_RDONLY));
}

static void starting_points(void) {
  mkdir("dir", 0755);
  make("dir/file", 0644, "inner");
  make("file", 0644, "outer");
  int dir = open("dir", O_RDONLY | O_DIRECTORY), file = open("file", O_RDONLY);
  shown(openat(dir, "file", O_RDONLY));
  shown(openat(dir, "../file", O_RDONLY));
  shown(openat(dir, "", O_RDONLY));
  shown(openat(dir, ".", O_RDONLY));
  shown(openat(file, "file", O_RDONLY));
  shown(openat(file, "", O_RDONLY));
  shown(openat(file, "/etc/hostname", O_RDONLY));
  shown(openat(-1, "/etc/hostname", O_RDONLY));
  shown(openat(999, "file", O_RDONLY));
  shown(openat(-1, "file", O_RDONLY));
  shown(openat(AT_FDCWD, "file", O_RDONLY));
  shown((int)syscall(SYS_openat, (long)dir | 0x500000000L, "file", O_RDONLY));
  shown((int)syscall(SYS_openat, 0xffffff9cL, "file", O_RDONLY));
}

static void folder_that_is_gone(void) {
  mkdir("gone", 0755);
  int dir = open("gone", O_RDONLY | O_DIRECTORY);
  attempt("chdir", chdir("gone"));
  attempt("rmdir", rmdir("../gone"));
  shown(open("file", O_RDONLY));
  shown(open("file", O_RDWR | O_CREAT, 0600));
  shown(open("..", O_RDONLY));
  shown(open(".", O_RDONLY));
  shown(openat(dir, "file", O_RDWR | O_CREAT, 0600));
  shown(openat(dir, ".", O_RDONLY));
  shown(open(".", O_RDWR | O_TMPFILE, 0600));
  shown(open("/etc/hostname", O_RDONLY));
}

static void folder_that_was_moved(void) {
  mkdir("one", 0755);
  mkdir("two", 0755);
  make("one/file", 0644, "text");
  int dir = open("one", O_PATH | O_DIRECTORY);
  attempt("chdir", chdir("one"));
  attempt("rename", rename("../one", "../two/three"));
  shown(open("file", O_RDONLY));
  shown(open("../../one/file", O_RDONLY));
  shown(openat(dir, "../three/file", O_RDONLY));
}

static void kinds_of_files(void) {
  attempt("fifo", mkfifo("fifo", 0600));
  struct sockaddr_un address = {AF_UNIX, "socket"};
  attempt("bind", bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
  shown(open("fifo", O_WRONLY | O_NONBLOCK));
  shown(open("fifo", O_RDONLY | O_NONBLOCK));
  shown(open("fifo", O_RDWR));
  shown(open("socket", O_RDONLY));
  shown(open("socket", O_RDWR | O_NONBLOCK));
  shown(open("socket", O_WRONLY | O_CREAT, 0600));
}

static void running_program(void) {
  copy_self("program", 0755);
  int held[2];
  if (pipe(held)) return say_errno(errno);
  pid_t child = fork();
  if (child == 0) {
    dup2(held[0], STDIN_FILENO);
    close(held[1]);
    execl("program", "program", "report=wait", NULL);
    _exit(9);
  }
  char state[64] = "";
  snprintf(state, sizeof state, "/proc/%d/comm", child);
  char comm[32] = "";
  for (int tries = 0; tries < 1000 && strcmp(comm, "program\n"); tries++) {
    nap(2);
    slurp(state, comm, sizeof comm);
  }
  shown(open("program", O_WRONLY));
  shown(open("program", O_RDWR | O_TRUNC));
  shown(open("program", O_RDONLY | O_TRUNC));
  say("%d", open("program", O_RDONLY) >= 0);
  close(held[0]);
  close(held[1]);
  say_exit(child);
  say("%d", open("program", O_WRONLY) >= 0);
}

static void read_only_mount(void) {
  shown(open("/probe/readonly/file", O_RDONLY));
  shown(open("/probe/readonly/file", O_RDWR));
  shown(open("/probe/readonly/file", O_RDONLY | O_TRUNC));
  shown(open("/probe/readonly/new", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/readonly/file", O_RDONLY | O_CREAT, 0600));
  shown(open("/probe/readonly/file", O_RDWR | O_CREAT | O_EXCL, 0600));
  shown(open("/probe/readonly/missing", O_RDONLY));
  shown(open("/sys/kernel/uevent_seqnum", O_RDWR));
}

static void unusual_mounts(void) {
  shown(open("/probe/nodev/null", O_RDONLY));
  shown(open("/dev/shm/new", O_RDWR | O_CREAT, 0666));
  unlink("/dev/shm/new");
  shown(open("/dev/mqueue", O_RDONLY));
  shown(open("/dev/mqueue/queue", O_RDWR | O_CREAT, 0600));
  unlink("/dev/mqueue/queue");
  shown(open("/sys/fs/cgroup", O_RDONLY));
  shown(open("/proc/kcore", O_RDONLY));
  shown(open("/proc/keys", O_RDONLY));
  shown(open("/proc/sysrq-trigger", O_WRONLY));
  shown(open("/sys/firmware", O_RDONLY));
  shown(open("/proc/scsi", O_RDONLY));
}

FAMILY(paths, {"missing", missing}, {"long-names", long_names}, {"long-way-down", long_way_down},
       {"chain-of-links", chain_of_links}, {"links-everywhere", links_everywhere}, {"strange-names", strange_names},
       {"slashes-behind-new-names", slashes_behind_new_names},
       {"faults", faults}, {"path-across-two-pages", path_across_two_pages}, {"starting-points", starting_points},
       {"folder-that-is-gone", folder_that_is_gone}, {"folder-that-was-moved", folder_that_was_moved},
       {"kinds-of-files", kinds_of_files}, {"running-program", running_program}, {"read-only-mount", read_only_mount},
       {"unusual-mounts", unusual_mounts});

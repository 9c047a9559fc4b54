// SPDX-License-Identifier: Apache-2.0
// openat2: its own argument checks, and RESOLVE_ flags.
#include "check.h"
#include <linux/openat2.h>

static int open_how(int dirfd, const char *path, uint64_t open_flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {open_flags, mode, resolve};
  int fd, tries = 0;
  // EAGAIN says that something was renamed or mounted anywhere on the machine while `..` was looked up.
  do fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN && !(resolve & RESOLVE_CACHED) && tries++ < 1000);
  return fd;
}

static int resolve(const char *path, uint64_t how) { return shown(open_how(AT_FDCWD, path, O_RDONLY, 0, how)); }

static void tree(void) {
  mkdir("dir", 0755);
  mkdir("dir/sub", 0755);
  make("dir/file", 0644, "inner");
  make("file", 0644, "outer");
  attempt("links", symlink("dir", "to-dir") | symlink("../file", "dir/up") | symlink("/file", "dir/absolute") |
                       symlink("file", "dir/near"));
}

static void plain(void) {
  make("file", 0640, "text");
  resolve("file", 0);
  shown(open_how(AT_FDCWD, "new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666, 0));
  shown(open_how(AT_FDCWD, ".", O_RDWR | O_TMPFILE, 0600, 0));
  shown(open_how(AT_FDCWD, "missing", O_RDONLY, 0, 0));
  shown(open_how(-1, "file", O_RDONLY, 0, 0));
}

static void sizes(void) {
  struct {
    struct open_how how;
    uint64_t more[510];
  } how = {{O_RDONLY, 0, 0}, {0}};
  make("file", 0644, "text");
  static const size_t SIZES[] = {0, 8, 23, 24, 25, 32, 4096};
  for (size_t index = 0; index < COUNT(SIZES); index++) {
    say("%zu", SIZES[index]);
    shown((int)syscall(SYS_openat2, AT_FDCWD, "file", &how, SIZES[index]));
  }
  say("4097");
  shown((int)syscall(SYS_openat2, AT_FDCWD, "file", &how, 4097UL));
  say("huge");
  shown((int)syscall(SYS_openat2, AT_FDCWD, "file", &how, ~0UL));
  how.more[0] = 1;
  say("unknown member");
  shown((int)syscall(SYS_openat2, AT_FDCWD, "file", &how, 32UL));
  say("ignored behind the end");
  shown((int)syscall(SYS_openat2, AT_FDCWD, "file", &how, 24UL));
}

static void faults(void) {
  make("file", 0644, "text");
  struct open_how how = {O_RDONLY, 0, 0};
  shown((int)syscall(SYS_openat2, AT_FDCWD, "file", NULL, sizeof how));
  shown((int)syscall(SYS_openat2, AT_FDCWD, NULL, &how, sizeof how));
  shown((int)syscall(SYS_openat2, AT_FDCWD, "", &how, sizeof how));
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  memcpy(page + 4096 - sizeof how, &how, sizeof how);
  shown((int)syscall(SYS_openat2, AT_FDCWD, "file", page + 4096 - sizeof how, sizeof how));
  shown((int)syscall(SYS_openat2, AT_FDCWD, "file", page + 4096 - sizeof how, sizeof how + 8));
}

static void strict_flags(void) {
  static const struct open_how HOWS[] = {{1ULL << 32, 0, 0},
                                         {1 << 30, 0, 0},
                                         {O_RDONLY, 0600, 0},
                                         {O_RDONLY | O_CREAT, 010000, 0},
                                         {O_RDONLY, 0, 1 << 20},
                                         {O_RDONLY, 0, 1ULL << 40},
                                         {O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT},
                                         {O_RDWR | __O_TMPFILE, 0600, 0},
                                         {O_RDONLY | O_TMPFILE, 0600, 0},
                                         {O_RDWR | O_TMPFILE | O_CREAT, 0600, 0},
                                         {O_RDONLY | O_DIRECTORY | O_CREAT, 0600, 0},
                                         {O_RDONLY | O_LARGEFILE, 0, 0},
                                         {O_ACCMODE, 0, 0},
                                         {O_WRONLY | O_CREAT, 07777, 0}};
  make("file", 0644, "text");
  for (size_t index = 0; index < COUNT(HOWS); index++) {
    say("%zu", index);
    shown((int)syscall(SYS_openat2, AT_FDCWD, HOWS[index].flags & O_DIRECTORY ? "." : "file", &HOWS[index],
                       sizeof *HOWS));
  }
}

static void beneath(void) {
  tree();
  static const char *const NAMES[] = {"dir/file",      "dir/up",       "dir/../file", "..",     "../beneath",
                                      "/etc/hostname", "dir/absolute", "to-dir/file", "missing"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    say("%s", NAMES[index]);
    resolve(NAMES[index], RESOLVE_BENEATH);
  }
  int dir = open("dir", O_PATH | O_DIRECTORY);
  shown(open_how(dir, "up", O_RDONLY, 0, RESOLVE_BENEATH));
  shown(open_how(dir, "sub/../file", O_RDONLY, 0, RESOLVE_BENEATH));
  shown(open_how(dir, "made", O_RDWR | O_CREAT, 0600, RESOLVE_BENEATH));
  shown(open_how(dir, "../made", O_RDWR | O_CREAT, 0600, RESOLVE_BENEATH));
}

static void in_root(void) {
  tree();
  static const char *const NAMES[] = {
      "file", "/file", "/../../file", "dir/up", "dir/absolute", "../../dir/../file", "/etc/hostname"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    say("%s", NAMES[index]);
    resolve(NAMES[index], RESOLVE_IN_ROOT);
  }
  int dir = open("dir", O_RDONLY | O_DIRECTORY);
  shown(open_how(dir, "up", O_RDONLY, 0, RESOLVE_IN_ROOT));
  shown(open_how(dir, "absolute", O_RDONLY, 0, RESOLVE_IN_ROOT));
  shown(open_how(dir, "/made", O_RDWR | O_CREAT, 0600, RESOLVE_IN_ROOT));
  shown(open_how(AT_FDCWD, "/file", O_RDONLY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS));
}

// Links at the end of a path that is to be made.
static void made_behind_links(void) {
  tree();
  attempt("links", symlink("new", "dir/dangling") | symlink("../outside", "dir/upwards") | symlink("/top", "dir/from-top") |
                       symlink("new/", "dir/folder") | symlink("dangling", "dir/twice") | symlink("round", "dir/round") |
                       symlink("sub/none/new", "dir/nowhere"));
  static const char *const NAMES[] = {"dir/dangling", "dir/dangling", "dir/upwards",  "dir/from-top", "dir/folder",
                                      "dir/twice",    "dir/round",    "dir/nowhere",  "dir/near",     "dir/up"};
  static const unsigned long long RESOLVE[] = {RESOLVE_BENEATH, RESOLVE_IN_ROOT};
  for (size_t how = 0; how < COUNT(RESOLVE); how++) {
    for (size_t index = 0; index < COUNT(NAMES); index++) {
      say("%s", NAMES[index]);
      shown(open_how(AT_FDCWD, NAMES[index], O_RDWR | O_CREAT | (index ? 0 : O_EXCL), 0600, RESOLVE[how]));
    }
    static const char *const MADE[] = {"dir/new", "outside", "top"};
    for (size_t index = 0; index < COUNT(MADE); index++) attempt(MADE[index], unlink(MADE[index]));
  }
  int dir = open("dir", O_RDONLY | O_DIRECTORY);
  shown(open_how(dir, "from-top", O_RDWR | O_CREAT, 0600, RESOLVE_IN_ROOT));
  shown(open_how(dir, "upwards", O_RDWR | O_CREAT, 0600, RESOLVE_IN_ROOT));
  shown(open_how(dir, "upwards", O_RDWR | O_CREAT, 0600, RESOLVE_BENEATH));
  shown(open_how(dir, "dangling", O_RDWR | O_CREAT | O_NOFOLLOW, 0600, RESOLVE_IN_ROOT));
  shown(open_how(dir, "dangling", O_RDWR | O_CREAT, 0600, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS));
  static const char *const THERE[] = {"dir/top", "dir/outside", "dir/new"};
  for (size_t index = 0; index < COUNT(THERE); index++) attempt(THERE[index], unlink(THERE[index]));
}

static void within_one_mount(void) {
  tree();
  attempt("link", symlink("/proc", "to-proc"));
  static const char *const NAMES[] = {"dir/file", "dir/up",    "/etc/hostname",  "/proc/self/comm",
                                      "to-proc",  "/dev/null", "/proc/self/cwd", "/probe/readonly"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    say("%s", NAMES[index]);
    resolve(NAMES[index], RESOLVE_NO_XDEV);
  }
  int proc = open("/proc", O_PATH | O_DIRECTORY);
  shown(open_how(proc, "self/comm", O_RDONLY, 0, RESOLVE_NO_XDEV));
  shown(open_how(proc, "../etc/hostname", O_RDONLY, 0, RESOLVE_NO_XDEV));
  static const char *const LINKS[] = {"self/root/etc/hostname", "self/cwd", "self/exe", "self/mounts", "mounts"};
  for (size_t index = 0; index < COUNT(LINKS); index++) {
    say("%s", LINKS[index]);
    shown(open_how(proc, LINKS[index], O_RDONLY, 0, RESOLVE_NO_XDEV));
  }
}

static void no_links(void) {
  tree();
  static const char *const NAMES[] = {"dir/file", "to-dir/file",     "dir/near",
                                      "dir/up",   "/proc/self/comm", "/proc/self/cwd"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    say("%s", NAMES[index]);
    resolve(NAMES[index], RESOLVE_NO_SYMLINKS);
  }
}

static void no_magic_links(void) {
  tree();
  int fd = open("file", O_RDONLY);
  char path[64], deeper[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  snprintf(deeper, sizeof deeper, "/dev/fd/%d", fd);
  const char *const NAMES[] = {
      "dir/near",       path, deeper, "/proc/self/cwd/file", "/proc/self/exe", "/proc/self/root/etc/hostname",
      "/proc/self/comm"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    say("%zu", index);
    resolve(NAMES[index], RESOLVE_NO_MAGICLINKS);
  }
  resolve(path, RESOLVE_BENEATH);
  resolve(path, RESOLVE_IN_ROOT);
  resolve(path, RESOLVE_NO_XDEV);
}

static void handles(void) {
  tree();
  static const unsigned long long FLAGS[] = {O_PATH | O_RDWR, O_PATH | O_TRUNC, O_PATH | O_CLOEXEC, O_PATH | O_LARGEFILE};
  for (size_t index = 0; index < COUNT(FLAGS); index++) shown(open_how(AT_FDCWD, "file", FLAGS[index], 0, 0));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", open("file", O_RDONLY));
  shown(open_how(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0, 0));
  shown(open_how(AT_FDCWD, "to-dir", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
  shown(open_how(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_MAGICLINKS));
}

// What a procfs shows of the caller is another's where another one opens.
static void in_procfs(void) {
  int proc = open("/proc", O_PATH | O_DIRECTORY), root = open("/", O_PATH | O_DIRECTORY);
  const struct { int start; const char *path; uint64_t how; } OPENS[] = {
      {proc, "version", RESOLVE_BENEATH}, {proc, "self/comm", RESOLVE_BENEATH}, {root, "/proc/version", RESOLVE_IN_ROOT}};
  for (size_t index = 0; index < COUNT(OPENS); index++) {
    int fd = open_how(OPENS[index].start, OPENS[index].path, O_RDONLY, 0, OPENS[index].how);
    say("%s", fd < 0 ? strerrorname_np(errno) : "ok");
    close(fd);
  }
}

static void cached(void) {
  make("file", 0644, "text");
  resolve("file", 0);
  resolve("file", RESOLVE_CACHED);
  shown(open_how(AT_FDCWD, "new", O_RDWR | O_CREAT, 0600, RESOLVE_CACHED));
  shown(open_how(AT_FDCWD, "file", O_WRONLY | O_TRUNC, 0, RESOLVE_CACHED));
  shown(open_how(AT_FDCWD, ".", O_RDWR | O_TMPFILE, 0600, RESOLVE_CACHED));
  say_text("file");
}

FAMILY(openat2_calls, {"openat2-plain", plain}, {"openat2-sizes", sizes}, {"openat2-faults", faults},
       {"openat2-strict-flags", strict_flags}, {"openat2-beneath", beneath}, {"openat2-in-root", in_root},
       {"openat2-made-behind-links", made_behind_links},
       {"openat2-within-one-mount", within_one_mount}, {"openat2-no-links", no_links},
       {"openat2-no-magic-links", no_magic_links}, {"openat2-handles", handles},
       {"openat2-in-procfs", in_procfs}, {"openat2-cached", cached});

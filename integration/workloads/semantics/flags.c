// SPDX-License-Identifier: Apache-2.0
// Every O_ flag of open, openat and creat.
#include "check.h"

static void access_modes(void) {
  make("file", 0644, "text");
  for (int mode = 0; mode <= O_ACCMODE; mode++) {
    char byte;
    int fd = shown(open("file", mode));
    attempt("read", read(fd, &byte, 1));
    attempt("write", write(fd, "x", 1));
  }
}

static void raw_entries(void) {
  shown((int)syscall(SYS_creat, "creat", 0640));
  shown((int)syscall(SYS_open, "open", O_RDWR | O_CREAT, 0604));
  shown((int)syscall(SYS_openat, AT_FDCWD, "openat", O_RDWR | O_CREAT, 0660));
  shown((int)syscall(SYS_open, "creat", O_RDONLY | O_LARGEFILE));
  shown((int)syscall(SYS_creat, "open", 0777));
}

static void creation_modes(void) {
  static const mode_t MODES[] = {0, 0200, 0666, 0777, 01777, 02755, 04755, 06711, 0100644, 0170777};
  for (size_t index = 0; index < COUNT(MODES); index++) {
    char name[16];
    snprintf(name, sizeof name, "file-%zu", index);
    shown(open(name, O_RDWR | O_CREAT, MODES[index]));
  }
}

static void creating_keeps_what_exists(void) {
  make("file", 0604, "kept");
  shown(open("file", O_RDWR | O_CREAT, 0777));
  say_text("file");
}

static void exclusive_creation(void) {
  make("file", 0644, "kept");
  mkdir("dir", 0755);
  attempt("links", symlink("file", "link") | symlink("nowhere", "dangling"));
  static const char *const NAMES[] = {"file", "dir", "link", "dangling", "new", "none/new", "file/new"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    say("%s", NAMES[index]);
    shown(open(NAMES[index], O_RDWR | O_CREAT | O_EXCL, 0644));
  }
  say("nowhere");
  shown(open("nowhere", O_RDONLY));
  say("without O_CREAT");
  shown(open("file", O_RDONLY | O_EXCL));
}

static void creation_through_a_dangling_link(void) {
  mkdir("dir", 0755);
  attempt("links", symlink("dir/made", "link") | symlink("none/made", "lost") | symlink("second", "first") |
                       symlink("../chained", "dir/second"));
  attempt("second link", symlink("dir/second", "second"));
  shown(open("link", O_RDWR | O_CREAT, 0644));
  shown(open("lost", O_RDWR | O_CREAT, 0644));
  shown(open("first", O_RDWR | O_CREAT, 0644));
  shown(open("link", O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
  say_link("link");
}

static void truncation(void) {
  make("one", 0644, "text");
  make("two", 0644, "text");
  make("three", 0444, "text");
  shown(open("one", O_WRONLY | O_TRUNC));
  shown(open("two", O_RDONLY | O_TRUNC));
  shown(open("three", O_WRONLY | O_TRUNC));
  shown(open(".", O_RDONLY | O_TRUNC));
  shown(open("missing", O_WRONLY | O_TRUNC));
  attempt("fifo", mkfifo("fifo", 0600));
  shown(open("fifo", O_RDONLY | O_NONBLOCK | O_TRUNC));
  attempt("link", symlink("one", "link"));
  shown(open("link", O_WRONLY | O_TRUNC | O_NOFOLLOW));
}

static void truncate_as_user(void) {
  become(USER, USER);
  shown(open("setuid", O_WRONLY | O_TRUNC));
}

static void truncation_takes_setuid_away(void) {
  make("setuid", 06777, "text");
  say_exit(child_of(truncate_as_user));
  shown(open("setuid", O_RDONLY));
}

static void appending(void) {
  make("file", 0644, "one ");
  int fd = shown(open("file", O_RDWR | O_APPEND));
  attempt("write", write(fd, "two ", 4));
  attempt("seek", lseek(fd, 0, SEEK_SET));
  attempt("write", write(fd, "three", 5));
  say("at %ld", (long)lseek(fd, 0, SEEK_CUR));
  say_text("file");
}

static void close_on_exec(void) {
  make("file", 0644, "text");
  int kept = shown(open("file", O_RDONLY)), closed = shown(open("file", O_RDONLY | O_CLOEXEC));
  say("%d %d", kept, closed);
  execute(REPORT("fds"));
}

static void status_flags(void) {
  static const int FLAGS[] = {O_NONBLOCK,
                              O_SYNC,
                              O_DSYNC,
                              O_RSYNC,
                              O_ASYNC,
                              O_NOCTTY,
                              O_LARGEFILE,
                              O_NOFOLLOW,
                              O_DIRECT,
                              O_NOATIME,
                              O_APPEND | O_NONBLOCK,
                              O_EXCL,
                              1 << 30,
                              1 << 24,
                              040};
  make("file", 0644, "text");
  for (size_t index = 0; index < COUNT(FLAGS); index++) {
    int fd = open("file", O_RDWR | FLAGS[index]);
    if (fd < 0)
      say_errno(errno);
    else
      say("%o", fcntl(fd, F_GETFL));
  }
  for (size_t index = 0; index < COUNT(FLAGS); index++) {
    int fd = open("created", O_RDWR | O_CREAT | FLAGS[index], 0600);
    if (fd < 0)
      say_errno(errno);
    else
      say("%o", fcntl(fd, F_GETFL));
    unlink("created");
  }
}

static void direct(void) {
  attempt("fifo", mkfifo("fifo", 0600));
  make("file", 0644, "text");
  shown(open("file", O_RDWR | O_DIRECT));
  shown(open("/proc/self/comm", O_RDONLY | O_DIRECT));
  shown(open("/dev/null", O_RDONLY | O_DIRECT));
  shown(open("fifo", O_RDWR | O_DIRECT));
  shown(open("/dev/shm", O_RDWR | O_TMPFILE | O_DIRECT, 0600));
  shown(open("new", O_RDWR | O_CREAT | O_DIRECT, 0600));
}

static void without_atime(void) {
  make("mine", 0644, "text");
  shown(open("mine", O_RDONLY | O_NOATIME));
  shown(open("/probe/root-0644", O_RDONLY | O_NOATIME));
  shown(open("/probe/user-0666", O_RDONLY | O_NOATIME));
  shown(open(".", O_RDONLY | O_DIRECTORY | O_NOATIME));
}

static void path_only(void) {
  char byte;
  make("file", 0644, "text");
  int fd = shown(open("file", O_PATH));
  attempt("read", read(fd, &byte, 1));
  attempt("fchmod", fchmod(fd, 0600));
  attempt("fchdir", fchdir(fd));
  attempt("dup", dup(fd));
  attempt("mmap", mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
  shown(open("missing", O_PATH));
  shown(open("file", O_PATH | O_CLOEXEC));
}

static void path_only_takes_no_other_flags(void) {
  make("file", 0644, "text");
  shown(open("file", O_PATH | O_RDWR | O_TRUNC | O_APPEND | O_NONBLOCK));
  shown(open("missing", O_PATH | O_CREAT, 0600));
  shown(open("file", O_PATH | O_CREAT | O_EXCL, 0600));
  shown(open("file", O_PATH | O_DIRECTORY));
  shown(open(".", O_PATH | O_DIRECTORY));
  shown(open(".", O_PATH | __O_TMPFILE, 0600));
  say_text("file");
}

static void path_only_needs_no_permission(void) {
  make("file", 0, "text");
  int fd = shown(open("file", O_PATH));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  shown(open(path, O_RDONLY));
  shown(open("/probe/root-0600", O_PATH));
  shown(open("/probe/dir-0700", O_PATH));
  shown(open("/probe/dir-0700/file", O_PATH));
}

static void path_only_of_a_link(void) {
  char text[64];
  make("file", 0644, "text");
  attempt("link", symlink("file", "link"));
  int fd = shown(open("link", O_PATH | O_NOFOLLOW));
  say("%zd", readlinkat(fd, "", text, sizeof text));
  shown(openat(fd, "x", O_RDONLY));
  shown(open("link", O_PATH));
}

static void path_only_of_what_blocks(void) {
  attempt("fifo", mkfifo("fifo", 0600));
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {AF_UNIX, "socket"};
  attempt("bind", bind(listener, (struct sockaddr *)&address, sizeof address));
  shown(open("fifo", O_PATH));
  shown(open("socket", O_PATH));
  shown(open("/probe/block", O_PATH));
  shown(open("/dev/ptmx", O_PATH));
}

static void path_only_folder(void) {
  mkdir("dir", 0755);
  make("dir/file", 0644, "text");
  int fd = shown(open("dir", O_PATH | O_DIRECTORY | O_CLOEXEC));
  shown(openat(fd, "file", O_RDONLY));
  shown(openat(fd, "new", O_RDWR | O_CREAT, 0600));
  shown(openat(fd, "../dir/file", O_WRONLY));
  shown(openat(fd, ".", O_RDONLY | O_DIRECTORY));
  attempt("fchdir", fchdir(fd));
  shown(open("file", O_RDONLY));
}

static void nameless_file(void) {
  char path[64];
  int fd = shown(open(".", O_RDWR | O_TMPFILE, 0666));
  attempt("write", write(fd, "text", 4));
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  attempt("link", linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  attempt("link", linkat(fd, "", AT_FDCWD, "second", AT_EMPTY_PATH));
  say_link(path);
  shown(open("named", O_RDONLY));
  say_text("named");
}

static void nameless_for_ever(void) {
  char path[64];
  int fd = shown(open(".", O_WRONLY | O_TMPFILE | O_EXCL | O_CLOEXEC, 04711));
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  attempt("link", linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
}

static void nameless_file_refused(void) {
  make("file", 0644, "text");
  mkdir("closed", 0555);
  shown(open(".", O_RDONLY | O_TMPFILE, 0600));
  shown(open("file", O_RDWR | O_TMPFILE, 0600));
  shown(open("missing", O_RDWR | O_TMPFILE, 0600));
  shown(open("closed", O_RDWR | O_TMPFILE, 0600));
  shown(open(".", O_RDWR | O_TMPFILE | O_CREAT, 0600));
  shown(open(".", O_RDWR | __O_TMPFILE, 0600));
  shown(open("/proc/self", O_RDWR | O_TMPFILE, 0600));
  shown(open("/probe/readonly", O_RDWR | O_TMPFILE, 0600));
}

static void without_following(void) {
  mkdir("dir", 0755);
  make("dir/file", 0644, "text");
  attempt("links", symlink("dir/file", "link") | symlink("dir", "to-dir"));
  shown(open("link", O_RDONLY | O_NOFOLLOW));
  shown(open("to-dir/file", O_RDONLY | O_NOFOLLOW));
  shown(open("to-dir", O_RDONLY | O_NOFOLLOW));
  shown(open("to-dir/", O_RDONLY | O_NOFOLLOW));
  shown(open("to-dir/.", O_RDONLY | O_NOFOLLOW));
  shown(open("to-dir", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
  shown(open("dir", O_RDONLY | O_NOFOLLOW));
}

static void folders_only(void) {
  make("file", 0644, "text");
  mkdir("dir", 0711);
  attempt("links", symlink("dir", "to-dir") | symlink("file", "to-file"));
  attempt("fifo", mkfifo("fifo", 0600));
  static const char *const NAMES[] = {"file", "dir", "to-dir", "to-file", "fifo", "missing"};
  for (size_t index = 0; index < COUNT(NAMES); index++) shown(open(NAMES[index], O_RDONLY | O_DIRECTORY));
  shown(open("dir", O_RDONLY | O_DIRECTORY | O_CREAT, 0755));
  shown(open("missing", O_RDONLY | O_DIRECTORY | O_CREAT, 0755));
  shown(open("missing", O_RDONLY));
}

static void folders_are_not_for_writing(void) {
  mkdir("dir", 0755);
  make("file", 0644, "text");
  shown(open("dir", O_WRONLY));
  shown(open("dir", O_RDWR));
  shown(open("dir", O_RDONLY | O_CREAT, 0600));
  shown(open("new/", O_RDWR | O_CREAT, 0600));
  shown(open("dir/", O_RDWR | O_CREAT, 0600));
  shown(open("file/", O_RDONLY));
  shown(open("file/", O_RDWR | O_CREAT, 0600));
  shown(open("dir/.", O_RDWR | O_CREAT, 0600));
  shown(open("dir/..", O_RDWR | O_CREAT | O_EXCL, 0600));
}

static void offsets_are_separate(void) {
  char text[8];
  make("file", 0644, "0123456789");
  int one = open("file", O_RDONLY), two = open("file", O_RDONLY);
  attempt("read", read(one, text, 5));
  say("%ld %ld", (long)lseek(one, 0, SEEK_CUR), (long)lseek(two, 0, SEEK_CUR));
}

FAMILY(flags, {"access-modes", access_modes}, {"raw-entries", raw_entries}, {"creation-modes", creation_modes},
       {"creating-keeps-what-exists", creating_keeps_what_exists}, {"exclusive-creation", exclusive_creation},
       {"creation-through-a-dangling-link", creation_through_a_dangling_link}, {"truncation", truncation},
       {"truncation-takes-setuid-away", truncation_takes_setuid_away}, {"appending", appending},
       {"close-on-exec", close_on_exec}, {"status-flags", status_flags}, {"direct", direct},
       {"without-atime", without_atime}, {"path-only", path_only},
       {"path-only-takes-no-other-flags", path_only_takes_no_other_flags},
       {"path-only-needs-no-permission", path_only_needs_no_permission}, {"path-only-of-a-link", path_only_of_a_link},
       {"path-only-of-what-blocks", path_only_of_what_blocks}, {"path-only-folder", path_only_folder},
       {"nameless-file", nameless_file}, {"nameless-for-ever", nameless_for_ever},
       {"nameless-file-refused", nameless_file_refused}, {"without-following", without_following},
       {"folders-only", folders_only}, {"folders-are-not-for-writing", folders_are_not_for_writing},
       {"offsets-are-separate", offsets_are_separate});

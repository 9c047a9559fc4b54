// SPDX-License-Identifier: Apache-2.0
// What others see of an open and of the close after it: events, times, locks, and that closed is closed.
#include "check.h"
#include <sys/file.h>
#include <sys/inotify.h>

enum { ROUNDS = 300 }; // a descriptor that somebody holds a moment longer shows within this many

static void say_events(int watch) {
  static const struct {
    uint32_t bit;
    const char *name;
  } BITS[] = {{IN_ACCESS, "access"},           {IN_MODIFY, "modify"},       {IN_ATTRIB, "attrib"},
              {IN_CLOSE_WRITE, "close-write"}, {IN_CLOSE_NOWRITE, "close"}, {IN_OPEN, "open"},
              {IN_CREATE, "create"},           {IN_DELETE, "delete"}};
  char buffer[8192] __attribute__((aligned(8)));
  ssize_t length = read(watch, buffer, sizeof buffer);
  if (length < 0) return say("none");
  for (char *at = buffer; at < buffer + length;
       at += sizeof(struct inotify_event) + ((struct inotify_event *)at)->len) {
    const struct inotify_event *event = (struct inotify_event *)at;
    for (size_t index = 0; index < COUNT(BITS); index++)
      if (event->mask & BITS[index].bit) {
        say("%s", BITS[index].name);
        say_name(event->len ? event->name : "-");
      }
  }
}

static void events(void) {
  mkdir("dir", 0755);
  make("dir/file", 0644, "text");
  int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  attempt("watch", inotify_add_watch(watch, "dir", IN_ALL_EVENTS));
  int fd = open("dir/file", O_RDONLY);
  say_events(watch);
  close(open("dir/new", O_RDWR | O_CREAT, 0600));
  say_events(watch);
  open("dir/file", O_WRONLY | O_TRUNC);
  say_events(watch);
  open("dir/file", O_PATH);
  say_events(watch);
  open("dir/missing", O_RDONLY);
  say_events(watch);
  open("dir", O_RDONLY | O_DIRECTORY);
  say_events(watch);
  open("dir/file", O_RDONLY | O_DIRECTORY);
  open("dir/new", O_RDWR | O_CREAT | O_EXCL, 0600);
  say_events(watch);
  say("%d", fd >= 0);
  open("dir", O_RDWR | O_TMPFILE, 0600);
  say_events(watch);
}

static void events_of_exec(void) {
  mkdir("dir", 0755);
  copy_self("dir/program", 0755);
  int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  attempt("watch", inotify_add_watch(watch, "dir", IN_OPEN | IN_ATTRIB | IN_CREATE));
  execute((char *[]){"dir/program", "report=pid", NULL});
  say_events(watch);
}

static long stamp(const struct statx_timestamp *time) { return time->tv_sec % 100000000 * 10 + (time->tv_nsec != 0); }

// Old times are set before, so whatever moves shows.
static void say_times(const char *path) {
  struct statx times;
  statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &times);
  long atime = stamp(&times.stx_atime), mtime = stamp(&times.stx_mtime);
  say("a%s m%s", atime == 10000000 ? "=" : "+", mtime == 20000000 ? "=" : "+");
}

static void set_times(const char *path) {
  struct timespec times[2] = {{1000000, 0}, {2000000, 0}};
  utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void times(void) {
  static const struct {
    const char *path;
    int flags;
  } OPENS[] = {{"file", O_RDONLY},
               {"file", O_RDWR},
               {"file", O_WRONLY | O_APPEND},
               {"file", O_PATH},
               {"file", O_RDWR | O_CREAT},
               {"link", O_RDONLY},
               {"dir/file", O_RDONLY},
               {"dir", O_RDONLY},
               {"file", O_RDWR | O_CREAT | O_EXCL},
               {"file", O_WRONLY | O_TRUNC},
               {"empty", O_WRONLY | O_TRUNC},
               {"dir/new", O_WRONLY | O_CREAT}};
  static const char *const NAMES[] = {"file", "link", "dir", "dir/file", "empty"};
  make("file", 0644, "text");
  mkdir("dir", 0755);
  make("dir/file", 0644, "text");
  make("empty", 0644, "");
  attempt("link", symlink("file", "link"));
  for (size_t index = 0; index < COUNT(OPENS); index++) {
    for (size_t name = 0; name < COUNT(NAMES); name++) set_times(NAMES[name]);
    say("%zu", index);
    attempt("open", open(OPENS[index].path, OPENS[index].flags, 0600));
    for (size_t name = 0; name < COUNT(NAMES); name++) say_times(NAMES[name]);
  }
  char byte;
  set_times("file");
  attempt("read", read(open("dir/file", O_RDONLY), &byte, 1));
  say_times("dir/file");
  set_times("dir/file");
  attempt("read", read(open("dir/file", O_RDONLY | O_NOATIME), &byte, 1));
  say_times("dir/file");
}

static void locks(void) {
  make("file", 0644, "text");
  int one = open("file", O_RDWR), two = open("file", O_RDWR);
  attempt("one", flock(one, LOCK_EX | LOCK_NB));
  attempt("two", flock(two, LOCK_EX | LOCK_NB));
  close(one);
  attempt("two", flock(two, LOCK_EX | LOCK_NB));
  struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  attempt("own", fcntl(two, F_OFD_SETLK, &range));
  int three = open("file", O_RDWR);
  range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
  attempt("other", fcntl(three, F_OFD_SETLK, &range));
  range = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET};
  attempt("posix", fcntl(three, F_SETLK, &range));
}

static void lock_ends_with_close(void) {
  make("file", 0644, "text");
  int other = open("file", O_RDWR), late = 0;
  for (int round = 0; round < ROUNDS; round++) {
    int fd = open("file", O_RDWR | O_CLOEXEC);
    late += flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    late += flock(other, LOCK_EX | LOCK_NB) != 0;
    flock(other, LOCK_UN);
  }
  say("%d late", late);
}

static void range_lock_ends_with_close(void) {
  make("file", 0644, "text");
  int other = open("file", O_RDWR), late = 0;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, no_lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  for (int round = 0; round < ROUNDS; round++) {
    int fd = open("file", O_RDWR | O_CLOEXEC);
    late += fcntl(fd, F_OFD_SETLK, &lock) != 0;
    close(fd);
    late += fcntl(other, F_OFD_SETLK, &lock) != 0;
    fcntl(other, F_OFD_SETLK, &no_lock);
  }
  say("%d late", late);
}

static void hang_up_comes_with_close(void) {
  attempt("fifo", mkfifo("fifo", 0600));
  int reader = open("fifo", O_RDONLY | O_NONBLOCK), late = 0;
  char byte;
  for (int round = 0; round < ROUNDS; round++) {
    int writer = open("fifo", O_WRONLY | O_NONBLOCK);
    close(writer);
    late += read(reader, &byte, 1) != 0;
  }
  say("%d late", late);
}

// What was written and closed can be executed at once.
static void written_program_can_run(void) {
  copy_self("program", 0755);
  int late = 0;
  for (int round = 0; round < ROUNDS / 3; round++) {
    int fd = open("program", O_RDWR | O_CLOEXEC);
    close(fd);
    pid_t child = vfork();
    if (child == 0) {
      execl("program", "program", "report=", NULL);
      _exit(errno == ETXTBSY ? 1 : 2);
    }
    int status;
    waitpid(child, &status, 0);
    late += status != 0;
  }
  say("%d late", late);
}

static void lease_right_after_open(void) {
  make("file", 0644, "text");
  int late = 0;
  for (int round = 0; round < ROUNDS; round++) {
    int fd = open("file", O_RDWR | O_CLOEXEC);
    late += fcntl(fd, F_SETLEASE, F_WRLCK) != 0;
    close(fd);
  }
  say("%d late", late);
}

static int mount_with_file(void) {
  mkdir("mounted", 0755);
  if (attempt("mount", unshare(CLONE_NEWNS) || mount("none", "mounted", "tmpfs", 0, NULL) ? -1 : 0)) return -1;
  make("mounted/file", 0644, "text");
  return 0;
}

static void mount_can_go_after_close(void) {
  if (mount_with_file()) return;
  int late = 0;
  for (int round = 0; round < ROUNDS / 10; round++) {
    close(open("mounted/file", O_RDWR));
    close(open("mounted/missing", O_RDWR));
    if (umount("mounted"))
      late++;
    else if (mount("none", "mounted", "tmpfs", 0, NULL))
      say_errno(errno);
    close(open("mounted/file", O_RDWR | O_CREAT, 0600));
  }
  say("%d late", late);
}

static void event_comes_with_close(void) {
  make("file", 0644, "text");
  int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), late = 0;
  attempt("watch", inotify_add_watch(watch, "file", IN_CLOSE_WRITE));
  for (int round = 0; round < ROUNDS; round++) {
    char buffer[512] __attribute__((aligned(8)));
    close(open("file", O_RDWR));
    late += read(watch, buffer, sizeof buffer) <= 0;
  }
  say("%d late", late);
}

// Who starts to listen hears of nothing that was before.
static void no_event_of_an_earlier_close(void) {
  static const uint32_t EVENTS[] = {IN_ALL_EVENTS, IN_CLOSE_WRITE, IN_CLOSE_NOWRITE | IN_ONLYDIR};
  int late = 0;
  mkdir("dir", 0755);
  for (int round = 0; round < ROUNDS; round++) {
    uint32_t events = EVENTS[round % COUNT(EVENTS)];
    const char *name = events & IN_ONLYDIR ? "dir" : "file";
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    close(open(name, events & IN_ONLYDIR ? O_RDONLY : O_WRONLY | O_CREAT, 0600));
    late += inotify_add_watch(watch, name, events) < 0;
    struct pollfd heard = {.fd = watch, .events = POLLIN};
    late += poll(&heard, 1, 2) != 0;
    close(watch);
  }
  say("%d late", late);
}

static void read_only_remount_after_close(void) {
  if (mount_with_file()) return;
  int late = 0;
  for (int round = 0; round < ROUNDS / 10; round++) {
    close(open("mounted/file", O_RDWR));
    late += mount(NULL, "mounted", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0;
    late += mount(NULL, "mounted", NULL, MS_REMOUNT, NULL) != 0;
  }
  say("%d late", late);
}

FAMILY(effects, {"events", events}, {"events-of-exec", events_of_exec}, {"times", times}, {"locks", locks},
       {"lock-ends-with-close", lock_ends_with_close}, {"range-lock-ends-with-close", range_lock_ends_with_close},
       {"hang-up-comes-with-close", hang_up_comes_with_close},
       {"written-program-can-run", written_program_can_run}, {"lease-right-after-open", lease_right_after_open},
       {"mount-can-go-after-close", mount_can_go_after_close}, {"event-comes-with-close", event_comes_with_close},
       {"no-event-of-an-earlier-close", no_event_of_an_earlier_close},
       {"read-only-remount-after-close", read_only_remount_after_close});

// SPDX-License-Identifier: Apache-2.0
// The vocabulary of the checks: words of the outcome, files, children.
#include "check.h"
#include <sys/time.h>
#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdarg.h>

void say(const char *format, ...) {
  char text[4096] = " ";
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text + 1, sizeof text - 1, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof text - 2) length = sizeof text - 2;
  if (write(STDOUT_FILENO, text, length + 1) < 0) _exit(3);
}

void say_errno(int error) { say("%s", strerrorname_np(error) ? strerrorname_np(error) : "E?"); }

long attempt(const char *what, long result) {
  int error = errno;
  if (result == -1)
    say("%s %s", what, strerrorname_np(error));
  else
    say("%s ok", what);
  errno = error;
  return result;
}

void say_bytes(const char *bytes, size_t count) {
  char text[2048] = "`", *at = text + 1;
  for (size_t index = 0; index < count && at < text + sizeof text - 8; index++) {
    unsigned char byte = (unsigned char)bytes[index];
    at += sprintf(at, byte < ' ' || byte > '~' ? "\\%02x" : "%c", byte);
  }
  say("%s`", text);
}

size_t slurp(const char *path, char *buffer, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t count = fd < 0 ? 0 : read(fd, buffer, size - 1);
  if (fd >= 0) close(fd);
  buffer[count > 0 ? count : 0] = 0;
  return count > 0 ? (size_t)count : 0;
}

void say_text(const char *path) {
  char text[512];
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return say_errno(errno);
  ssize_t count = read(fd, text, sizeof text);
  if (count < 0)
    say_errno(errno);
  else
    say_bytes(text, (size_t)count);
  close(fd);
}

// Numbers of processes, inodes, pipes and terminals differ between two runs.
static void copy_without_numbers(char *to, const char *from) {
  size_t kept = strncmp(from, "/dev/pts/", 9) ? 1 : 0; // digits after a slash that are no number of a process
  for (char before = '/'; *from; before = *from++) {
    size_t digits = strspn(from, "0123456789");
    if (digits > (before == '/' ? kept : 0) && (before == '/' || before == '#' || before == '[')) {
      *to++ = 'N';
      from += digits - 1;
    } else
      *to++ = *from;
  }
  *to = 0;
}

void say_name(const char *name) {
  char text[1200];
  if (strlen(name) >= sizeof text) return say("too long");
  copy_without_numbers(text, name);
  say("%s", text);
}

void say_link(const char *path) {
  char link[1200], here[1024];
  ssize_t length = readlink(path, link, sizeof link - 1);
  if (length < 0) return say_errno(errno);
  link[length] = 0;
  size_t prefix = syscall(SYS_getcwd, here, sizeof here) > 0 ? strlen(here) : 0;
  say("->");
  if (prefix <= 1 || strncmp(link, here, prefix)) return say_name(link);
  link[prefix - 1] = '.';
  say_name(link + prefix - 1);
}

enum { MEMORY_DEVICES = 1 };

static const char *kind(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "dir";
    case S_IFLNK:
      return "link";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "char";
    case S_IFBLK:
      return "block";
    default:
      return "anonymous";
  }
}

int shown(int fd) {
  if (fd < 0) return say_errno(errno), fd;
  char path[64];
  struct statx file = {0}, here = {0};
  say("%o%s", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "");
  statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &file);
  statx(AT_FDCWD, ".", 0, STATX_MNT_ID, &here);
  say("%s %04o", kind(file.stx_mode), file.stx_mode & 07777);
  // A runtime may give /dev/null, which can be the host's own, to the user it starts a container for.
  if (file.stx_rdev_major != MEMORY_DEVICES) say("%u:%u", file.stx_uid, file.stx_gid);
  if (S_ISREG(file.stx_mode)) say("%llu bytes %u links", (unsigned long long)file.stx_size, file.stx_nlink);
  say("%s at %ld", file.stx_mnt_id == here.stx_mnt_id ? "here" : "elsewhere", (long)lseek(fd, 0, SEEK_CUR));
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  say_link(path);
  return fd;
}

void say_exit(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) < 0)
    say_errno(errno);
  else if (WIFEXITED(status))
    say("exit %d", WEXITSTATUS(status));
  else
    say("killed %s%s", sigabbrev_np(WTERMSIG(status)), WCOREDUMP(status) ? " core" : "");
}

void make(const char *path, mode_t mode, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode)) {
    say("cannot make %s", path);
    _exit(4);
  }
  close(fd);
}

void copy_self(const char *path, mode_t mode) {
  int from = open(SELF, O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
  char block[65536];
  ssize_t count;
  while ((count = read(from, block, sizeof block)) > 0)
    if (write(to, block, (size_t)count) != count) count = -1;
  if (count < 0 || fchmod(to, mode)) {
    say("cannot copy to %s", path);
    _exit(4);
  }
  close(from);
  close(to);
}

int count_fds(void) {
  DIR *folder = opendir("/proc/self/fd");
  int count = -1; // the folder's own descriptor
  while (folder && readdir(folder)) count++;
  closedir(folder);
  return count - 2; // `.` and `..`
}

pid_t child_of(void (*run)(void)) {
  pid_t child = fork();
  if (child == 0) {
    run();
    _exit(0);
  }
  return child;
}

static void *thread(void *run) { return ((void (*)(void))(uintptr_t)run)(), NULL; }

void run_thread(void (*run)(void)) {
  pthread_t id;
  pthread_create(&id, NULL, thread, (void *)(uintptr_t)run);
  pthread_join(id, NULL);
}

pid_t thread_id(void) { return (pid_t)syscall(SYS_gettid); }

void execute(char *const argv[]) {
  pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv);
    say_errno(errno);
    _exit(99);
  }
  say_exit(child);
}

void become(uid_t uid, gid_t gid) {
  if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) say("cannot become %u", uid);
}

void keep_capabilities(uint32_t low) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{low, low, 0}, {0, 0, 0}};
  attempt("capset", syscall(SYS_capset, &header, data));
}

void drop_effective_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  attempt("capget", syscall(SYS_capget, &header, data));
  data[0].effective = data[1].effective = 0;
  attempt("capset", syscall(SYS_capset, &header, data));
}

void nap(int milliseconds) {
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

int within(int milliseconds, int (*condition)(void)) {
  for (; !condition(); milliseconds -= 2) {
    if (milliseconds <= 0) return 0;
    nap(2);
  }
  return 1;
}

static int report_to;

void report_through(int fd) { report_to = fd; }

void tell(const char *word) {
  if (write(report_to, word, strlen(word)) < 0) _exit(8);
}

void tell_of_signal(int number) {
  (void)number;
  tell("handled ");
}

void say_reports(int reports, const char *word) {
  char text[256] = "";
  size_t length = 0;
  struct pollfd ready = {reports, POLLIN, 0};
  while (!strstr(text, word) && poll(&ready, 1, PATIENCE) > 0) {
    ssize_t count = read(reports, text + length, sizeof text - 1 - length);
    if (count <= 0) break;
    text[length += (size_t)count] = 0;
  }
  say("[%s]%s", text, strstr(text, word) ? "" : " IN VAIN");
}

static volatile sig_atomic_t ticks;

static void tick(int number) { ticks += number != 0; }

void start_ticks(int microseconds) {
  sigaction(SIGALRM, &(struct sigaction){.sa_handler = tick, .sa_flags = SA_RESTART}, NULL);
  setitimer(ITIMER_REAL, &(struct itimerval){{0, microseconds}, {0, microseconds}}, NULL);
}

int stop_ticks(void) {
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
  return ticks > 0;
}

void say_failed(int failed, int calls) {
  if (failed == 0 || failed > calls / 20)
    say("%d failed", failed);
  else
    say("few failed");
}

// SPDX-License-Identifier: Apache-2.0
// serving CALLS [own|user]: serves a file system by a program that opens a file of its own for each answer, in a user namespace
// of its own if that is said; makes calls there, and prints the microseconds that half of them take: of opens, and of new
// folders. Of a file system that is one user's own it prints what that user's opens come to.
#include "served.h"
#include "workload.h"
#include <sys/sysmacros.h>

enum { USER = 1000, ROOT = FUSE_ROOT_ID, FIRST_FOLDER = 100, BEFORE = 5, MOST = 1000 };

#define WHERE "/tmp/serving"
#define DEVICE "/tmp/fuse"

// Of what nobody may remember: each call has to ask.
static struct fuse_entry_out entry(uint64_t node) {
  int is_folder = node == ROOT || node >= FIRST_FOLDER;
  return (struct fuse_entry_out){.nodeid = node, .attr = {.ino = node, .mode = is_folder ? S_IFDIR | 0755 : S_IFREG | 0644, .nlink = 1}};
}

static void answer(const struct fuse_in_header *request) {
  static uint64_t next = FIRST_FOLDER;
  const char *name = (const char *)(request + 1);
  int own = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
  if (own >= 0) close(own);
  switch (request->opcode) {
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = entry(ROOT + 1);
      if (strcmp(name, "file")) return reply(request, -ENOENT, NULL, 0);
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_MKDIR: {
      struct fuse_entry_out out = entry(next++);
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr = entry(request->nodeid).attr};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_STATFS: {
      struct fuse_statfs_out out = {0};
      return reply(request, 0, &out, sizeof out);
    }
    default: return reply_as_any(request);
  }
}

static int open_file(long index) {
  (void)index;
  int fd = open(WHERE "/file", O_RDONLY);
  return fd >= 0 ? close(fd) : -1;
}

static int make_folder(long index) {
  char name[64];
  snprintf(name, sizeof name, WHERE "/%ld", index);
  return mkdir(name, 0755);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int by_length(const void *one, const void *other) {
  double difference = *(const double *)one - *(const double *)other;
  return (difference > 0) - (difference < 0);
}

// Half of all calls take no longer.
static int measure(int (*call)(long index), long calls) {
  double times[MOST];
  for (long index = -BEFORE; index < calls; index++) {
    double start = now();
    if (call(index)) return failed("call");
    if (index >= 0) times[index] = now() - start;
  }
  qsort(times, calls, sizeof *times, by_length);
  printf("%.0f\n", times[calls / 2]);
  return 0;
}

// What a user gets who alone may look at the file system.
static int by_its_user(void) {
  static const char *const NAMES[] = {WHERE, WHERE "/", WHERE "/file"};
  if (setresgid(USER, USER, USER) || setresuid(USER, USER, USER)) return failed("setresuid");
  for (int index = 0; index < 3; index++) puts(open(NAMES[index], O_RDONLY) >= 0 ? "ok" : strerrorname_np(errno));
  return 0;
}

int main(int argc, char **argv) {
  long calls = number(argc, argv, 1, 100);
  if (calls < 1 || calls > MOST) return 2;
  if (mknod(DEVICE, S_IFCHR | 0666, makedev(10, 229))) return failed("make a device");
  device = open(DEVICE, O_RDWR | O_CLOEXEC);
  if (device < 0) return failed("open a device");
  int of_user = argc > 2 && strcmp(argv[2], "user") == 0;
  if (argc > 2 && !of_user) {
    if (enter_own_users()) return 1;
    device = open(DEVICE, O_RDWR | O_CLOEXEC);
  }
  if (of_user ? mount_served(WHERE, USER, "") : mount_served(WHERE, 0, ",allow_other")) return 1;
  pid_t server = fork();
  if (server == 0) serve(answer);
  int bad = of_user ? by_its_user() : measure(open_file, calls) || measure(make_folder, calls);
  fflush(stdout);
  if (!of_user) kill(server, SIGKILL);
  return bad;
}

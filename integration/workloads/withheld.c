// SPDX-License-Identifier: Apache-2.0
// withheld path|argument: processes that are traced by their parent execute what they must not, /public/program that is
// exchanged for /banned/program, or the argument `--benign` for `--banned`. They get a file that a file system in a user
// namespace of its own never serves, to hold up with who looks at them (`withholding`).
#include "workload.h"
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { FILE_NODE = FUSE_ROOT_ID + 1, PAGE = 4096, ATTEMPTS = 15, TASKS = 30, GAP = 100000, LIFE = 3, EXCHANGERS = 4, SERVED = 9 };

#define WHERE "/tmp/withheld"

static int device;
static volatile char *word;

static int failed(const char *what) {
  perror(what);
  return 1;
}

static void reply(const struct fuse_in_header *request, int error, const void *data, size_t size) {
  struct fuse_out_header header = {.len = sizeof header + size, .error = error, .unique = request->unique};
  struct iovec parts[] = {{&header, sizeof header}, {(void *)data, size}};
  if (writev(device, parts, 2) < 0 && errno != ENOENT) _exit(failed("reply"));
}

static void answer(const struct fuse_in_header *request) {
  static const struct fuse_attr FOLDER = {.ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0755, .nlink = 2};
  static const struct fuse_attr WITHHELD = {.ino = FILE_NODE, .mode = S_IFREG | 0644, .nlink = 1, .size = PAGE};
  switch (request->opcode) {
    case FUSE_INIT: {
      struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = {.nodeid = FILE_NODE, .attr = WITHHELD};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr = request->nodeid == FILE_NODE ? WITHHELD : FOLDER};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_OPEN: {
      struct fuse_open_out out = {0};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE: return reply(request, 0, NULL, 0);
    case FUSE_READ:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return; // have no answer
    default: return reply(request, -ENOSYS, NULL, 0);
  }
}

static void serve(void) {
  static _Alignas(struct fuse_in_header) char request[FUSE_MIN_READ_BUFFER];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  while (read(device, request, sizeof request) > 0 || errno == EINTR || errno == EAGAIN) answer((const void *)request);
  _exit(0);
}

// In a user namespace of its own, where anybody may mount it.
static pid_t start_serving(void) {
  char own_user[32], own_group[32];
  sprintf(own_user, "0 %d 1", getuid());
  sprintf(own_group, "0 %d 1", getgid());
  const char *const MAPS[][2] = {{"/proc/self/setgroups", "deny"}, {"/proc/self/uid_map", own_user}, {"/proc/self/gid_map", own_group}};
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) exit(failed("unshare"));
  for (int index = 0; index < 3; index++) {
    int map = open(MAPS[index][0], O_WRONLY | O_CLOEXEC);
    if (write(map, MAPS[index][1], strlen(MAPS[index][1])) < 0) exit(failed(MAPS[index][0]));
    close(map);
  }
  mkdir(WHERE, 0755);
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  char options[99];
  sprintf(options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
  if (mount("withheld", WHERE, "fuse", 0, options)) exit(failed("mount"));
  pid_t server = fork();
  if (server == 0) serve();
  // Nobody who waits for an answer may keep the device, which ends with the server.
  close(device);
  return server;
}

static void exchange(const char *sides) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int side = 0;; side ^= 8) *(volatile uint64_t *)word = *(uint64_t *)(sides + side);
}

// More of them than there are processors, so that whoever looks has to wait for one.
static void start_exchanging(int of_path, pid_t exchangers[EXCHANGERS]) {
  const char *sides = of_path ? "/public//banned/" : "--benign--banned";
  word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  strcpy((char *)word, of_path ? "/public/program" : "--benign");
  for (int index = 0; index < EXCHANGERS; index++)
    if ((exchangers[index] = fork()) == 0) exchange(sides);
}

static pid_t start(int of_path, const int gate[2]) {
  pid_t child = fork();
  if (child != 0) return child;
  char byte;
  close(gate[1]);
  read(gate[0], &byte, 1);
  char *path = of_path ? (char *)word : "/public/program";
  execv(path, (char *[]){"program", of_path ? "--other" : (char *)word, NULL});
  _exit(127);
}

// Many at once.
static int start_all(int of_path) {
  int gate[2];
  if (pipe2(gate, O_CLOEXEC)) return failed("pipe");
  for (int task = 0; task < TASKS; task++) {
    pid_t child = start(of_path, gate);
    if (ptrace(PTRACE_SEIZE, child, NULL, NULL)) return failed("trace");
  }
  close(gate[1]), close(gate[0]);
  return 0;
}

int main(int argc, char **argv) {
  int of_path = argc > 1 && strcmp(argv[1], "path") == 0;
  pid_t server = start_serving(), exchangers[EXCHANGERS];
  start_exchanging(of_path, exchangers);
  int served = open(WHERE "/file", O_RDONLY);
  if (served < 0 || dup2(served, SERVED) != SERVED) return failed("open");
  for (int attempt = 0; attempt < ATTEMPTS; attempt++, usleep(GAP))
    if (start_all(of_path)) return 1;
  for (int index = 0; index < EXCHANGERS; index++) kill(exchangers[index], SIGKILL);
  sleep(LIFE + 1);
  kill(server, SIGKILL);
  while (waitpid(-1, NULL, __WALL) > 0) {}
  return 0;
}

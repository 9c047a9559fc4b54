// SPDX-License-Identifier: Apache-2.0
// withheld path|argument: processes that are traced by their parent execute what they must not, /public/program that is
// exchanged for /banned/program, or the argument `--benign` for `--banned`. They get a file that a file system in a user
// namespace of its own never serves, to hold up with who looks at them (`withholding`).
#include "served.h"
#include "workload.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

enum { FILE_NODE = FUSE_ROOT_ID + 1, PAGE = 4096, ATTEMPTS = 15, TASKS = 30, GAP = 100000, LIFE = 3, EXCHANGERS = 4, SERVED = 9 };

#define WHERE "/tmp/withheld"

static volatile char *word;

static void answer(const struct fuse_in_header *request) {
  static const struct fuse_attr FOLDER = {.ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0755, .nlink = 2};
  static const struct fuse_attr WITHHELD = {.ino = FILE_NODE, .mode = S_IFREG | 0644, .nlink = 1, .size = PAGE};
  switch (request->opcode) {
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = {.nodeid = FILE_NODE, .attr = WITHHELD};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr = request->nodeid == FILE_NODE ? WITHHELD : FOLDER};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_READ: return; // for ever
    default: return reply_as_any(request);
  }
}

static pid_t start_serving(void) {
  if (enter_own_users()) exit(1);
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (mount_served(WHERE, 0, "")) exit(1);
  pid_t server = fork();
  if (server == 0) prctl(PR_SET_PDEATHSIG, SIGKILL), serve(answer);
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

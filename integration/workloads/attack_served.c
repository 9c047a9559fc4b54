// SPDX-License-Identifier: Apache-2.0
// attack_served SECONDS ENOUGH KIND: serves a file system that tells the supervisor other things than the kernel.
//
// A program on it that names a loader, which the kernel starts in the program's place, and that is not there for anybody
// outside of the container who asks what it is (carrier).
#include "attack.h"
#include "carrier.h"
#include "served.h"
#include <sys/sysmacros.h>

enum { TIMES = 20, ROOT = FUSE_ROOT_ID, PROGRAM };

#define WHERE "/tmp/served"

static Carrier program;

static struct fuse_attr attributes(uint64_t node) {
  if (node == ROOT) return (struct fuse_attr){.ino = ROOT, .mode = S_IFDIR | 0755, .nlink = 2};
  return (struct fuse_attr){.ino = PROGRAM, .mode = S_IFREG | 0755, .nlink = 1, .size = sizeof program};
}

static void answer(const struct fuse_in_header *request) {
  // Who asks from another namespace of processes has no number here.
  int is_outsider = request->pid == 0;
  switch (request->opcode) {
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = {.nodeid = PROGRAM, .attr = attributes(PROGRAM)};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr = attributes(request->nodeid)};
      if (request->nodeid == PROGRAM && is_outsider) return reply(request, -ENOENT, NULL, 0);
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_READ: {
      const struct fuse_read_in *wanted = (const void *)(request + 1);
      uint64_t at = wanted->offset < sizeof program ? wanted->offset : sizeof program, left = sizeof program - at;
      return reply(request, 0, (const char *)&program + at, left < wanted->size ? left : wanted->size);
    }
    default: return reply_as_any(request);
  }
}

static pid_t start(void) {
  pid_t child = fork();
  if (child != 0) return child;
  execl(WHERE "/program", "program", NULL);
  _exit(127);
}

int main(int argc, char **argv) {
  begin(argc, argv);
  require(strcmp(word(argc, argv, 0), "carrier") == 0, "choose what to attack with");
  program = carrier();
  require(mknod("/tmp/fuse", S_IFCHR | 0600, makedev(10, 229)) == 0, "make a device");
  device = open("/tmp/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) return unavailable("the kernel has no FUSE");
  require(mount_served(WHERE, 0, "") == 0, "mount");
  if (fork() == 0) serve(answer);
  for (int time = 0; time < TIMES && !is_over(); time++) count(executed(start));
  return finish();
}

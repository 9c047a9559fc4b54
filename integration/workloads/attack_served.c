// SPDX-License-Identifier: Apache-2.0
// attack_served SECONDS ENOUGH KIND: serves a file system that tells the supervisor other things than the kernel.
//
// A program on it that names a loader, which the kernel starts in the program's place, and that is not there for anybody
// outside of the container who asks what it is (carrier).
#include "attack.h"
#include "carrier.h"
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

enum { TIMES = 20, ROOT = FUSE_ROOT_ID, PROGRAM };

#define WHERE "/tmp/served"

static Carrier program;
static int device;

static void reply(const struct fuse_in_header *request, int error, const void *data, size_t size) {
  struct fuse_out_header header = {.len = sizeof header + size, .error = error, .unique = request->unique};
  struct iovec parts[] = {{&header, sizeof header}, {(void *)data, size}};
  // Nobody waits any more for what was interrupted.
  require(writev(device, parts, 2) > 0 || errno == ENOENT, "reply");
}

static struct fuse_attr attributes(uint64_t node) {
  if (node == ROOT) return (struct fuse_attr){.ino = ROOT, .mode = S_IFDIR | 0755, .nlink = 2};
  return (struct fuse_attr){.ino = PROGRAM, .mode = S_IFREG | 0755, .nlink = 1, .size = sizeof program};
}

static void answer(const struct fuse_in_header *request) {
  // Who asks from another namespace of processes has no number here.
  int is_outsider = request->pid == 0;
  switch (request->opcode) {
    case FUSE_INIT: {
      struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = {.nodeid = PROGRAM, .attr = attributes(PROGRAM)};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_GETATTR: {
      struct fuse_attr_out out = {.attr = attributes(request->nodeid)};
      if (request->nodeid == PROGRAM && is_outsider) return reply(request, -ENOENT, NULL, 0);
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_OPEN: {
      struct fuse_open_out out = {0};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_READ: {
      const struct fuse_read_in *wanted = (const void *)(request + 1);
      uint64_t at = wanted->offset < sizeof program ? wanted->offset : sizeof program, left = sizeof program - at;
      return reply(request, 0, (const char *)&program + at, left < wanted->size ? left : wanted->size);
    }
    case FUSE_RELEASE:
    case FUSE_FLUSH: return reply(request, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return; // have no answer
    default: return reply(request, -ENOSYS, NULL, 0);
  }
}

static void serve(void) {
  static _Alignas(struct fuse_in_header) char request[FUSE_MIN_READ_BUFFER];
  for (;;) {
    if (read(device, request, sizeof request) > 0) answer((const void *)request);
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
  mkdir(WHERE, 0755);
  require(mknod("/tmp/fuse", S_IFCHR | 0600, makedev(10, 229)) == 0, "make a device");
  device = open("/tmp/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) return unavailable("the kernel has no FUSE");
  char options[99];
  sprintf(options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
  require(mount("served", WHERE, "fuse", 0, options) == 0, "mount");
  if (fork() == 0) serve();
  for (int time = 0; time < TIMES && !is_over(); time++) count(executed(start));
  return finish();
}

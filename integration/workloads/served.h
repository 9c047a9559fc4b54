// SPDX-License-Identifier: Apache-2.0
// A file system that a workload serves itself (linux/fuse.h): what any of them answers alike.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int device = -1;

static inline int failed(const char *what) {
  perror(what);
  return 1;
}

// Nobody waits any more for what was interrupted.
static inline void reply(const struct fuse_in_header *request, int error, const void *data, size_t size) {
  struct fuse_out_header header = {.len = sizeof header + size, .error = error, .unique = request->unique};
  struct iovec parts[] = {{&header, sizeof header}, {(void *)data, size}};
  if (writev(device, parts, 2) < 0 && errno != ENOENT) _exit(failed("reply"));
}

static inline void reply_as_any(const struct fuse_in_header *request) {
  switch (request->opcode) {
    case FUSE_INIT: {
      struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_OPEN: {
      struct fuse_open_out out = {0};
      return reply(request, 0, &out, sizeof out);
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE: return reply(request, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return; // have no answer
    default: return reply(request, -ENOSYS, NULL, 0);
  }
}

// Until there is no file system any more. A name in a request ends where that does.
static inline _Noreturn void serve(void (*answer)(const struct fuse_in_header *request)) {
  static _Alignas(struct fuse_in_header) char request[FUSE_MIN_READ_BUFFER + 1];
  for (ssize_t length; (length = read(device, request, sizeof request - 1)) > 0 || errno == EINTR || errno == EAGAIN;) {
    if (length <= 0) continue;
    request[length] = 0;
    answer((const void *)request);
  }
  _exit(0);
}

// Where anybody may mount it: the kernel wants the device to be opened in the user namespace of the mount.
static inline int enter_own_users(void) {
  char own_user[32], own_group[32];
  sprintf(own_user, "0 %d 1", getuid());
  sprintf(own_group, "0 %d 1", getgid());
  const char *const maps[][2] = {{"/proc/self/setgroups", "deny"}, {"/proc/self/uid_map", own_user}, {"/proc/self/gid_map", own_group}};
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) return failed("unshare");
  for (int index = 0; index < 3; index++) {
    int map = open(maps[index][0], O_WRONLY | O_CLOEXEC);
    if (write(map, maps[index][1], strlen(maps[index][1])) < 0) return failed(maps[index][0]);
    close(map);
  }
  return 0;
}

static inline int mount_served(const char *where, int user, const char *options) {
  char all[128];
  sprintf(all, "fd=%d,rootmode=40000,user_id=%d,group_id=%d%s", device, user, user, options);
  mkdir(where, 0755);
  return mount("served", where, "fuse", 0, all) ? failed("mount") : 0;
}

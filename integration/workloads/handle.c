// SPDX-License-Identifier: Apache-2.0
// handle [nested]: connects to itself, from a user namespace of the caller's own if told so, and tries to go by the other end's
// handle of who connected (SO_PEERPIDFD) to where that lives. Prints `handle NAMESPACE stays` or `leaves` for each kind.
#include "workload.h"
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static ino_t namespace(const char *name) {
  char path[64];
  struct stat facts = {0};
  snprintf(path, sizeof path, "/proc/self/ns/%s", name);
  stat(path, &facts);
  return facts.st_ino;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int flag;
  } all[] = {{"net", CLONE_NEWNET}, {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC}, {"cgroup", CLONE_NEWCGROUP},
             {"time_for_children", CLONE_NEWTIME}, {"pid_for_children", CLONE_NEWPID}, {"mnt", CLONE_NEWNS}, {"user", CLONE_NEWUSER}};
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/listener"};
  int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1)) return 1;
  if (argc > 1 && strcmp(argv[1], "nested") == 0) {
    pid_t child = fork();
    if (child == 0) _exit(unshare(CLONE_NEWUSER) || connect(client, (void *)&address, sizeof address));
    int status = 1;
    waitpid(child, &status, 0);
    if (status) return 1;
  } else if (connect(client, (void *)&address, sizeof address)) {
    return 1;
  }
  int accepted = accept(listener, NULL, NULL), handle = -1;
  socklen_t size = sizeof handle;
  if (getsockopt(accepted, SOL_SOCKET, SO_PEERPIDFD, &handle, &size)) {
    puts("no handle");
    return 0;
  }
  for (unsigned kind = 0; kind < sizeof all / sizeof *all; kind++) {
    ino_t before = namespace(all[kind].name);
    int result = setns(handle, all[kind].flag);
    // Without its procfs nobody could see where it is.
    struct stat root = {0};
    if (all[kind].flag == CLONE_NEWNS && result == 0 && stat("/bin/handle", &root)) printf("handle mnt leaves\n");
    else printf("handle %s %s\n", all[kind].name, before == namespace(all[kind].name) ? "stays" : "leaves");
  }
  return 0;
}

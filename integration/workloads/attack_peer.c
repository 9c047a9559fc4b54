// SPDX-License-Identifier: Apache-2.0
// attack_peer SECONDS ENOUGH WHO: connects to itself over a Unix socket, asks for a handle of the process at the other end,
// and takes that process' descriptors by it. Where somebody else connects in the caller's stead, these are not the caller's.
//
// WHO: as it was started (own), or as root of a user namespace of its own (namespace), which has all rights over what lives
// in it.
#include "attack.h"
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { DESCRIPTORS = 16 };

static struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/peer"};

static void write_file(const char *name, const char *text) {
  int fd = open(name, O_WRONLY);
  require(fd >= 0 && write(fd, text, strlen(text)) > 0, name);
  close(fd);
}

static void become_root_of_own_namespace(void) {
  char map[32];
  uid_t user = getuid();
  snprintf(map, sizeof map, "0 %u 1", user);
  require(unshare(CLONE_NEWUSER) == 0, "unshare");
  if (user == 0) return; // needs no name there to have all capabilities
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", map);
  write_file("/proc/self/gid_map", map);
}

// Its number is 0 where it lives in no namespace of ours.
static int is_one_of_us(int process) {
  char name[64], text[512] = {0};
  snprintf(name, sizeof name, "/proc/self/fdinfo/%d", process);
  int fd = open(name, O_RDONLY);
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  const char *line = length > 0 ? strstr(text, "\nPid:") : NULL;
  return line && atoi(line + strlen("\nPid:")) > 0;
}

static Outcome take_from(int process) {
  Outcome outcome = HARMLESS;
  for (int number = 0; number < DESCRIPTORS; number++) {
    int taken = (int)syscall(SYS_pidfd_getfd, process, number, 0);
    if (taken < 0) continue;
    outcome = SUCCESS;
    close(taken);
  }
  return outcome;
}

static Outcome connect_and_take(int listener) {
  int own = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), process = -1;
  socklen_t length = sizeof process;
  int connected = connect(own, (struct sockaddr *)&address, sizeof address);
  int other = connected == 0 ? accept(listener, NULL, NULL) : -1;
  Outcome outcome = NOTHING;
  if (other >= 0 && getsockopt(other, SOL_SOCKET, SO_PEERPIDFD, &process, &length) == 0)
    outcome = is_one_of_us(process) ? HARMLESS : take_from(process);
  if (process >= 0) close(process);
  if (other >= 0) close(other);
  close(own);
  return outcome;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  if (strcmp(word(argc, argv, 0), "namespace") == 0) become_root_of_own_namespace();
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), process;
  socklen_t length = sizeof process;
  if (getsockopt(listener, SOL_SOCKET, SO_PEERPIDFD, &process, &length) != 0 && errno == ENOPROTOOPT)
    return unavailable("the kernel gives no handle of a peer");
  unlink(address.sun_path);
  require(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
  require(listen(listener, 8) == 0, "listen");
  while (!is_over()) count(connect_and_take(listener));
  return finish();
}

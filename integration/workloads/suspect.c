// SPDX-License-Identifier: Apache-2.0
// suspect DEED [WORD..]: does one thing that the shipped rules report, harmlessly: most of these calls fail, and are
// reported all the same. Prints nothing; exits with 0 where the deed was attempted.
#include "workload.h"
#include <arpa/inet.h>
#include <pty.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { BPF_PROG_LOAD = 5 };

static char *const SHELL[] = {"/bin/sh", "-c", "true", NULL};

// A socket that listens has a place in the tables of /proc/net, and reading from it fails at once.
static void shell_on_socket(void) {
  struct sockaddr_in any = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 1) || dup2(fd, 0) < 0) perror("socket");
  spawn(SHELL);
}

static void shell_on_terminal(void) {
  int primary;
  pid_t child = forkpty(&primary, NULL, NULL, NULL);
  if (child == 0) execv(SHELL[0], SHELL);
  waitpid(child, NULL, 0);
}

static void connect_to(const char *address, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  inet_pton(AF_INET, address, &to.sin_addr);
  connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&to, sizeof to);
}

static void connect_to_path(const char *path) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strncpy(to.sun_path, path, sizeof to.sun_path - 1);
  connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to);
}

// Runs the program at `path` from an anonymous memory file.
static void from_memory(const char *path) {
  static char image[4 << 20];
  int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("image", MFD_CLOEXEC);
  ssize_t size = read(from, image, sizeof image);
  if (size <= 0 || write(to, image, (size_t)size) != size) perror("copying to memory");
  char *argv[] = {"image", NULL}, *environment[] = {NULL};
  pid_t child = fork();
  if (child == 0) {
    syscall(SYS_execveat, to, "", argv, environment, AT_EMPTY_PATH);
    _exit(127);
  }
  waitpid(child, NULL, 0);
}

int main(int argc, char **argv) {
  const char *deed = argc > 1 ? argv[1] : "", *word = argc > 2 ? argv[2] : "", *more = argc > 3 ? argv[3] : "";
  if (!strcmp(deed, "shell")) return !spawn(SHELL);
  if (!strcmp(deed, "socket-shell")) shell_on_socket();
  else if (!strcmp(deed, "terminal-shell")) shell_on_terminal();
  else if (!strcmp(deed, "connect")) connect_to(word, more);
  else if (!strcmp(deed, "connect-path")) connect_to_path(word);
  else if (!strcmp(deed, "memory")) from_memory(word);
  else if (!strcmp(deed, "module")) syscall(SYS_init_module, NULL, 0, "");
  else if (!strcmp(deed, "bpf")) syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0);
  else if (!strcmp(deed, "unshare")) unshare(CLONE_NEWUSER | CLONE_NEWPID);
  else if (!strcmp(deed, "setns")) setns(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), CLONE_NEWNET);
  else if (!strcmp(deed, "mount")) mount("none", "/tmp", "tmpfs", 0, NULL);
  else if (!strcmp(deed, "ptrace")) ptrace(PTRACE_SEIZE, 1, NULL, NULL);
  else if (!strcmp(deed, "handle")) syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY);
  else if (!strcmp(deed, "ring")) syscall(SYS_io_uring_setup, 0, NULL);
  else return 2;
  return 0;
}

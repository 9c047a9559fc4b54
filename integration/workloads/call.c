// SPDX-License-Identifier: Apache-2.0
// call VERB ARGUMENT..: makes the one call that the verb names, and exits with 0 where it had the result the verb wants.
// Rules look at the names of programs, so copies of this one stand in for programs that a root filesystem lacks.
#include "workload.h"
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

struct verb {
  const char *name;
  int arguments; // at least
  int (*make)(char **arguments);
};

static int report(const char *what, int holds) {
  if (!holds) perror(what);
  return holds;
}

static struct sockaddr_in address(char **arguments) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
  if (inet_pton(AF_INET, arguments[0], &address.sin_addr) != 1) fprintf(stderr, "%s is no address\n", arguments[0]);
  return address;
}

// connect tcp|udp ADDRESS PORT: does not wait for the peer.
static int make_connect(char **arguments) {
  int is_tcp = strcmp(arguments[0], "tcp") == 0;
  struct sockaddr_in peer = address(arguments + 1);
  int fd = socket(AF_INET, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int result = connect(fd, (struct sockaddr *)&peer, sizeof peer);
  return report("connect", is_tcp ? result < 0 && errno == EINPROGRESS : result == 0);
}

// send ADDRESS PORT: one datagram from a socket that is not connected.
static int make_send(char **arguments) {
  struct sockaddr_in peer = address(arguments);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return report("sendto", sendto(fd, "x", 1, 0, (struct sockaddr *)&peer, sizeof peer) == 1);
}

// listen ADDRESS PORT
static int make_listen(char **arguments) {
  struct sockaddr_in own = address(arguments);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return report("listen", bind(fd, (struct sockaddr *)&own, sizeof own) == 0 && listen(fd, 1) == 0);
}

// receive ADDRESS PORT: a datagram with the first bytes of a Java class, which it sends itself.
static int make_receive(char **arguments) {
  struct sockaddr_in own = address(arguments);
  int from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  char buffer[16];
  struct sockaddr_in peer;
  socklen_t length = sizeof peer;
  int bound = bind(to, (struct sockaddr *)&own, sizeof own) == 0;
  int sent = bound && sendto(from, "\xca\xfe\xba\xbe", 4, 0, (struct sockaddr *)&own, sizeof own) == 4;
  return report("recvfrom", sent && recvfrom(to, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &length) == 4);
}

// redirect ADDRESS PORT: makes a connected socket the standard input, as a reverse shell begins.
static int make_redirect(char **arguments) {
  struct sockaddr_in peer = address(arguments);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  return report("redirect", connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0 && dup2(fd, 0) == 0);
}

static int make_packet(char **arguments) {
  (void)arguments;
  return report("socket", socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
}

// open read|write FILE
static int make_open(char **arguments) {
  int flags = strcmp(arguments[0], "write") == 0 ? O_WRONLY : O_RDONLY;
  return report(arguments[1], open(arguments[1], flags | O_CLOEXEC) >= 0);
}

// create MODE FILE
static int make_create(char **arguments) {
  int mode = strtol(arguments[0], NULL, 8);
  return report(arguments[1], open(arguments[1], O_WRONLY | O_CREAT | O_CLOEXEC, mode) >= 0);
}

// late SECONDS FILE: opens the file after a while.
static int make_late(char **arguments) {
  struct timespec left = {.tv_sec = atol(arguments[0])};
  while (nanosleep(&left, &left) < 0 && errno == EINTR) {}
  return report(arguments[1], open(arguments[1], O_RDONLY | O_CLOEXEC) >= 0);
}

// spawn PROGRAM ARGUMENT..
static int make_spawn(char **arguments) { return spawn(arguments); }

// as UID PROGRAM ARGUMENT..: becomes that user before it spawns the program.
static int make_as(char **arguments) {
  return report("setuid", setuid(atoi(arguments[0])) == 0) && spawn(arguments + 1);
}

// setuid UID
static int make_setuid(char **arguments) { return report("setuid", setuid(atoi(arguments[0])) == 0); }

// memory PROGRAM ARGUMENT..: executes the program from a file that exists in memory only.
static int make_memory(char **arguments) {
  int from = open(arguments[0], O_RDONLY | O_CLOEXEC), to = memfd_create("payload", MFD_CLOEXEC);
  static char buffer[1 << 16];
  for (ssize_t bytes; (bytes = read(from, buffer, sizeof buffer)) > 0;)
    if (write(to, buffer, bytes) != bytes) return report("write", 0);
  syscall(SYS_execveat, to, "", arguments, environ, AT_EMPTY_PATH);
  return report("execveat", 0);
}

static int make_attach(char **arguments) {
  (void)arguments;
  pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  int holds = report("PTRACE_ATTACH", ptrace(PTRACE_ATTACH, child, NULL, NULL) == 0);
  kill(child, SIGKILL);
  waitpid(child, NULL, __WALL);
  return holds;
}

static int make_traceme(char **arguments) {
  (void)arguments;
  pid_t child = fork();
  if (child == 0) _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
  int status = -1;
  return report("PTRACE_TRACEME", waitpid(child, &status, 0) == child && status == 0);
}

// What is loaded is no module, so that the kernel refuses it; one without modules has no such call.
static int make_module(char **arguments) {
  (void)arguments;
  long result = syscall(SYS_init_module, "no module", 9UL, "");
  return report("init_module", result < 0 && (errno == ENOEXEC || errno == ENOSYS));
}

// What is loaded has no instruction, so that the kernel refuses it.
static int make_bpf(char **arguments) {
  (void)arguments;
  union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER};
  long result = syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  return report("bpf", result < 0 && (errno == E2BIG || errno == EINVAL || errno == EPERM));
}

// Faults of user mode only: any user may have those handled.
static int make_faults(char **arguments) {
  (void)arguments;
  return report("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY) >= 0);
}

static const struct verb VERBS[] = {
    {"connect", 3, make_connect}, {"send", 2, make_send},       {"listen", 2, make_listen},
    {"receive", 2, make_receive}, {"redirect", 2, make_redirect}, {"packet", 0, make_packet}, {"open", 2, make_open},
    {"create", 2, make_create},   {"late", 2, make_late},       {"spawn", 1, make_spawn},
    {"as", 2, make_as},           {"setuid", 1, make_setuid},   {"memory", 1, make_memory},
    {"attach", 0, make_attach},   {"traceme", 0, make_traceme}, {"module", 0, make_module},
    {"bpf", 0, make_bpf},         {"faults", 0, make_faults},
};

int main(int argc, char **argv) {
  for (unsigned index = 0; argc > 1 && index < sizeof VERBS / sizeof *VERBS; index++)
    if (strcmp(argv[1], VERBS[index].name) == 0 && argc - 2 >= VERBS[index].arguments)
      return VERBS[index].make(argv + 2) ? 0 : 1;
  fprintf(stderr, "%s: no such call: %s\n", argv[0], argc > 1 ? argv[1] : "none");
  return 2;
}

// SPDX-License-Identifier: Apache-2.0
// connect: to whom, as whom, and what it says while it waits.
#include "check.h"
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/time.h>

enum { LINGER = 60 }; // long enough to be asleep in the kernel, in milliseconds

static struct sockaddr_in local(uint16_t port) {
  return (struct sockaddr_in){AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
}

static socklen_t named(struct sockaddr_un *address, const char *path) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, strnlen(path, sizeof address->sun_path));
  return sizeof *address;
}

static int server(int type, const void *address, socklen_t length, int backlog) {
  int fd = socket(((const struct sockaddr *)address)->sa_family, type, 0), yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  attempt("bind", bind(fd, address, length));
  if (type == SOCK_STREAM) attempt("listen", listen(fd, backlog));
  return fd;
}

static int unix_server(const char *path, int type, int backlog) {
  struct sockaddr_un address;
  return server(type, &address, named(&address, path), backlog);
}

static int try_unix(const char *path, int type) {
  struct sockaddr_un address;
  int fd = socket(AF_UNIX, type, 0);
  say("[%s]", path);
  attempt("connect", connect(fd, (struct sockaddr *)&address, named(&address, path)));
  return fd;
}

static void to_loopback(void) {
  struct sockaddr_in address = local(0), bound;
  socklen_t length = sizeof bound;
  int listener = server(SOCK_STREAM, &address, sizeof address, 10), fd = socket(AF_INET, SOCK_STREAM, 0);
  getsockname(listener, (struct sockaddr *)&bound, &length);
  attempt("connect", connect(fd, (struct sockaddr *)&bound, sizeof bound));
  attempt("again", connect(fd, (struct sockaddr *)&bound, sizeof bound));
  attempt("accepted", accept(listener, NULL, NULL) < 0 ? -1 : 0);
  attempt("listener", connect(listener, (struct sockaddr *)&bound, sizeof bound));
  close(listener);
  fd = socket(AF_INET, SOCK_STREAM, 0);
  attempt("refused", connect(fd, (struct sockaddr *)&bound, sizeof bound));
  attempt("refused", connect(fd, (struct sockaddr *)&bound, sizeof bound));
}

static void without_blocking(void) {
  struct sockaddr_in address = local(0);
  socklen_t length = sizeof address;
  int listener = server(SOCK_STREAM, &address, sizeof address, 10);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = -1;
  getsockname(listener, (struct sockaddr *)&address, &length);
  attempt("connect", connect(fd, (struct sockaddr *)&address, sizeof address));
  struct pollfd ready = {fd, POLLOUT, 0};
  say("%d %x", poll(&ready, 1, PATIENCE), ready.revents);
  length = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  say("error %d", error);
  attempt("again", connect(fd, (struct sockaddr *)&address, sizeof address));
  attempt("once more", connect(fd, (struct sockaddr *)&address, sizeof address));
  say("%d", accept(listener, NULL, NULL) >= 0);
  close(listener);
  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  attempt("refused", connect(fd, (struct sockaddr *)&address, sizeof address));
  ready = (struct pollfd){fd, POLLOUT, 0};
  say("%d %x", poll(&ready, 1, PATIENCE), ready.revents);
  attempt("again", connect(fd, (struct sockaddr *)&address, sizeof address));
}

static void odd_arguments(void) {
  struct sockaddr_in address = local(9);
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  struct sockaddr_un path;
  char large[200] = {AF_INET};
  int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
  int file = open("/etc", O_RDONLY), handle = open("/etc", O_PATH);
  named(&path, "missing");
  const int fds[] = {tcp, udp, unix_fd, file, handle, -1, 999};
  for (size_t index = 0; index < COUNT(fds); index++) {
    say("[%zu]", index);
    attempt("none", connect(fds[index], NULL, 0));
    attempt("null", connect(fds[index], NULL, sizeof address));
    attempt("unmapped", connect(fds[index], (void *)8, sizeof address));
    attempt("empty", connect(fds[index], (struct sockaddr *)&address, 0));
    attempt("short", connect(fds[index], (struct sockaddr *)&address, 1));
    attempt("family", connect(fds[index], (struct sockaddr *)&address, 2));
    attempt("large", connect(fds[index], (struct sockaddr *)large, sizeof large));
    attempt("negative", connect(fds[index], (struct sockaddr *)&address, -1));
    attempt("six", connect(fds[index], (struct sockaddr *)&six, sizeof six));
    attempt("path", connect(fds[index], (struct sockaddr *)&path, sizeof path));
    attempt("internet", connect(fds[index], (struct sockaddr *)&address, sizeof address));
    address.sin_family = AF_UNSPEC;
    attempt("unspecified", connect(fds[index], (struct sockaddr *)&address, sizeof address));
    address.sin_family = AF_INET;
  }
  struct sockaddr_in broadcast = {AF_INET, htons(9), {INADDR_BROADCAST}, {0}};
  attempt("broadcast", connect(udp, (struct sockaddr *)&broadcast, sizeof broadcast));
}

static void datagrams(void) {
  struct sockaddr_in address = local(0), found;
  socklen_t length = sizeof address;
  int receiver = server(SOCK_DGRAM, &address, sizeof address, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);
  getsockname(receiver, (struct sockaddr *)&address, &length);
  attempt("connect", connect(fd, (struct sockaddr *)&address, sizeof address));
  attempt("again", connect(fd, (struct sockaddr *)&address, sizeof address));
  getpeername(fd, (struct sockaddr *)&found, &length);
  say("%d", found.sin_port == address.sin_port);
  attempt("send", send(fd, "x", 1, 0) < 0 ? -1 : 0);
}

static void to_paths(void) {
  char longest[200], text[200];
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  int stream = unix_server("stream", SOCK_STREAM, 100), datagram = unix_server("datagram", SOCK_DGRAM, 0);
  mkdir("dir", 0755);
  make("file", 0644, "text");
  attempt("link", symlink("../stream", "dir/link"));
  attempt("link", symlink("nowhere", "dangling"));
  attempt("fifo", mkfifo("fifo", 0600));
  close(unix_server("stale", SOCK_STREAM, 1));
  int fd = try_unix("stream", SOCK_STREAM);
  getpeername(fd, (struct sockaddr *)&address, &length);
  say("%s %u", address.sun_path, length);
  length = sizeof address;
  getsockname(fd, (struct sockaddr *)&address, &length);
  say("own %u", length);
  attempt("accept", accept(stream, NULL, NULL) < 0 ? -1 : 0);
  static const char *const NAMES[] = {"stream",   "./stream",  "dir/link",          "dir/../stream",          "stream/", "datagram",
                                      "missing",  "dangling",  "file",              "fifo",                   "dir",     "stale",
                                      "dir/none", "file/none", "/proc/self/cwd/stream", "/proc/thread-self/cwd/stream", ".", "/"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    close(try_unix(NAMES[index], SOCK_STREAM));
    close(try_unix(NAMES[index], SOCK_DGRAM));
    close(try_unix(NAMES[index], SOCK_STREAM | SOCK_NONBLOCK));
  }
  snprintf(text, sizeof text, "%s", "/tmp/semantics/to-paths/");
  memset(longest, '/', sizeof longest);
  memcpy(longest + 108 - strlen(text) - 6, text, strlen(text));
  memcpy(longest + 108 - 6, "stream", 6);
  longest[108] = 0;
  close(try_unix(longest, SOCK_STREAM)); // without a terminator
  fd = try_unix("datagram", SOCK_DGRAM);
  attempt("send", send(fd, "x", 1, 0) < 0 ? -1 : 0);
  say("%zd", recv(datagram, text, sizeof text, 0));
}

static void try_modes(void) {
  static const char *const NAMES[] = {"none", "read", "write", "closed/socket"};
  for (size_t index = 0; index < COUNT(NAMES); index++) close(try_unix(NAMES[index], SOCK_STREAM));
}

static void to_paths_of_others(void) {
  unix_server("none", SOCK_STREAM, 100), unix_server("read", SOCK_STREAM, 100), unix_server("write", SOCK_STREAM, 100);
  mkdir("closed", 0755);
  unix_server("closed/socket", SOCK_STREAM, 100);
  chmod("none", 0), chmod("read", 0444), chmod("write", 0222), chmod("closed", 0600);
  try_modes();
  if (geteuid() == 0) become(3000, 3000), try_modes();
}

static void abstract_names(void) {
  struct sockaddr_un address = {AF_UNIX, "\0semantics"};
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + 10;
  int listener = server(SOCK_STREAM, &address, length, 10), fd = socket(AF_UNIX, SOCK_STREAM, 0);
  attempt("connect", connect(fd, (struct sockaddr *)&address, length));
  attempt("again", connect(fd, (struct sockaddr *)&address, length));
  attempt("accept", accept(listener, NULL, NULL) < 0 ? -1 : 0);
  fd = socket(AF_UNIX, SOCK_STREAM, 0);
  attempt("longer", connect(fd, (struct sockaddr *)&address, length + 1));
  attempt("empty", connect(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path)));
  attempt("too long", connect(fd, (struct sockaddr *)&address, sizeof address + 1));
}

static void say_peer(int fd, int tells_process, pid_t expected) {
  struct ucred peer = {0};
  gid_t groups[64];
  socklen_t length = sizeof peer, size = sizeof groups;
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
  if (tells_process) return say("process %d", peer.pid == expected);
  say("%u:%u", peer.uid, peer.gid);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
    for (size_t index = 0; index < size / sizeof *groups; index++) say("group %u", groups[index]);
}

static void peers(int tells_process) {
  int listener = unix_server("socket", SOCK_STREAM, 10);
  int fd = try_unix("socket", SOCK_STREAM);
  say_peer(accept(listener, NULL, NULL), tells_process, getpid());
  say_peer(fd, tells_process, getpid());
  chmod("socket", 0777);
  if (geteuid() == 0 && setegid(USER) == 0 && seteuid(USER) == 0) {
    try_unix("socket", SOCK_STREAM);
    say_peer(accept(listener, NULL, NULL), tells_process, getpid());
  }
}

static void credentials_of_peer(void) { peers(0); }
static void process_of_peer(void) { peers(1); }

static void passed_credentials(void) {
  int yes = 1, listener = unix_server("socket", SOCK_STREAM, 10), fd = try_unix("socket", SOCK_STREAM);
  int accepted = accept(listener, NULL, NULL);
  setsockopt(accepted, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
  attempt("send", send(fd, "x", 1, 0) < 0 ? -1 : 0);
  char byte, control[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8)));
  struct iovec piece = {&byte, 1};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  attempt("receive", recvmsg(accepted, &message, 0) < 0 ? -1 : 0);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  struct ucred *sender = header ? (struct ucred *)CMSG_DATA(header) : NULL;
  if (sender) say("%d %d %d", sender->pid == getpid(), sender->uid == getuid(), sender->gid == getgid());
}

// Connects to "full" until its queue is; says how often that was possible, and leaves why it is not any more in errno.
static int fill(void) {
  struct sockaddr_un address;
  socklen_t length = named(&address, "full");
  int filled = 0;
  while (filled < 10 && connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&address, length) == 0) filled++;
  return filled;
}

// A socket whose queue is full, so that the next connection waits.
static int full_unix(void) {
  int listener = unix_server("full", SOCK_STREAM, 0);
  say("filled %d", fill());
  say_errno(errno);
  return listener;
}

static int domain, limit; // of the waiter's socket
static struct sockaddr_in full_port;

// A child that connects to the full queue.
static pid_t waiter(int flags, int *reports) {
  int ends[2];
  if (pipe(ends)) return -1;
  *reports = ends[0];
  pid_t child = fork();
  if (child) return close(ends[1]), child;
  report_through(ends[1]);
  sigaction(SIGUSR1, &(struct sigaction){.sa_handler = tell_of_signal, .sa_flags = flags}, NULL);
  struct sockaddr_un address;
  struct timeval time = {limit / SECOND, limit % SECOND * 1000};
  int fd = socket(domain, SOCK_STREAM, 0);
  if (limit) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  tell("started ");
  int result = domain == AF_UNIX ? connect(fd, (struct sockaddr *)&address, named(&address, "full"))
                                 : connect(fd, (struct sockaddr *)&full_port, sizeof full_port);
  tell(result == 0 ? "connected " : strerrorname_np(errno));
  _exit(0);
}

static pid_t start_waiter(int flags, int *reports) {
  pid_t child = waiter(flags, reports);
  say_reports(*reports, "started ");
  nap(LINGER);
  return child;
}

static void waits_for_queue(void) {
  domain = AF_UNIX;
  int listener = full_unix(), reports;
  pid_t child = start_waiter(0, &reports);
  try_unix("missing", SOCK_STREAM); // is not in the way
  attempt("accept", accept(listener, NULL, NULL) < 0 ? -1 : 0);
  say_reports(reports, "connected ");
  say_exit(child);
}

static void signal_ends_connect(void) {
  domain = AF_UNIX;
  full_unix();
  int reports;
  pid_t child = start_waiter(0, &reports);
  kill(child, SIGUSR1);
  say_reports(reports, "EINTR");
  say_exit(child);
}

static void signal_restarts_connect(void) {
  domain = AF_UNIX;
  int listener = full_unix(), reports;
  pid_t child = start_waiter(SA_RESTART, &reports);
  kill(child, SIGUSR1);
  say_reports(reports, "handled");
  nap(LINGER);
  attempt("accept", accept(listener, NULL, NULL) < 0 ? -1 : 0);
  say_reports(reports, "connected ");
  say_exit(child);
}

static void signal_and_limit(void) {
  domain = AF_UNIX;
  limit = PATIENCE;
  full_unix();
  int reports;
  pid_t child = start_waiter(SA_RESTART, &reports);
  kill(child, SIGUSR1);
  say_reports(reports, "EINTR");
  say_exit(child);
}

static void limit_of_wait(void) {
  domain = AF_UNIX;
  limit = 4 * LINGER;
  full_unix();
  int reports;
  pid_t child = start_waiter(0, &reports);
  say_reports(reports, "EAGAIN");
  say_exit(child);
}

static void killed_while_connecting(void) {
  domain = AF_UNIX;
  full_unix();
  int reports;
  pid_t child = start_waiter(0, &reports);
  kill(child, SIGKILL);
  say_exit(child);
}

// Who waited for a place and was killed takes none.
static void killed_is_gone(void) {
  enum { ROUNDS = 50 };
  domain = AF_UNIX;
  int listener = unix_server("full", SOCK_STREAM, 0), late = 0;
  fcntl(listener, F_SETFL, O_NONBLOCK);
  for (int round = 0; round < ROUNDS; round++) {
    int filled = fill(), reports, fd;
    char word[8];
    pid_t child = waiter(0, &reports);
    if (read(reports, word, sizeof word) != sizeof word) late = ROUNDS;
    nap(2); // it waits
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) filled--;
    late += filled < 0;
    close(reports);
  }
  say("%d late", late);
}

static int full_tcp(void) {
  full_port = local(0);
  socklen_t length = sizeof full_port;
  int listener = server(SOCK_STREAM, &full_port, sizeof full_port, 0), filled = 0;
  getsockname(listener, (struct sockaddr *)&full_port, &length);
  for (; filled < 4; filled++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fd, (struct sockaddr *)&full_port, sizeof full_port);
    struct pollfd ready = {fd, POLLOUT, 0};
    if (poll(&ready, 1, LINGER) == 0) break;
  }
  say("filled %d", filled);
  return listener;
}

static void tcp_that_waits(void) {
  int listener = full_tcp(), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), reports;
  attempt("connect", connect(fd, (struct sockaddr *)&full_port, sizeof full_port));
  attempt("again", connect(fd, (struct sockaddr *)&full_port, sizeof full_port));
  attempt("once more", connect(fd, (struct sockaddr *)&full_port, sizeof full_port));
  domain = AF_INET;
  pid_t child = start_waiter(0, &reports);
  kill(child, SIGUSR1);
  say_reports(reports, "EINTR");
  say_exit(child);
  child = start_waiter(SA_RESTART, &reports);
  kill(child, SIGUSR1);
  say_reports(reports, "handled");
  nap(LINGER);
  while (accept4(listener, NULL, NULL, 0) >= 0) {
    struct pollfd more = {listener, POLLIN, 0};
    if (poll(&more, 1, PATIENCE) <= 0) break;
    if (waitpid(child, NULL, WNOHANG | WNOWAIT) == child) break;
  }
  say_reports(reports, "connected ");
  say_exit(child);
  limit = 2 * LINGER;
  full_tcp();
  child = start_waiter(0, &reports);
  say_reports(reports, "EINPROGRESS");
  say_exit(child);
}

// The port is free again at once.
static void closes_at_once(void) {
  int late = 0;
  for (int round = 0; round < 100; round++) {
    int listener = unix_server("socket", SOCK_STREAM, 10) , fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address;
    char byte;
    connect(fd, (struct sockaddr *)&address, named(&address, "socket"));
    int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    close(fd);
    late += read(accepted, &byte, 1) != 0;
    close(accepted), close(listener), unlink("socket");
  }
  say("%d late", late);
}

static void among_signals(void) {
  struct sockaddr_in address = local(0);
  socklen_t length = sizeof address;
  int listener = server(SOCK_STREAM, &address, sizeof address, 100), failed = 0;
  getsockname(listener, (struct sockaddr *)&address, &length);
  enum { ROUNDS = 300 };
  start_ticks(300);
  for (int round = 0; round < ROUNDS; round++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
      close(accept(listener, NULL, NULL));
    else
      failed++;
    close(fd);
  }
  say_failed(failed, ROUNDS);
  say("%d", stop_ticks());
}

static void map(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  attempt("map", write(fd, text, strlen(text)) < 0 ? -1 : 0);
  close(fd);
}

static void own_users(void) {
  char users[32], groups[32];
  int listener = unix_server("socket", SOCK_STREAM, 10), closed = unix_server("closed", SOCK_STREAM, 10);
  say("%d", closed >= 0);
  chmod("closed", 0);
  snprintf(users, sizeof users, "0 %u 1", getuid());
  snprintf(groups, sizeof groups, "0 %u 1", getgid());
  if (attempt("unshare", unshare(CLONE_NEWUSER))) return;
  map("/proc/self/setgroups", "deny");
  map("/proc/self/uid_map", users);
  map("/proc/self/gid_map", groups);
  try_unix("socket", SOCK_STREAM);
  say_peer(accept(listener, NULL, NULL), 0, 0);
  try_unix("closed", SOCK_STREAM);
  try_unix("missing", SOCK_STREAM | SOCK_NONBLOCK);
  struct sockaddr_in address = local(9);
  attempt("internet", connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
  domain = AF_UNIX;
  listener = full_unix();
  int reports;
  pid_t child = start_waiter(0, &reports);
  kill(child, SIGUSR1);
  say_reports(reports, "EINTR");
  say_exit(child);
}

FAMILY(connections, {"to-loopback", to_loopback}, {"connect-without-blocking", without_blocking},
       {"odd-arguments-of-connect", odd_arguments}, {"datagrams", datagrams}, {"to-paths", to_paths},
       {"to-paths-of-others", to_paths_of_others}, {"abstract-names", abstract_names},
       {"credentials-of-peer", credentials_of_peer}, {"process-of-peer", process_of_peer},
       {"passed-credentials", passed_credentials}, {"waits-for-queue", waits_for_queue},
       {"signal-ends-connect", signal_ends_connect}, {"signal-restarts-connect", signal_restarts_connect},
       {"signal-and-limit", signal_and_limit}, {"limit-of-wait", limit_of_wait},
       {"killed-while-connecting", killed_while_connecting}, {"killed-connect-is-gone", killed_is_gone},
       {"tcp-that-waits", tcp_that_waits},
       {"end-comes-with-close", closes_at_once}, {"connects-among-signals", among_signals},
       {"connects-of-own-users", own_users});

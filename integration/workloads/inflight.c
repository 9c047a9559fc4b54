// SPDX-License-Identifier: Apache-2.0
// inflight: sends as many descriptors as its user may have in messages at one time, receives none, and opens /etc/hostname;
// prints why the sending ended, and what it read.
#include "workload.h"
#include <sys/resource.h>
#include <sys/socket.h>

enum { EACH = 250 };

// Whether that many more are on their way now.
static int sent(int socket, int file) {
  char byte = 0, control[CMSG_SPACE(EACH * sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(EACH * sizeof(int));
  for (int index = 0; index < EACH; index++) ((int *)CMSG_DATA(header))[index] = file;
  return sendmsg(socket, &message, MSG_DONTWAIT) == 1;
}

int main(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  int file = open("/proc/self/stat", O_RDONLY), ends[2];
  // A socket's buffer is full at some time.
  do {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) break;
    while (sent(ends[0], file)) {}
  } while (errno == EAGAIN);
  printf("%s\n", strerrorname_np(errno));
  char text[64] = {0};
  int opened = open("/etc/hostname", O_RDONLY);
  if (opened < 0 || read(opened, text, sizeof text - 1) < 0) printf("%s\n", strerrorname_np(errno));
  printf("%s", text);
  return 0;
}

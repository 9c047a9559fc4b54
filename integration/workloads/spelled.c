// SPDX-License-Identifier: Apache-2.0
// spelled: makes calls whose arguments the kernel reads otherwise than they look: bits that it ignores, ids of 16 bits,
// families that it takes for others, addresses that it cuts. Prints their results, negative errnos or not, as `NAME RESULT`
// lines, and what became of the file and sockets.
#include "workload.h"
#include <arpa/inet.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { I386_LCHOWN = 16, I386_SETUID = 23, I386_FCHOWN = 95, I386_SETRESUID = 164, I386_CHOWN = 182 };
enum { PACKETS = 10, REQUEST = FIONREAD, USER = 1000, LONG_NAME = 9000 };

static const long ABOVE_INT = 1L << 32, ABOVE_SHORT = 1L << 16;

static void say(const char *name, long result) {
  printf("%s %ld\n", name, result);
  fflush(stdout);
}

static long native(long result) { return result < 0 ? -errno : result; }

static struct sockaddr_in local(sa_family_t family, uint16_t port, uint32_t address) {
  return (struct sockaddr_in){.sin_family = family, .sin_port = htons(port), .sin_addr = {htonl(address)}};
}

static void send_messages(void) {
  struct sockaddr_in denied = local(AF_INET, 5353, INADDR_LOOPBACK), other = local(AF_INET, 9, INADDR_LOOPBACK);
  struct sockaddr_storage room[2];
  memcpy(room, &denied, sizeof denied);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct iovec text = {"x", 1};
  struct msghdr to_denied = {.msg_name = room, .msg_namelen = sizeof room[0] + 1, .msg_iov = &text, .msg_iovlen = 1};
  say("sendmsg-long", native(sendmsg(fd, &to_denied, 0)));
  struct msghdr to_other = to_denied;
  to_other.msg_name = &other, to_other.msg_namelen = sizeof other;
  struct mmsghdr both[3] = {{.msg_hdr = to_other}, {.msg_hdr = to_other}, {.msg_hdr = to_denied}};
  say("sendmmsg-first", native(sendmmsg(fd, both + 2, 1, 0)));
  say("sendmmsg-last", native(sendmmsg(fd, both, 3, 0)));
  // Memory that is only writable: the kernel reads it, process_vm_readv does not.
  struct sockaddr_in *hidden = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *hidden = denied;
  mprotect(hidden, 4096, PROT_WRITE);
  say("sendto-write-only", native(sendto(fd, "x", 1, 0, (struct sockaddr *)hidden, sizeof *hidden)));
  mprotect(hidden, 4096, PROT_READ | PROT_WRITE);
  strcpy((char *)hidden, "/tmp/file");
  mprotect(hidden, 4096, PROT_WRITE);
  say("open-write-only", native(open((char *)hidden, O_RDONLY)));
  mprotect(hidden, 4096, PROT_NONE);
  say("sendto-none", native(sendto(fd, "x", 1, 0, (struct sockaddr *)hidden, sizeof *hidden)));
  say("open-none", native(open((char *)hidden, O_RDONLY)));
  say("connect-nowhere", native(connect(fd, (struct sockaddr *)8, sizeof denied)));
  say("sendto-too-long", native(sendto(fd, "x", 1, 0, (struct sockaddr *)room, sizeof room[0] + 1)));
}

static void bind_and_make(void) {
  struct sockaddr_in any = local(AF_UNSPEC, 4444, INADDR_ANY);
  say("bind-unspecified", native(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&any, sizeof any)));
  say("packets", native(socket(AF_INET, PACKETS, 0)));
  say("packets-cloexec", native(syscall(SYS_socket, ABOVE_INT | AF_INET, ABOVE_INT | SOCK_CLOEXEC | PACKETS, 0)));
  int pair[2], waiting = 0;
  if (pipe(pair) < 0) return;
  say("ioctl", native(syscall(SYS_ioctl, pair[0], ABOVE_INT | REQUEST, &waiting)));
}

static void change_file(char *low) {
  strcpy(low, "/tmp/file");
  int fd = open(low, O_CREAT | O_RDWR, 0644);
  say("chmod", native(syscall(SYS_chmod, low, ABOVE_SHORT | 04755)));
  say("chmod-of-kind", native(syscall(SYS_chmod, low, S_IFREG | 04755)));
  say("fchmod", native(syscall(SYS_fchmod, fd, ABOVE_SHORT | 04755)));
  say("fchmodat", native(syscall(SYS_fchmodat, AT_FDCWD, low, ABOVE_INT | 04755)));
  say("chown", int80(I386_CHOWN, (long)low, ABOVE_SHORT | USER, 0xffff, 0, 0));
  say("lchown", int80(I386_LCHOWN, (long)low, ABOVE_SHORT | USER, 0xffff, 0, 0));
  say("fchown", int80(I386_FCHOWN, fd, ABOVE_SHORT | USER, 0xffff, 0, 0));
  say("emptied", native(open(low, O_RDONLY | O_TRUNC)));
  say("for-neither", native(open(low, O_ACCMODE)));
  struct stat facts;
  fstat(fd, &facts);
  printf("owner %u mode %o\n", facts.st_uid, facts.st_mode & 07777);
}

static void execute(const char *self) {
  char name[LONG_NAME + 1];
  memset(name, 'a', LONG_NAME);
  name[LONG_NAME] = 0;
  say("exec-long-name", native(execve(self, (char *[]){name, "forbidden", NULL}, (char *[]){NULL})));
}

int main(int argc, char **argv) {
  if (argc > 1) return puts("executed"), 0;
  // i386's calls take 32-bit pointers.
  char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  send_messages();
  bind_and_make();
  change_file(low);
  say("setuid", int80(I386_SETUID, ABOVE_SHORT | USER, 0, 0, 0, 0));
  say("setresuid", int80(I386_SETRESUID, ABOVE_SHORT | USER, 0xffff, 0xffff, 0, 0));
  execute(argv[0]);
}

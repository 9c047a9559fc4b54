// SPDX-License-Identifier: Apache-2.0
// What the attack programs share. Each is called `PROGRAM SECONDS ENOUGH WORD..`: it attacks until SECONDS are over or
// it had ENOUGH successes (0: never enough), and prints `attempts=N successes=M decoys=L` at its end, or
// `unavailable: REASON` where the kernel lacks what the attack needs. A success is proven: the secret's content was read,
// the banned program spoke, the file was made or emptied. A decoy is an attempt that got what is allowed.
//
// The stage: /secret/key may not be opened, nothing below /secret may; /guarded/file may be read only; nothing below
// /banned may be executed. /public has a decoy of each. The three names of folders that a flip exchanges have the same
// length and differ within the first eight bytes, so that one store of a word exchanges them and no torn name exists.
#pragma once
#include "workload.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SECRET "/secret/key"
#define DECOY "/public/key"
#define SECRET_TEXT "the secret\n"
#define DECOY_TEXT "the decoy\n"
#define BANNED "/banned/program"
#define ALLOWED "/public/program"

// What an attempt led to.
typedef enum { NOTHING, HARMLESS, SUCCESS } Outcome;

// In shared memory: children count too.
typedef struct {
  double end;
  long enough;
  atomic_long attempts, successes, decoys;
  atomic_int over;
} Attack;

static Attack *attack;

static inline double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static inline void *shared_memory(size_t size) {
  // Low, because i386 entries take 32-bit pointers.
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (memory == MAP_FAILED) _exit(2);
  return memory;
}

static inline void begin(int argc, char **argv) {
  attack = shared_memory(sizeof *attack);
  attack->end = now() + (argc > 1 ? atof(argv[1]) : 1);
  attack->enough = number(argc, argv, 2, 0);
}

// The word that names what to attack with.
static inline const char *word(int argc, char **argv, int index) { return index + 3 < argc ? argv[index + 3] : ""; }

static inline int is_over(void) {
  return attack->over || now() >= attack->end || (attack->enough && attack->successes >= attack->enough);
}

static inline void count(Outcome outcome) {
  attack->attempts++;
  attack->successes += outcome == SUCCESS;
  attack->decoys += outcome == HARMLESS;
}

static inline int finish(void) {
  attack->over = 1;
  printf("attempts=%ld successes=%ld decoys=%ld\n", (long)attack->attempts, (long)attack->successes, (long)attack->decoys);
  return 0;
}

static inline int unavailable(const char *reason) {
  attack->over = 1;
  printf("unavailable: %s\n", reason);
  return 0;
}

static inline void require(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "cannot %s: %s\n", what, strerror(errno));
  exit(2);
}

// The row of a table whose first column is its name.
#define CHOSEN(TABLE, NAME) chosen(TABLE, sizeof *(TABLE), sizeof(TABLE) / sizeof *(TABLE), NAME)

static inline const void *chosen(const void *table, size_t size, size_t rows, const char *name) {
  const char *row = table, *end = row + size * rows;
  while (row < end && strcmp(*(const char *const *)row, name) != 0) row += size;
  require(row < end, "choose what to attack with");
  return row;
}

// What an open led to, by the content of what was opened; closes it.
static inline Outcome opened(int fd) {
  if (fd < 0) return NOTHING;
  char text[64] = {0};
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length > 0 && strcmp(text, SECRET_TEXT) == 0) return SUCCESS;
  return length > 0 && strcmp(text, DECOY_TEXT) == 0 ? HARMLESS : NOTHING;
}


static inline int is_empty(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && status.st_size == 0;
}

static inline uint64_t first_word(const char *text) {
  uint64_t value;
  memcpy(&value, text, sizeof value);
  return value;
}

static inline void start_thread(void *(*run)(void *), void *argument) {
  pthread_t thread;
  require(pthread_create(&thread, NULL, run, argument) == 0, "start a thread");
}

// What the programs said that `start` made a child execute, whose output goes into a pipe.
static inline Outcome executed(pid_t (*start)(void)) {
  static int own[2]; // our own standard output and error
  if (!own[0]) own[0] = fcntl(1, F_DUPFD_CLOEXEC, 3), own[1] = fcntl(2, F_DUPFD_CLOEXEC, 3);
  int ends[2], status;
  require(pipe2(ends, O_CLOEXEC) == 0 && dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2, "make a pipe");
  close(ends[1]);
  pid_t child = start();
  // A child that is traced by us stops now and then.
  while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status))
    syscall(SYS_ptrace, 7 /* PTRACE_CONT */, child, NULL, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
  dup2(own[0], 1);
  dup2(own[1], 2);
  char said[256] = {0};
  ssize_t length = read(ends[0], said, sizeof said - 1); // a few words come whole
  close(ends[0]);
  if (length > 0 && (strstr(said, "BANNED") || strstr(said, "--banned"))) return SUCCESS;
  return length > 0 && strstr(said, "harmless") ? HARMLESS : NOTHING;
}

// SPDX-License-Identifier: Apache-2.0
// attack_descriptor SECONDS ENOUGH KIND: opens the same path again and again while a thread changes what it starts from.
//
// KIND: the descriptor that a path is relative to (directory), also one that is a path only (path-directory); the working
// directory (working); the root directory (root); the descriptor that /proc/self/fd/N names (magic). Or opens a path that a
// thread flips as a path only, which no supervisor can put in place itself, and then for reading through /proc (reopened),
// or opens a folder so and then the file below it (below).
#include "attack.h"

static int folders[2]; // /public and /secret
static int changing;   // number that stands for one of them
static char *path;     // flipped

static void turn_number(int side) { dup2(folders[side], changing); }
static void turn_working(int side) { require(fchdir(folders[side]) == 0, "change the working directory"); }

static void turn_root(int side) {
  turn_working(side);
  require(chroot(".") == 0, "change the root");
}

static void turn_path(int side) { *(volatile uint64_t *)path = first_word(side ? SECRET : DECOY); }

static Outcome open_relative(void) { return opened(openat(changing, "key", O_RDONLY)); }
static Outcome open_here(void) { return opened(open("key", O_RDONLY)); }
static Outcome open_in_root(void) { return opened(open("/key", O_RDONLY)); }

static Outcome open_magic(void) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d/key", changing);
  return opened(open(name, O_RDONLY));
}

static Outcome open_again(void) {
  char name[64];
  int fd = open(path, O_PATH);
  if (fd < 0) return NOTHING;
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  Outcome outcome = opened(open(name, O_RDONLY));
  close(fd);
  return outcome;
}

static Outcome open_below(void) {
  int fd = open(path, O_PATH | O_DIRECTORY);
  if (fd < 0) return NOTHING;
  Outcome outcome = opened(openat(fd, "key", O_RDONLY));
  close(fd);
  return outcome;
}

static const struct Kind {
  const char *name;
  int flags; // of the folders' descriptors
  void (*turn)(int);
  Outcome (*open)(void);
} KINDS[] = {
    {"directory", O_RDONLY, turn_number, open_relative},
    {"path-directory", O_PATH, turn_number, open_relative},
    {"working", O_PATH, turn_working, open_here},
    {"root", O_PATH, turn_root, open_in_root},
    {"magic", O_PATH, turn_number, open_magic},
    {"reopened", O_PATH, turn_path, open_again},
    {"below", O_PATH, turn_path, open_below},
};

static void *turn(void *argument) {
  const struct Kind *kind = argument;
  for (int side = 1; !attack->over; side ^= 1) kind->turn(side);
  return NULL;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  const struct Kind *kind = CHOSEN(KINDS, word(argc, argv, 0));
  folders[0] = open("/public", kind->flags | O_DIRECTORY);
  folders[1] = open("/secret", kind->flags | O_DIRECTORY);
  changing = dup(folders[0]);
  require(folders[0] >= 0 && folders[1] >= 0 && changing >= 0, "open the folders");
  path = shared_memory(4096);
  strcpy(path, kind->open == open_below ? "/public/." : DECOY); // the file's name stays, or is not said yet
  start_thread(turn, (void *)kind);
  while (!is_over()) count(kind->open());
  return finish();
}

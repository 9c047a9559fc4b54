// SPDX-License-Identifier: Apache-2.0
// attack_link SECONDS ENOUGH KIND: opens one path again and again while a thread changes what the path leads to.
//
// KIND: a link to the file (symlink) or its folder (folder) that is replaced by another; a file (exchange-file) or a folder
// (exchange-folder) that changes places with a link; a folder that is moved while a path climbs out of it (moved), while
// it is the working directory (moved-directory); a link among the parts of a path that has `..` behind it (climbing); a
// link that does not lead anywhere until the open makes its file (dangling); a mount of the secret (mounted-file) or its
// folder (mounted-folder) that comes and goes.
#include "attack.h"
#include <linux/fs.h>
#include <sys/mount.h>

static void link_to(const char *target, const char *name) {
  symlink(target, "/tmp/beside");
  rename("/tmp/beside", name);
}

static void exchange(const char *one, const char *other) {
  syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

static void make_file(const char *name, const char *text) {
  int fd = open(name, O_WRONLY | O_CREAT, 0600);
  require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "make a file");
  close(fd);
}

static void turn_symlink(int turn) { link_to(turn ? SECRET : DECOY, "/tmp/link"); }
static void turn_folder(int turn) { link_to(turn ? "/secret" : "/public", "/tmp/folder"); }

static void prepare_file(void) {
  make_file("/tmp/one", DECOY_TEXT);
  symlink(SECRET, "/tmp/other");
}

static void prepare_folder(void) {
  mkdir("/tmp/one", 0700);
  make_file("/tmp/one/key", DECOY_TEXT);
  symlink("/secret", "/tmp/other");
}

static void turn_exchange(int turn) {
  (void)turn;
  exchange("/tmp/one", "/tmp/other");
}

// From /public/upper/lower the path leads to /public/secret/key, from /public/lower to /secret/key.
static int lower;

static void prepare_moved(void) {
  mkdir("/public/upper", 0700);
  mkdir("/public/upper/lower", 0700);
  lower = open("/public/upper/lower", O_PATH | O_DIRECTORY);
  require(lower >= 0 && fchdir(lower) == 0, "enter the lower folder");
}

static void turn_moved(int turn) {
  if (turn) rename("/public/upper/lower", "/public/lower");
  else rename("/public/lower", "/public/upper/lower");
}

// /tmp/up/../secret/key is /public/secret/key or /secret/key.
static void prepare_climbing(void) {
  mkdir("/public/upper", 0700);
  mkdir("/upper", 0700);
}

static void turn_climbing(int turn) { link_to(turn ? "/etc" : "/public/upper", "/tmp/up"); }

static void turn_dangling(int turn) { link_to(turn ? "/secret/made" : "/public/made", "/tmp/new"); }

static void prepare_mounted_file(void) { make_file("/tmp/one", DECOY_TEXT); }

static void prepare_mounted_folder(void) {
  mkdir("/tmp/one", 0755);
  make_file("/tmp/one/key", DECOY_TEXT);
}

static void turn_mount(const char *what, int turn) {
  if (turn) require(mount(what, "/tmp/one", NULL, MS_BIND, NULL) == 0, "mount");
  else require(umount2("/tmp/one", MNT_DETACH) == 0, "unmount");
}

static void turn_mounted_file(int turn) { turn_mount(SECRET, turn); }
static void turn_mounted_folder(int turn) { turn_mount("/secret", turn); }

static Outcome open_link(void) { return opened(open("/tmp/link", O_RDONLY)); }
static Outcome open_below_folder(void) { return opened(open("/tmp/folder/key", O_RDONLY)); }
static Outcome open_one(void) { return opened(open("/tmp/one", O_RDONLY)); }
static Outcome open_below_one(void) { return opened(open("/tmp/one/key", O_RDONLY)); }
static Outcome open_upwards(void) { return opened(openat(lower, "../../secret/key", O_RDONLY)); }
static Outcome open_from_here(void) { return opened(open("../../secret/key", O_RDONLY)); }
static Outcome open_climbing(void) { return opened(open("/tmp/up/../secret/key", O_RDONLY)); }

static Outcome make_through_link(void) {
  int fd = open("/tmp/new", O_WRONLY | O_CREAT, 0600);
  if (fd >= 0) close(fd);
  if (unlink("/secret/made") == 0) return SUCCESS;
  return unlink("/public/made") == 0 ? HARMLESS : NOTHING;
}

static const struct Kind {
  const char *name;
  void (*prepare)(void);
  void (*turn)(int);
  Outcome (*open)(void);
} KINDS[] = {
    {"symlink", NULL, turn_symlink, open_link},
    {"folder", NULL, turn_folder, open_below_folder},
    {"exchange-file", prepare_file, turn_exchange, open_one},
    {"exchange-folder", prepare_folder, turn_exchange, open_below_one},
    {"moved", prepare_moved, turn_moved, open_upwards},
    {"moved-directory", prepare_moved, turn_moved, open_from_here},
    {"climbing", prepare_climbing, turn_climbing, open_climbing},
    {"mounted-file", prepare_mounted_file, turn_mounted_file, open_one},
    {"mounted-folder", prepare_mounted_folder, turn_mounted_folder, open_below_one},
    {"dangling", NULL, turn_dangling, make_through_link},
};

static void *turn(void *argument) {
  const struct Kind *kind = argument;
  for (int side = 1; !attack->over; side ^= 1) kind->turn(side);
  return NULL;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  const struct Kind *kind = CHOSEN(KINDS, word(argc, argv, 0));
  if (kind->prepare) kind->prepare();
  start_thread(turn, (void *)kind);
  while (!is_over()) count(kind->open());
  return finish();
}

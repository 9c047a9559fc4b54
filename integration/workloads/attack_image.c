// SPDX-License-Identifier: Apache-2.0
// attack_image SECONDS ENOUGH KIND: executes what must not be executed under another name.
//
// While a thread changes what a path leads to: a link to the program (symlink), a program that changes places with a link
// (exchange), a script that changes places with one of another interpreter (interpreter), a link that is a script's
// interpreter (interpreter-link), a link to a script, which the kernel follows first and its interpreter then (script-link),
// or to the argument of the dynamic loader, which is the program that is executed (loader).
// Without any race: through the root (root) or working directory (working) that /proc shows, from another root (chroot), a
// copy in memory through /proc (memfd), itself after it was moved to where nothing may be executed (self), as the loader that
// an executable file names, which the kernel starts in that one's place (carrier).
#include "attack.h"
#include "carrier.h"
#include <linux/fs.h>

enum { TIMES = 20 };

static const char *program; // what the child executes
static const char *argument;

static void link_to(const char *target, const char *name) {
  symlink(target, "/tmp/beside");
  rename("/tmp/beside", name);
}

static void make_script(const char *name, const char *interpreter) {
  int fd = open(name, O_WRONLY | O_CREAT, 0755);
  require(fd >= 0 && dprintf(fd, "#!%s\n", interpreter) > 0, "make a script");
  close(fd);
}

static void turn_link(int side) { link_to(side ? BANNED : ALLOWED, "/tmp/link"); }
static void turn_script_link(int side) { link_to(side ? "/secret/script" : "/public/script", "/tmp/link"); }

static void turn_loaded(int side) { link_to(side ? "/secret/loaded" : "/public/loaded", "/tmp/link"); }

static void turn_exchange(int side) {
  (void)side;
  syscall(SYS_renameat2, AT_FDCWD, "/tmp/one", AT_FDCWD, "/tmp/other", RENAME_EXCHANGE);
}

static void prepare_link(void) { program = "/tmp/link"; }

static void prepare_exchange(void) {
  require(link(ALLOWED, "/tmp/one") == 0 && symlink(BANNED, "/tmp/other") == 0, "link the programs");
  program = "/tmp/one";
}

static void prepare_interpreter(void) {
  make_script("/tmp/one", ALLOWED);
  make_script("/tmp/other", BANNED);
  program = "/tmp/one";
}

static void prepare_interpreter_link(void) {
  make_script("/tmp/script", "/tmp/link");
  program = "/tmp/script";
}

static void prepare_root(void) { program = "/proc/self/root" BANNED; }

static void prepare_working(void) {
  require(chdir("/banned") == 0, "enter the folder");
  program = "/proc/self/cwd/program";
}

static void prepare_chroot(void) {
  require(chroot("/banned") == 0, "change the root");
  program = "/program";
}

static void prepare_memfd(void) {
  static char name[64], buffer[65536];
  int copy = memfd_create("copy", MFD_CLOEXEC), original = open(BANNED, O_RDONLY);
  require(copy >= 0 && original >= 0, "copy the program");
  for (ssize_t length; (length = read(original, buffer, sizeof buffer)) > 0;)
    require(write(copy, buffer, length) == length, "copy the program");
  close(original);
  sprintf(name, "/proc/self/fd/%d", copy);
  program = name;
}

static void prepare_self(void) {
  require(rename("/bin/attack_image", "/banned/self") == 0, "move this program");
  program = "/proc/self/exe";
  argument = "speak";
}

static void prepare_loader(void) {
  program = "/lib64/ld-linux-x86-64.so.2";
  argument = "/tmp/link";
}

static void prepare_carrier(void) {
  Carrier file = carrier();
  int fd = open("/tmp/carrier", O_WRONLY | O_CREAT, 0755);
  require(fd >= 0 && write(fd, &file, sizeof file) == sizeof file, "make a program");
  close(fd);
  program = "/tmp/carrier";
}

static const struct Kind {
  const char *name;
  void (*prepare)(void);
  void (*turn)(int); // absent where nothing races
} KINDS[] = {
    {"symlink", prepare_link, turn_link},
    {"exchange", prepare_exchange, turn_exchange},
    {"interpreter", prepare_interpreter, turn_exchange},
    {"interpreter-link", prepare_interpreter_link, turn_link},
    {"script-link", prepare_link, turn_script_link},
    {"loader", prepare_loader, turn_loaded},
    {"root", prepare_root, NULL},
    {"working", prepare_working, NULL},
    {"chroot", prepare_chroot, NULL},
    {"memfd", prepare_memfd, NULL},
    {"self", prepare_self, NULL},
    {"carrier", prepare_carrier, NULL},
};

static void *turn(void *place) {
  const struct Kind *kind = place;
  for (int side = 1; !attack->over; side ^= 1) kind->turn(side);
  return NULL;
}

static pid_t start(void) {
  pid_t child = fork();
  if (child != 0) return child;
  execv(program, (char *[]){"program", (char *)argument, NULL});
  _exit(127);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "speak") == 0) return puts("BANNED") < 0;
  begin(argc, argv);
  const struct Kind *kind = CHOSEN(KINDS, word(argc, argv, 0));
  kind->prepare();
  if (kind->turn) start_thread(turn, (void *)kind);
  for (int time = 0; (kind->turn || time < TIMES) && !is_over(); time++) count(executed(start));
  return finish();
}

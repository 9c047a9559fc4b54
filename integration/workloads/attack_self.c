// SPDX-License-Identifier: Apache-2.0
// attack_self SECONDS ENOUGH KIND: opens its own entry of procfs by names that depend on who looks; a success is another
// process's entry, whose name the file says.
//
// KIND: /proc/self (self), /proc/thread-self (thread), a link to it (link), the same from /proc as the working directory
// (working) or by its descriptor (directory), with `..` (climbing), through a procfs of its own (mounted); a link that a
// thread turns from elsewhere to there (turning).
#include "attack.h"
#include <sys/mount.h>
#include <sys/prctl.h>

enum { TIMES = 200 };

static char own_name[32];
static int directory = AT_FDCWD;
static const char *name;

static void link_to(const char *target) {
  symlink(target, "/tmp/beside");
  rename("/tmp/beside", "/tmp/link");
}

static void by_link(void) {
  link_to("/proc/self");
  name = "/tmp/link/comm";
}

static void by_working(void) {
  require(chdir("/proc") == 0, "enter /proc");
  name = "self/comm";
}

static void by_directory(void) {
  directory = open("/proc", O_RDONLY | O_DIRECTORY);
  require(directory >= 0, "open /proc");
  name = "self/comm";
}

static void by_mount(void) {
  mkdir("/tmp/proc", 0755);
  require(mount("proc", "/tmp/proc", "proc", 0, NULL) == 0, "mount procfs");
  name = "/tmp/proc/self/comm";
}

static void *turn(void *unused) {
  prctl(PR_SET_NAME, own_name);
  for (int side = 0; !attack->over; side ^= 1) link_to(side ? "/proc/self" : "/public");
  return unused;
}

static void by_turning(void) {
  link_to("/public");
  start_thread(turn, NULL);
  name = "/tmp/link/comm";
}

// The name that the opened entry has.
static Outcome whose(int fd) {
  char found[32] = {0};
  if (fd < 0) return NOTHING;
  ssize_t length = read(fd, found, sizeof found - 1);
  close(fd);
  found[strcspn(found, "\n")] = 0;
  if (length <= 0) return NOTHING;
  return strcmp(found, own_name) == 0 ? HARMLESS : SUCCESS;
}

static const struct Kind {
  const char *name, *path;
  void (*prepare)(void);
} KINDS[] = {
    {"self", "/proc/self/comm", NULL},
    {"thread", "/proc/thread-self/comm", NULL},
    {"climbing", "/proc/self/task/../../self/comm", NULL},
    {"link", NULL, by_link},
    {"working", NULL, by_working},
    {"directory", NULL, by_directory},
    {"mounted", NULL, by_mount},
    {"turning", NULL, by_turning},
};

int main(int argc, char **argv) {
  begin(argc, argv);
  const struct Kind *kind = KINDS, *end = KINDS + sizeof KINDS / sizeof *KINDS;
  while (kind < end && strcmp(kind->name, word(argc, argv, 0)) != 0) kind++;
  require(kind < end, "choose a kind");
  require(prctl(PR_GET_NAME, own_name) == 0, "learn the own name");
  name = kind->path;
  if (kind->prepare) kind->prepare();
  for (int time = 0; (time < TIMES || kind->prepare == by_turning) && !is_over(); time++)
    count(whose(openat(directory, name, O_RDONLY)));
  return finish();
}

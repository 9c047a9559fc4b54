// SPDX-License-Identifier: Apache-2.0
// attack_self SECONDS ENOUGH KIND: opens names that depend on who looks; a success is what belongs to somebody else.
//
// KIND: a setting of the network that only the host's namespace has (network); the device whose interfaces are made in the
// namespace of who opened it (tunnel), also from one namespace after the other (moving-tunnel); or its own entry of procfs,
// whose name the file says: by /proc/self (self), /proc/thread-self (thread), a link to it (link), the same from /proc as
// the working directory (working) or by its descriptor (directory), with `..` (climbing), through a procfs of its own
// (mounted); a link that a thread turns from elsewhere to there (turning).
#include "attack.h"
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

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

static Outcome open_own_name(void) { return whose(openat(directory, name, O_RDONLY)); }

// The first setting is in every namespace, the second in the first one alone.
static Outcome open_setting(void) {
  int own = open("/proc/sys/net/core/somaxconn", O_RDONLY), foreign = open("/proc/sys/net/core/netdev_budget", O_RDONLY);
  if (own >= 0) close(own);
  if (foreign >= 0) close(foreign);
  return foreign >= 0 ? SUCCESS : own >= 0 ? HARMLESS : NOTHING;
}

static void make_device(void) {
  mkdir("/dev/net", 0755);
  require(mknod("/dev/net/tun", S_IFCHR | 0600, makedev(10, 200)) == 0, "make the device");
}

static Outcome open_tunnel(void) {
  struct ifreq made = {.ifr_flags = IFF_TUN | IFF_NO_PI}, seen;
  int tunnel = open("/dev/net/tun", O_RDWR), own = socket(AF_INET, SOCK_DGRAM, 0);
  Outcome outcome = NOTHING;
  if (tunnel >= 0 && ioctl(tunnel, TUNSETIFF, &made) == 0) {
    memcpy(&seen, &made, sizeof seen);
    outcome = ioctl(own, SIOCGIFINDEX, &seen) == 0 ? HARMLESS : SUCCESS;
  }
  if (tunnel >= 0) close(tunnel); // which removes the interface
  close(own);
  return outcome;
}

static Outcome move_and_open_tunnel(void) {
  require(unshare(CLONE_NEWNET) == 0, "make a network namespace");
  return open_tunnel();
}

static const struct Kind {
  const char *name, *path;
  void (*prepare)(void);
  Outcome (*open)(void);
} KINDS[] = {
    {"self", "/proc/self/comm", NULL, open_own_name},
    {"thread", "/proc/thread-self/comm", NULL, open_own_name},
    {"climbing", "/proc/self/task/../../self/comm", NULL, open_own_name},
    {"link", NULL, by_link, open_own_name},
    {"working", NULL, by_working, open_own_name},
    {"directory", NULL, by_directory, open_own_name},
    {"mounted", NULL, by_mount, open_own_name},
    {"turning", NULL, by_turning, open_own_name},
    {"network", NULL, NULL, open_setting},
    {"tunnel", NULL, make_device, open_tunnel},
    {"moving-tunnel", NULL, make_device, move_and_open_tunnel},
};

int main(int argc, char **argv) {
  begin(argc, argv);
  const struct Kind *kind = CHOSEN(KINDS, word(argc, argv, 0));
  require(prctl(PR_GET_NAME, own_name) == 0, "learn the own name");
  name = kind->path;
  if (kind->prepare) kind->prepare();
  for (int time = 0; (time < TIMES || kind->prepare == by_turning) && !is_over(); time++)
    count(kind->open());
  return finish();
}

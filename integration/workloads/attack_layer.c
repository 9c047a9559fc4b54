// SPDX-License-Identifier: Apache-2.0
// attack_layer SECONDS ENOUGH KIND: executes a program that the image does not have, where rules forbid what is not in the
// image's layers; a program of the image in between.
//
// The program is renamed all the time, there and back (renamed), also in place of a program of the image that it was
// written into (changed). Without any race: in a mount namespace of one's own, where mounts have other numbers, after a
// directory was made in the container that is called like the upper layer on the host (namespace); in a directory of an
// overlay of one's own, mounted elsewhere (bound); as part of the lower layer of such an overlay (shown).
#include "attack.h"
#include <sched.h>
#include <sys/mount.h>

static const char *program = "/tmp/dropped";
static int descriptor = -1; // of the program, where its name changes
static long attempts;

static void copy(const char *from, const char *to) {
  static char buffer[65536];
  int source = open(from, O_RDONLY), target = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
  require(source >= 0 && target >= 0, "copy the program");
  for (ssize_t length; (length = read(source, buffer, sizeof buffer)) > 0;)
    require(write(target, buffer, length) == length, "copy the program");
  close(source);
  close(target);
}

static void prepare_renamed(void) {
  copy(BANNED, program);
  descriptor = open(program, O_PATH | O_CLOEXEC);
}

static void prepare_changed(void) {
  program = "/public/raised";
  prepare_renamed();
}

static void *rename_again(void *unused) {
  const char *other = "/tmp/other-dropped";
  while (!attack->over) {
    rename(program, other);
    rename(other, program);
  }
  return unused;
}

static int is_separated(void) { return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0; }

static int prepare_namespace(void) {
  copy(BANNED, program);
  static char line[4096], upper[4096];
  FILE *table = fopen("/proc/self/mountinfo", "r");
  require(table != NULL, "read the mounts");
  while (fgets(line, sizeof line, table) && !*upper) {
    char *option = strstr(line, "upperdir=");
    if (option) sscanf(option, "upperdir=%[^, \n]", upper);
  }
  fclose(table);
  for (char *end = upper; *end && (end = strchr(end + 1, '/'));) {
    *end = 0;
    mkdir(upper, 0755);
    *end = '/';
  }
  require(mkdir(upper, 0755) == 0, "make the directory");
  return is_separated();
}

static int prepare_bound(void) {
  mkdir("/tmp/memory", 0755);
  mkdir("/tmp/own", 0755);
  mkdir("/tmp/part", 0755);
  require(mount("memory", "/tmp/memory", "tmpfs", 0, NULL) == 0, "mount a tmpfs");
  mkdir("/tmp/memory/upper", 0755);
  mkdir("/tmp/memory/upper/part", 0755);
  mkdir("/tmp/memory/work", 0755);
  copy(BANNED, "/tmp/memory/upper/part/dropped");
  const char *options = "lowerdir=/public,upperdir=/tmp/memory/upper,workdir=/tmp/memory/work";
  require(mount("own", "/tmp/own", "overlay", 0, options) == 0, "mount an overlay");
  require(mount("/tmp/own/part", "/tmp/part", NULL, MS_BIND, NULL) == 0, "mount a part of it");
  program = "/tmp/part/dropped";
  return 1;
}

static int prepare_shown(void) {
  mkdir("/tmp/layer", 0755);
  mkdir("/tmp/own", 0755);
  copy(BANNED, "/tmp/layer/dropped");
  program = "/tmp/own/dropped";
  return is_separated() && mount("own", "/tmp/own", "overlay", 0, "lowerdir=/tmp/layer:/public") == 0;
}

static pid_t start(void) {
  pid_t child = fork();
  if (child != 0) return child;
  char *words[] = {"program", NULL};
  if (attempts % 2) execv(ALLOWED, words);
  if (descriptor < 0) execv(program, words);
  syscall(SYS_execveat, descriptor, "", words, NULL, AT_EMPTY_PATH);
  _exit(127);
}

int main(int argc, char **argv) {
  begin(argc, argv);
  const char *kind = word(argc, argv, 0);
  int is_there = 1;
  if (strcmp(kind, "renamed") == 0) prepare_renamed();
  if (strcmp(kind, "changed") == 0) prepare_changed();
  if (strcmp(kind, "namespace") == 0) is_there = prepare_namespace();
  if (strcmp(kind, "bound") == 0) is_there = prepare_bound();
  if (strcmp(kind, "shown") == 0) is_there = prepare_shown();
  if (!is_there) return unavailable("no namespaces, or no overlay in them");
  if (descriptor >= 0) start_thread(rename_again, NULL);
  for (int enough = 20; (descriptor >= 0 || attempts < enough) && !is_over(); attempts++) count(executed(start));
  return finish();
}

// SPDX-License-Identifier: Apache-2.0
// attack_alias SECONDS ENOUGH KIND: opens the secret under another name, a few times, and the decoy by its own in between;
// nothing races.
//
// KIND: through the container's procfs, its own entry (root, working, thread, task), the entry of its process id (pid) or of
// another process (sibling), a descriptor (descriptor, device); through a procfs of its own (mounted); a link (symlink), a
// link before `..` (climbing), a hard link (hardlink), one whose own path is too long for the kernel to tell (deep-hardlink), one
// that is gone (removed-hardlink) or comes and goes (flickering-hardlink), a bind mount of the file (bind) or its folder (bind-folder), also of a file
// that is made there (bind-made), the same in namespaces of its own (namespace), below another root (chroot, namespace-chroot, pivot); with the longest path (long),
// from a folder whose own path is longer than any path may be (deep), by a path that ends where the memory ends (edge).
#include "attack.h"
#include <sched.h>
#include <sys/mount.h>

enum { TIMES = 20, OFTEN = 1000 };

static char name[8192]; // what to open

static void own_root(void) { strcpy(name, "/proc/self/root" SECRET); }
static void own_thread(void) { strcpy(name, "/proc/thread-self/root" SECRET); }
static void own_task(void) { sprintf(name, "/proc/self/task/%ld/root" SECRET, syscall(SYS_gettid)); }
static void own_pid(void) { sprintf(name, "/proc/%d/root" SECRET, getpid()); }

static void own_working(void) {
  require(chdir("/secret") == 0, "enter the folder");
  strcpy(name, "/proc/self/cwd/key");
}

static void sibling(void) {
  pid_t child = fork();
  if (child == 0)
    for (;;) pause(); // ends with the container
  sprintf(name, "/proc/%d/root" SECRET, child);
}

static void descriptor(void) { sprintf(name, "/proc/self/fd/%d" SECRET, open("/", O_PATH)); }

static void device(void) {
  symlink("/proc/self/fd", "/dev/fd"); // the engine made it already
  sprintf(name, "/dev/fd/%d" SECRET, open("/", O_PATH));
}

static void own_mount(void) {
  mkdir("/tmp/proc", 0755);
  require(mount("proc", "/tmp/proc", "proc", 0, NULL) == 0, "mount procfs");
  strcpy(name, "/tmp/proc/self/root" SECRET);
}

static void link_to_secret(void) {
  symlink(SECRET, "/tmp/link");
  strcpy(name, "/tmp/link");
}

static void climbing(void) {
  symlink("/etc", "/tmp/up");
  strcpy(name, "/tmp/up/.." SECRET);
}

static void hard_link(void) {
  require(link(SECRET, "/tmp/hard") == 0, "link the file");
  strcpy(name, "/tmp/hard");
}

// Before the namespace is made: without a mapping nobody may make files.
static void make_targets(void) {
  close(open("/tmp/bound", O_WRONLY | O_CREAT, 0600));
  mkdir("/tmp/folder", 0755);
}

static void bind_file(void) {
  make_targets();
  require(mount(SECRET, "/tmp/bound", NULL, MS_BIND, NULL) == 0, "bind the file");
  strcpy(name, "/tmp/bound");
}

static void bind_folder(void) {
  make_targets();
  require(mount("/secret", "/tmp/folder", NULL, MS_BIND, NULL) == 0, "bind the folder");
  strcpy(name, "/tmp/folder/key");
}

static void bind_made(void) {
  bind_folder();
  strcpy(name, "/tmp/folder/made");
}

static void in_namespace(void) {
  make_targets();
  require(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, "make namespaces");
  bind_file();
}

static void below_root(void) {
  require(chroot("/secret") == 0, "change the root");
  strcpy(name, "/key");
}

static void below_root_in_namespace(void) {
  require(unshare(CLONE_NEWUSER) == 0, "make a namespace");
  below_root();
}

static void pivot(void) {
  make_targets();
  require(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, "make namespaces");
  bind_folder();
  require(chdir("/tmp/folder") == 0, "enter the folder");
  require(syscall(SYS_pivot_root, ".", ".") == 0, "change the root mount");
  require(umount2(".", MNT_DETACH) == 0 && chdir("/") == 0, "leave the old root");
  strcpy(name, "/key");
}

static void longest(void) {
  size_t length = 4095 - strlen(SECRET);
  for (size_t at = 0; at < length; at++) name[at] = "/."[at % 2];
  strcpy(name + length, SECRET);
  if (length % 2) name[length - 1] = '/';
}

static void deep(void) {
  static char folder[201];
  memset(folder, 'd', 200);
  require(chdir("/tmp") == 0, "enter a folder");
  for (int level = 0; level < 30; level++) {
    mkdir(folder, 0755);
    require(chdir(folder) == 0, "enter a folder");
    strcat(name, "../");
  }
  strcat(name, ".." SECRET);
}

static void deep_link(void) {
  deep();
  require(link(SECRET, "hard") == 0, "link the file");
  strcpy(name, "hard");
}

static void removed(void) {
  hard_link();
  int handle = open(name, O_PATH);
  require(handle >= 0 && unlink(name) == 0, "remove the link");
  sprintf(name, "/proc/self/fd/%d", handle);
}

static void *flicker(void *unused) {
  while (!attack->over) {
    link(SECRET, "/tmp/hard");
    unlink("/tmp/hard");
  }
  return unused;
}

static void flickering(void) {
  strcpy(name, "/tmp/hard");
  start_thread(flicker, NULL);
}

static void none(void) {}

static Outcome open_name(void) { return opened(open(name, O_RDONLY)); }

static Outcome open_often(void) {
  Outcome outcome = NOTHING;
  for (int time = 0; time < OFTEN && outcome != SUCCESS; time++) outcome = open_name();
  return outcome;
}

static Outcome make_name(void) {
  int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return NOTHING;
  close(fd);
  unlink(name);
  return SUCCESS;
}

// The byte behind the closing NUL is in no mapping.
static Outcome open_edge(void) {
  char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(pages + 4096, 4096);
  char *path = pages + 4096 - sizeof SECRET;
  strcpy(path, SECRET);
  Outcome outcome = opened(open(path, O_RDONLY));
  munmap(pages, 4096);
  return outcome;
}

static const struct Kind {
  const char *name;
  void (*prepare)(void);
  Outcome (*open)(void);
} KINDS[] = {
    {"root", own_root, open_name},
    {"thread", own_thread, open_name},
    {"task", own_task, open_name},
    {"pid", own_pid, open_name},
    {"working", own_working, open_name},
    {"sibling", sibling, open_name},
    {"descriptor", descriptor, open_name},
    {"device", device, open_name},
    {"mounted", own_mount, open_name},
    {"symlink", link_to_secret, open_name},
    {"climbing", climbing, open_name},
    {"hardlink", hard_link, open_name},
    {"deep-hardlink", deep_link, open_name},
    {"removed-hardlink", removed, open_name},
    {"flickering-hardlink", flickering, open_often},
    {"bind", bind_file, open_name},
    {"bind-folder", bind_folder, open_name},
    {"bind-made", bind_made, make_name},
    {"namespace", in_namespace, open_name},
    {"chroot", below_root, open_name},
    {"namespace-chroot", below_root_in_namespace, open_name},
    {"pivot", pivot, open_name},
    {"long", longest, open_name},
    {"deep", deep, open_name},
    {"edge", none, open_edge},
};

int main(int argc, char **argv) {
  begin(argc, argv);
  const struct Kind *kind = CHOSEN(KINDS, word(argc, argv, 0));
  kind->prepare();
  for (int time = 0; time < TIMES && !is_over(); time++) {
    count(kind->open());
    count(opened(open(DECOY, O_RDONLY))); // in another root there is none
  }
  return finish();
}

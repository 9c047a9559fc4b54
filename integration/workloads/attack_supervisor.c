// SPDX-License-Identifier: Apache-2.0
// attack_supervisor SECONDS ENOUGH NAME KIND: reaches for the tasks of the processes called NAME, which it sees because
// they share a process namespace, while a thread makes them work on its behalf by opening files.
//
// KIND: traces them (trace), opens their memory (memory), also through a handle (handle), a bind mount (bound) or behind an
// empty file that is mounted over what tells whose it is (covered), their descriptors (descriptors) or root (root), may signal
// them (signal).
#include "attack.h"
#include <dirent.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

enum { MANY = 64 };

static const char *wanted;
static int (*reach)(int task);

static int trace(int task) {
  if (ptrace(PTRACE_SEIZE, task, 0, 0) != 0) return 0;
  ptrace(PTRACE_DETACH, task, 0, 0);
  return 1;
}

static int open_entry(int task, const char *entry, int flags) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/%s", task, entry);
  int fd = open(name, flags);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static int open_memory(int task) { return open_entry(task, "mem", O_RDONLY); }
static int open_root(int task) { return open_entry(task, "root", O_RDONLY | O_DIRECTORY); }

static int open_descriptors(int task) {
  char entry[16];
  int opened = 0;
  for (int number = 0; number < 10; number++) {
    snprintf(entry, sizeof entry, "fd/%d", number);
    opened |= open_entry(task, entry, O_RDONLY | O_NONBLOCK);
  }
  return opened;
}

// A handle asks for no right; what is opened through it must.
static int open_through_handle(int task) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/mem", task);
  int handle = open(name, O_PATH), fd;
  if (handle < 0) return 0;
  snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
  fd = open(name, O_RDONLY);
  if (fd >= 0) close(fd);
  close(handle);
  return fd >= 0;
}

static int open_bound(int task) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/mem", task);
  close(open("/tmp/bound", O_WRONLY | O_CREAT, 0600));
  if (mount(name, "/tmp/bound", NULL, MS_BIND, NULL) != 0) return 0;
  int fd = open("/tmp/bound", O_RDONLY);
  if (fd >= 0) close(fd);
  umount2("/tmp/bound", MNT_DETACH);
  return fd >= 0;
}

static int open_covered(int task) {
  int opened = 0;
  close(open("/tmp/empty", O_WRONLY | O_CREAT, 0600));
  for (const char *const *file = (const char *const[]){"status", "stat", NULL}; *file; file++) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/%s", task, *file);
    if (mount("/tmp/empty", name, NULL, MS_BIND, NULL) != 0) continue;
    opened |= open_memory(task);
    umount2(name, MNT_DETACH);
  }
  return opened;
}

static int may_signal(int task) { return syscall(SYS_tkill, task, 0) == 0; }

static int is_called(int process) {
  char name[64], found[32] = {0};
  snprintf(name, sizeof name, "/proc/%d/comm", process);
  int fd = open(name, O_RDONLY);
  if (fd < 0) return 0;
  ssize_t length = read(fd, found, sizeof found - 1);
  close(fd);
  return length > 0 && strncmp(found, wanted, strlen(wanted)) == 0;
}

// Each task of a process.
static void reach_for(int process) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/task", process);
  DIR *tasks = opendir(name);
  for (struct dirent *task; tasks && !is_over() && (task = readdir(tasks));)
    if (task->d_name[0] != '.') count(reach(atoi(task->d_name)) ? SUCCESS : NOTHING);
  if (tasks) closedir(tasks);
}

static void *keep_busy(void *unused) {
  while (!attack->over) close(open(DECOY, O_RDONLY));
  return unused;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  wanted = word(argc, argv, 0);
  const char *kind = word(argc, argv, 1);
  reach = strcmp(kind, "trace") == 0         ? trace
          : strcmp(kind, "memory") == 0      ? open_memory
          : strcmp(kind, "descriptors") == 0 ? open_descriptors
          : strcmp(kind, "root") == 0        ? open_root
          : strcmp(kind, "handle") == 0      ? open_through_handle
          : strcmp(kind, "bound") == 0       ? open_bound
          : strcmp(kind, "covered") == 0     ? open_covered
                                             : may_signal;
  for (int thread = 0; thread < 2; thread++) start_thread(keep_busy, NULL);
  int processes[MANY], known = 0;
  DIR *all = opendir("/proc");
  for (struct dirent *entry; all && known < MANY && (entry = readdir(all));) {
    int process = atoi(entry->d_name); // 0 for what is no process
    if (process > 0 && is_called(process)) processes[known++] = process;
  }
  require(known > 0, "find any process of that name");
  while (!is_over())
    for (int index = 0; index < known; index++) reach_for(processes[index]);
  return finish();
}

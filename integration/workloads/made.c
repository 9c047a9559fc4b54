// SPDX-License-Identifier: Apache-2.0
// made PROCESSES STOPFILE: each process opens /probe/P-N, makes, moves and removes a folder, a file and links of its own, N
// counting up, until STOPFILE exists. A call that is made twice, or not at all, fails. Each prints `P N LOST FAILED`; LOST are
// opens that returned 0, which is taken: whoever injected their descriptor died before they took it.
#include "workload.h"
#include <sys/stat.h>

static long process, round_number, lost;

static int holds(int result, const char *call) {
  if (result >= 0) return 1;
  fprintf(stderr, "%s of %ld-%ld: %s\n", call, process, round_number, strerror(errno));
  return 0;
}

static int work_once(void) {
  char probed[64], folder[64], file[80], moved[80], link_name[80], symbolic[80];
  snprintf(probed, sizeof probed, "/probe/%ld-%ld", process, round_number);
  snprintf(folder, sizeof folder, "/tmp/%ld-%ld", process, round_number);
  snprintf(file, sizeof file, "%s/file", folder);
  snprintf(moved, sizeof moved, "%s/moved", folder);
  snprintf(link_name, sizeof link_name, "%s/link", folder);
  snprintf(symbolic, sizeof symbolic, "%s/symbolic", folder);
  int fd, good = probe(probed) && holds(mkdir(folder, 0755), "mkdir");
  good = good && holds(fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0644), "open");
  lost += good && fd == 0;
  good = good && (fd == 0 || holds(close(fd), "close"));
  good = good && holds(rename(file, moved), "rename") && holds(link(moved, link_name), "link");
  good = good && holds(symlink("moved", symbolic), "symlink") && holds(chmod(moved, 0600), "chmod");
  good = good && holds(unlink(symbolic), "unlink") && holds(unlink(link_name), "unlink");
  return good && holds(unlink(moved), "unlink") && holds(rmdir(folder), "rmdir");
}

static int work(long number, const char *stop) {
  long failed = 0;
  process = number;
  for (; !exists(stop); round_number++) failed += !work_once();
  printf("%ld %ld %ld %ld\n", process, round_number, lost, failed);
  fflush(stdout);
  return failed != 0;
}

int main(int argc, char **argv) { return in_processes(argc, argv, work); }

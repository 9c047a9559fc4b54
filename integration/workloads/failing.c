// SPDX-License-Identifier: Apache-2.0
// failing CALLS: executes /public/text, which is no program, so often. Prints how often it failed.
#include "workload.h"

int main(int argc, char **argv) {
  long calls = number(argc, argv, 1, 1000), failed = 0;
  char *arguments[] = {"text", NULL}, *environment[] = {NULL};
  for (long call = 0; call < calls; call++) failed -= execve("/public/text", arguments, environment);
  printf("%ld\n", failed);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// harmless WORD..: a program that may be executed. Says so, and what it was told.
#include "workload.h"

int main(int argc, char **argv) {
  printf("harmless");
  for (int index = 1; index < argc; index++) printf(" %s", argv[index]);
  printf("\n");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// banned: the program that must not be executed. Says that it was.
#include "workload.h"

int main(void) {
  puts("BANNED");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The first process of a pod sandbox: waits for the signal that ends it.
#include <signal.h>
#include <unistd.h>

static void end(int signal) { _exit(signal == SIGTERM || signal == SIGINT ? 0 : 1); }

int main(void) {
  signal(SIGTERM, end);
  signal(SIGINT, end);
  for (;;) pause();
}

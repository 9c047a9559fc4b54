// SPDX-License-Identifier: Apache-2.0
// attack_exec SECONDS ENOUGH KIND: executes a program again and again while a thread changes what is executed.
//
// The path of the program, flipped while a child executes it by execve (path), execveat (at), their i386 entries (i386,
// i386-at), with the parent's memory (vfork), by eight threads at once (threads), while it is traced by its parent (traced)
// whom an exec does not stop (seized), or who is one of eight that do so at once (traced-many), or who moves it between
// control groups (traced-moved), or exchanged by a handler that interrupts the call, which is made anew then (handler,
// traced-handler); the path of a script (script); an argument's text (argument, traced-argument) or pointer (pointer); the
// descriptor that the path is relative to (descriptor), that is executed (empty), that /proc names (magic), or that stands for
// a copy of the program in memory (memfd, traced-memfd); the working directory (working).
#include "attack.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

enum { I386_EXECVE = 11, I386_EXECVEAT = 358, THREADS = 8, PROCESSES = 8, STACK = 65536 };

// In low memory that parent and children share.
typedef struct {
  char path[64], argument[64], other[64];
  char *argv[3];
  uint32_t low_argv[3];
  volatile pid_t caller;
} Arguments;

static Arguments *arguments;
static int processes = 1;
static char *const none[] = {NULL};
static int sides[2], changing; // descriptors, and the number that stands for one of them
static volatile uint64_t *flipped;
static uint64_t values[2];

static int low(const void *pointer) { return (int)(uintptr_t)pointer; }

static void by_execve(void) { execve(arguments->path, arguments->argv, none); }
static void by_execveat(void) { syscall(SYS_execveat, AT_FDCWD, arguments->path, arguments->argv, none, 0); }
static void by_i386(void) { int80(I386_EXECVE, low(arguments->path), low(arguments->low_argv), 0, 0, 0); }

static void by_i386_at(void) {
  int80(I386_EXECVEAT, AT_FDCWD, low(arguments->path), low(arguments->low_argv), 0, 0);
}

static void by_descriptor(void) { syscall(SYS_execveat, changing, "program", arguments->argv, none, 0); }
static void by_empty_path(void) { syscall(SYS_execveat, changing, "", arguments->argv, none, AT_EMPTY_PATH); }
static void by_working(void) { execve("program", arguments->argv, none); }

static void by_magic_link(void) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", changing);
  execve(name, arguments->argv, none);
}

static void by_tracee(void) {
  ptrace(PTRACE_TRACEME, 0, 0, 0);
  by_execve();
}

// Not the C library's, whose lock a thread may hold while the process forks.
static long chance(long sides) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_nsec % sides;
}

static void exchange(int number) {
  (void)number;
  *flipped = values[*flipped == values[0]];
}

static void by_traced_copy(void) {
  ptrace(PTRACE_TRACEME, 0, 0, 0);
  by_empty_path();
}

static void by_interrupted(void) {
  *flipped = values[chance(2)];
  // A program that was executed ignores it.
  sigaction(SIGURG, &(struct sigaction){.sa_handler = exchange, .sa_flags = SA_RESTART}, NULL);
  arguments->caller = getpid();
  by_execve();
}

static void by_interrupted_tracee(void) {
  ptrace(PTRACE_TRACEME, 0, 0, 0);
  by_interrupted();
}

static void *execute(void *unused) {
  by_execve();
  return unused;
}

static void by_threads(void) {
  pthread_t threads[THREADS];
  for (int index = 0; index < THREADS; index++) pthread_create(&threads[index], NULL, execute, NULL);
  for (int index = 0; index < THREADS; index++) pthread_join(threads[index], NULL);
}

static void (*run)(void);

static int run_and_end(void *unused) {
  (void)unused;
  run();
  _exit(127);
}

static pid_t start_with(int shared) {
  pid_t child = syscall(SYS_clone, shared | SIGCHLD, NULL, NULL, NULL, NULL);
  if (child == 0) run_and_end(NULL);
  return child;
}

static pid_t start_alone(void) {
  pid_t child = fork();
  if (child == 0) run_and_end(NULL);
  return child;
}

static pid_t start_interrupted(void) {
  arguments->caller = 0;
  return start_alone();
}

// Nothing stops its program: it is no tracee that asked for it (`PTRACE_TRACEME`).
static pid_t start_seized(void) {
  arguments->caller = 0;
  pid_t child = fork();
  if (child == 0) {
    while (arguments->caller != getpid()) sched_yield();
    run_and_end(NULL);
  }
  require(ptrace(PTRACE_SEIZE, child, 0, 0) == 0, "trace a child");
  arguments->caller = child;
  return child;
}

static pid_t start_moved(void) { return arguments->caller = start_alone(); }

static pid_t start_sharing_files(void) { return start_with(CLONE_FILES); }
static pid_t start_sharing_directory(void) { return start_with(CLONE_FS); }

static pid_t start_sharing_memory(void) {
  static char stack[STACK] __attribute__((aligned(16)));
  return clone(run_and_end, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
}

static void turn_word(int side) { *flipped = values[side]; }
static void turn_by_signal(int side) {
  (void)side;
  usleep(chance(2000)); // an exec takes some 400 us, and must get through in the end
  if (arguments->caller > 0) kill(arguments->caller, SIGURG);
}

static void turn_number(int side) { dup2(sides[side], changing); }
static void turn_working(int side) { require(fchdir(sides[side]) == 0, "change the working directory"); }

static void flip(void *place, const char *harmless, const char *forbidden) {
  strcpy(place, harmless);
  flipped = place;
  values[0] = first_word(harmless);
  values[1] = first_word(forbidden);
}

static void prepare_path(void) { flip(arguments->path, ALLOWED, BANNED); }
static void prepare_many(void) {
  prepare_path();
  processes = PROCESSES;
}

static void write_to(const char *file, const char *text) {
  int descriptor = open(file, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  write(descriptor, text, strlen(text));
  close(descriptor);
}

// Takes whoever calls out of the control group that he is in, as fast as it can.
static void *move(void *unused) {
  const char *groups[] = {"/tmp/groups/other/cgroup.procs", "/tmp/groups/cgroup.procs"};
  char number[16];
  for (int side = 0; !attack->over; side ^= 1) {
    snprintf(number, sizeof number, "%d", arguments->caller);
    write_to(groups[side], number);
  }
  return unused;
}

static void prepare_moved(void) {
  prepare_path();
  require(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) == 0, "unshare");
  write_to("/proc/self/uid_map", "0 0 1");
  mkdir("/tmp/groups", 0755);
  require(mount("groups", "/tmp/groups", "cgroup2", 0, NULL) == 0, "mount control groups");
  require(mkdir("/tmp/groups/other", 0755) == 0 || errno == EEXIST, "make a control group");
  arguments->caller = getpid();
  start_thread(move, NULL);
}

static void prepare_script(void) { flip(arguments->path, "/public/script", "/banned/script"); }

static void prepare_argument(void) {
  strcpy(arguments->path, ALLOWED);
  flip(arguments->argument, "--public", "--banned");
}

static void prepare_pointer(void) {
  strcpy(arguments->path, ALLOWED);
  strcpy(arguments->other, "--banned");
  flipped = (uint64_t *)&arguments->argv[1];
  values[0] = (uintptr_t)arguments->argument;
  values[1] = (uintptr_t)arguments->other;
}

static void open_sides(const char *harmless, const char *forbidden) {
  sides[0] = open(harmless, O_PATH | O_CLOEXEC);
  sides[1] = open(forbidden, O_PATH | O_CLOEXEC);
  changing = dup(sides[0]);
  require(sides[0] >= 0 && sides[1] >= 0 && changing >= 0, "open what is exchanged");
}

static void prepare_folders(void) { open_sides("/public", "/banned"); }
static void prepare_programs(void) { open_sides(ALLOWED, BANNED); }

static void prepare_copy(void) {
  prepare_programs();
  close(sides[1]);
  sides[1] = memfd_create("copy", MFD_CLOEXEC);
  char buffer[65536];
  int program = open(BANNED, O_RDONLY);
  require(program >= 0 && sides[1] >= 0, "copy the program");
  for (ssize_t length; (length = read(program, buffer, sizeof buffer)) > 0;)
    require(write(sides[1], buffer, length) == length, "copy the program");
  close(program);
}

static const struct Kind {
  const char *name;
  void (*prepare)(void);
  void (*turn)(int);
  pid_t (*start)(void);
  void (*run)(void);
} KINDS[] = {
    {"path", prepare_path, turn_word, start_alone, by_execve},
    {"at", prepare_path, turn_word, start_alone, by_execveat},
    {"i386", prepare_path, turn_word, start_alone, by_i386},
    {"i386-at", prepare_path, turn_word, start_alone, by_i386_at},
    {"vfork", prepare_path, turn_word, start_sharing_memory, by_execve},
    {"threads", prepare_path, turn_word, start_alone, by_threads},
    {"traced", prepare_path, turn_word, start_alone, by_tracee},
    {"traced-many", prepare_many, turn_word, start_alone, by_tracee},
    {"traced-moved", prepare_moved, turn_word, start_moved, by_tracee},
    {"traced-argument", prepare_argument, turn_word, start_alone, by_tracee},
    {"traced-memfd", prepare_copy, turn_number, start_sharing_files, by_traced_copy},
    {"seized", prepare_path, turn_word, start_seized, by_execve},
    {"handler", prepare_path, turn_by_signal, start_interrupted, by_interrupted},
    {"traced-handler", prepare_path, turn_by_signal, start_interrupted, by_interrupted_tracee},
    {"script", prepare_script, turn_word, start_alone, by_execve},
    {"argument", prepare_argument, turn_word, start_alone, by_execve},
    {"pointer", prepare_pointer, turn_word, start_alone, by_execve},
    {"descriptor", prepare_folders, turn_number, start_sharing_files, by_descriptor},
    {"empty", prepare_programs, turn_number, start_sharing_files, by_empty_path},
    {"magic", prepare_programs, turn_number, start_sharing_files, by_magic_link},
    {"memfd", prepare_copy, turn_number, start_sharing_files, by_empty_path},
    {"working", prepare_folders, turn_working, start_sharing_directory, by_working},
};

static void *turn(void *argument) {
  const struct Kind *kind = argument;
  for (int side = 1; !attack->over; side ^= 1) kind->turn(side);
  return NULL;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  const struct Kind *kind = CHOSEN(KINDS, word(argc, argv, 0));
  arguments = shared_memory(sizeof *arguments);
  strcpy(arguments->argument, "--public");
  arguments->argv[0] = "program";
  arguments->argv[1] = arguments->argument;
  arguments->low_argv[0] = arguments->low_argv[1] = low(arguments->argument);
  kind->prepare();
  run = kind->run;
  start_thread(turn, (void *)kind);
  int is_first = 1;
  for (int more = 1; more < processes && is_first; more++) is_first = fork() != 0;
  while (!is_over()) count(executed(kind->start));
  if (!is_first) return 0;
  while (wait(NULL) > 0);
  return finish();
}

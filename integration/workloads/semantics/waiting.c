// SPDX-License-Identifier: Apache-2.0
// Opens that wait: fifos and leases, and what reaches a task meanwhile.
#include "check.h"
#include <sys/inotify.h>

enum { LINGER = 60 }; // long enough to be asleep in the kernel, in milliseconds

struct waiter {
  pid_t pid;
  int result; // the read end of its reports
};

static void open_and_tell(const char *path, int flags) {
  int fd = open(path, flags);
  tell(fd >= 0 ? "opened " : strerrorname_np(errno));
}

// A child that opens the fifo; `prepare` runs before.
static struct waiter waiting_with(void (*prepare)(void), int flags) {
  int reports[2];
  struct waiter waiter = {-1, -1};
  if (pipe(reports)) return say_errno(errno), waiter;
  waiter.pid = fork();
  if (waiter.pid == 0) {
    report_through(reports[1]);
    close(reports[0]);
    prepare();
    tell("started ");
    open_and_tell("fifo", flags);
    _exit(0);
  }
  close(reports[1]);
  waiter.result = reports[0];
  return waiter;
}

static void start_waiting(struct waiter *waiter, void (*prepare)(void), int flags) {
  attempt("fifo", mkfifo("fifo", 0666));
  *waiter = waiting_with(prepare, flags);
  say_reports(waiter->result, "started ");
  nap(LINGER);
}

static void nothing(void) {}
static void restarting(void) {
  sigaction(SIGUSR1, &(struct sigaction){.sa_handler = tell_of_signal, .sa_flags = SA_RESTART}, NULL);
}
static void not_restarting(void) { sigaction(SIGUSR1, &(struct sigaction){.sa_handler = tell_of_signal}, NULL); }
static void ignoring(void) { signal(SIGUSR1, SIG_IGN); }

static int released_with, released;

static int is_released(void) { return (released = open("fifo", released_with | O_NONBLOCK)) >= 0; }

// Opens the other end once the waiter waits.
static void release(int flags) {
  released_with = flags;
  say("released %d", within(PATIENCE, is_released));
}

static int is_deserted(void) {
  int fd = open("fifo", O_WRONLY | O_NONBLOCK);
  if (fd >= 0) close(fd);
  return fd < 0 && errno == ENXIO;
}

static void say_deserted(void) { say("deserted %d", is_deserted()); }

static void reader_waits_for_writer(void) {
  struct waiter waiter;
  start_waiting(&waiter, nothing, O_RDONLY);
  release(O_WRONLY);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void writer_waits_for_reader(void) {
  struct waiter waiter;
  start_waiting(&waiter, nothing, O_WRONLY);
  release(O_RDONLY);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void reader_and_writer_meet(void) {
  struct waiter reader, writer;
  start_waiting(&reader, nothing, O_RDONLY | O_CLOEXEC);
  writer = waiting_with(nothing, O_WRONLY | O_CREAT | O_TRUNC);
  say_reports(reader.result, "opened");
  say_reports(writer.result, "opened");
  say_exit(reader.pid);
  say_exit(writer.pid);
}

static void nobody_waits_for_nonblocking(void) {
  attempt("fifo", mkfifo("fifo", 0600));
  shown(open("fifo", O_WRONLY | O_NONBLOCK));
  shown(open("fifo", O_RDONLY | O_NONBLOCK));
  shown(open("fifo", O_WRONLY | O_NONBLOCK));
  shown(open("fifo", O_WRONLY));
  shown(open("fifo", O_RDONLY));
  shown(open("fifo", O_RDWR | O_CREAT, 0600));
  shown(open("fifo", O_RDONLY | O_CREAT | O_EXCL, 0600));
}

static void interrupt(void (*prepare)(void)) {
  struct waiter waiter;
  start_waiting(&waiter, prepare, O_RDONLY);
  kill(waiter.pid, SIGUSR1);
  say_reports(waiter.result, "EINTR");
  say_exit(waiter.pid);
  say_deserted();
}

static void signal_ends_the_wait(void) { interrupt(not_restarting); }

static void *idle(void *argument) {
  for (;;) pause();
  return argument;
}

static void with_another_thread(void) {
  pthread_t thread;
  not_restarting();
  pthread_create(&thread, NULL, idle, NULL);
}

// The kernel gives a signal for the whole process to its first thread.
static void signal_to_threads(void) { interrupt(with_another_thread); }

static void signal_with_restart(void) {
  struct waiter waiter;
  start_waiting(&waiter, restarting, O_RDONLY);
  kill(waiter.pid, SIGUSR1);
  say_reports(waiter.result, "handled");
  nap(LINGER);
  release(O_WRONLY);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void signals_again_and_again(void) {
  struct waiter waiter;
  start_waiting(&waiter, restarting, O_WRONLY);
  for (int count = 0; count < 3; count++) {
    kill(waiter.pid, SIGUSR1);
    say_reports(waiter.result, "handled");
    nap(LINGER / 2);
  }
  release(O_RDONLY);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void ignored_signal(void) {
  struct waiter waiter;
  start_waiting(&waiter, ignoring, O_RDONLY);
  kill(waiter.pid, SIGUSR1);
  nap(LINGER);
  release(O_WRONLY);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void killed_while_waiting(void) {
  struct waiter waiter;
  start_waiting(&waiter, nothing, O_RDONLY);
  kill(waiter.pid, SIGKILL);
  say_exit(waiter.pid);
  say_deserted();
}

// A writer that came and went would have left a hang-up.
static int has_no_writer(void) {
  struct pollfd ready = {open("fifo", O_RDONLY | O_NONBLOCK), POLLIN, 0};
  int events = poll(&ready, 1, 0);
  close(ready.fd);
  return events == 0;
}

static void terminated_while_waiting(void) {
  struct waiter waiter;
  start_waiting(&waiter, nothing, O_WRONLY);
  kill(waiter.pid, SIGTERM);
  say_exit(waiter.pid);
  say("deserted %d", has_no_writer());
}

static pid_t stopped;
static int wait_result;
static int is_stopped(void) { return waitpid(stopped, &wait_result, WNOHANG | WUNTRACED) == stopped; }
static int is_continued(void) { return waitpid(stopped, &wait_result, WNOHANG | WCONTINUED) == stopped; }

static void stopped_while_waiting(void) {
  struct waiter waiter;
  start_waiting(&waiter, nothing, O_RDONLY);
  stopped = waiter.pid;
  kill(stopped, SIGSTOP);
  say("stopped %d", within(PATIENCE, is_stopped) && WIFSTOPPED(wait_result));
  kill(stopped, SIGCONT);
  say("continued %d", within(PATIENCE, is_continued) && WIFCONTINUED(wait_result));
  nap(LINGER);
  release(O_WRONLY);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void seized_while_waiting(void) {
  struct waiter waiter;
  start_waiting(&waiter, nothing, O_RDONLY);
  stopped = waiter.pid;
  attempt("seize", ptrace(PTRACE_SEIZE, stopped, NULL, 0));
  attempt("interrupt", ptrace(PTRACE_INTERRUPT, stopped, NULL, NULL));
  say("stopped %d", within(PATIENCE, is_stopped));
  say("%d", wait_result >> 16);
  attempt("detach", ptrace(PTRACE_DETACH, stopped, NULL, NULL));
  nap(LINGER);
  release(O_WRONLY);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void *blocked_thread(void *argument) {
  int fd = open("fifo", O_RDONLY);
  return fd >= 0 ? argument : NULL;
}

static void other_threads_go_on(void) {
  attempt("fifo", mkfifo("fifo", 0600));
  make("file", 0644, "text");
  pthread_t threads[8];
  for (size_t index = 0; index < COUNT(threads); index++)
    pthread_create(&threads[index], NULL, blocked_thread, threads);
  nap(LINGER);
  int failed = 0, fd, opened = 0;
  for (int count = 0; count < 200; count++) failed += (fd = open("file", O_RDONLY)) < 0 || close(fd);
  execute(REPORT("pid"));
  fd = open("fifo", O_WRONLY);
  for (size_t index = 0; index < COUNT(threads); index++) {
    void *result;
    pthread_join(threads[index], &result), opened += result != NULL;
  }
  say("%d failed %d opened", failed, opened);
}

static void exit_with_blocked_threads(void) {
  pthread_t thread;
  for (int count = 0; count < 4; count++) pthread_create(&thread, NULL, blocked_thread, NULL);
  nap(LINGER);
  exit(7);
}

static void exec_with_blocked_threads(void) {
  pthread_t thread;
  for (int count = 0; count < 4; count++) pthread_create(&thread, NULL, blocked_thread, NULL);
  nap(LINGER);
  execv(SELF, REPORT("pid,threads,fds"));
}

static void end_of_blocked_threads(void) {
  attempt("fifo", mkfifo("fifo", 0600));
  say_exit(child_of(exit_with_blocked_threads));
  say_exit(child_of(exec_with_blocked_threads));
  say_deserted();
}

static void waits_at_the_name_it_had(void) {
  struct waiter waiter;
  start_waiting(&waiter, nothing, O_RDONLY);
  nap(SECOND / 2); // on a busy machine it takes its time to find the file
  attempt("rename", rename("fifo", "moved"));
  attempt("another", mkfifo("fifo", 0600));
  attempt("not this", open("fifo", O_WRONLY | O_NONBLOCK));
  int fd = open("moved", O_WRONLY | O_NONBLOCK);
  say("%d", fd >= 0);
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void through_links_and_descriptors(void) {
  struct waiter waiter;
  char path[64];
  start_waiting(&waiter, nothing, O_WRONLY);
  attempt("link", symlink("fifo", "link"));
  snprintf(path, sizeof path, "/proc/self/fd/%d", open("link", O_PATH));
  shown(open(path, O_RDONLY));
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static volatile sig_atomic_t breaking;
static void lease_breaks(int number) { breaking = number; }
static int is_breaking(void) { return breaking != 0; }

static void broken_lease(void) {
  make("fifo", 0600, "leased");
  signal(SIGIO, lease_breaks); // the waiter opens this name
  int fd = open("fifo", O_RDWR);
  attempt("lease", fcntl(fd, F_SETLEASE, F_WRLCK));
  attempt("at once", open("fifo", O_RDONLY | O_NONBLOCK));
  say("signal %d", within(PATIENCE, is_breaking));
  breaking = 0;
  struct waiter waiter = waiting_with(nothing, O_RDONLY);
  say_reports(waiter.result, "started ");
  nap(LINGER);
  attempt("give up", fcntl(fd, F_SETLEASE, F_UNLCK));
  say_reports(waiter.result, "opened");
  say_exit(waiter.pid);
}

static void lease_for_reading(void) {
  make("fifo", 0600, "leased");
  signal(SIGIO, lease_breaks);
  int fd = open("fifo", O_RDONLY);
  attempt("lease", fcntl(fd, F_SETLEASE, F_RDLCK));
  attempt("read", open("fifo", O_RDONLY));
  say("signal %d", is_breaking());
  struct waiter waiter = waiting_with(not_restarting, O_WRONLY | O_TRUNC);
  say_reports(waiter.result, "started ");
  say("signal %d", within(PATIENCE, is_breaking));
  nap(LINGER);
  kill(waiter.pid, SIGUSR1);
  say_reports(waiter.result, "EINTR");
  say_exit(waiter.pid);
  attempt("type", fcntl(fd, F_GETLEASE));
  say_text("fifo");
}

// Each file is new, and may not be opened for writing once it is there.
static void makes_among_signals(void) {
  enum { ROUNDS = 300 };
  int failed = 0;
  umask(0);
  start_ticks(300);
  for (int round = 0; round < ROUNDS; round++) {
    int fd = open("made", O_WRONLY | O_CREAT | (round % 2 ? O_EXCL : 0), 0400);
    failed += fd < 0;
    close(fd), unlink("made");
  }
  say_failed(failed, ROUNDS);
  say("%d", stop_ticks());
}

static int cut_file;
static volatile sig_atomic_t has_written;

static void write_once(int number) {
  if (number == SIGIO && !has_written) has_written = pwrite(cut_file, "new", 3, 0) == 3;
}

// The cut itself sends a signal, whose handler writes what must not be cut off once more.
static void cuts_among_signals(void) {
  enum { ROUNDS = 60 };
  int failed = 0;
  make("file", 0644, "text");
  cut_file = open("file", O_RDWR);
  sigaction(SIGIO, &(struct sigaction){.sa_handler = write_once, .sa_flags = SA_RESTART}, NULL);
  int events = inotify_init1(IN_NONBLOCK);
  attempt("watch", inotify_add_watch(events, "file", IN_MODIFY) < 0 ? -1 : 0);
  attempt("signals", fcntl(events, F_SETOWN, getpid()) | fcntl(events, F_SETFL, O_ASYNC | O_NONBLOCK));
  for (int round = 0; round < ROUNDS; round++) {
    struct stat facts;
    char queue[4096];
    has_written = 0;
    int fd = open("file", O_WRONLY | O_TRUNC | (round % 2 ? O_CREAT : 0), 0644);
    failed += fd < 0 || !has_written || fstat(fd, &facts) || facts.st_size != 3;
    close(fd);
    while (read(events, queue, sizeof queue) > 0) {
    }
  }
  say_failed(failed, ROUNDS);
}

// The other end comes once: who misses it waits for ever.
static void meets_among_signals(void) {
  enum { ROUNDS = 40 };
  int failed = 0, ticks = 0;
  attempt("fifo", mkfifo("fifo", 0666));
  for (int round = 0; round < ROUNDS; round++) {
    pid_t writer = fork();
    if (writer == 0) nap(10), _exit(open("fifo", O_WRONLY) < 0);
    start_ticks(1000);
    int fd = open("fifo", O_RDONLY);
    ticks += stop_ticks();
    failed += fd < 0 || close(fd) || waitpid(writer, NULL, 0) != writer;
  }
  say("%d failed %d", failed, ticks == ROUNDS);
}

FAMILY(waiting, {"reader-waits-for-writer", reader_waits_for_writer},
       {"writer-waits-for-reader", writer_waits_for_reader}, {"reader-and-writer-meet", reader_and_writer_meet},
       {"nobody-waits-for-nonblocking", nobody_waits_for_nonblocking}, {"signal-ends-the-wait", signal_ends_the_wait},
       {"signal-to-threads", signal_to_threads},
       {"signal-with-restart", signal_with_restart}, {"signals-again-and-again", signals_again_and_again},
       {"ignored-signal", ignored_signal}, {"killed-while-waiting", killed_while_waiting},
       {"terminated-while-waiting", terminated_while_waiting}, {"stopped-while-waiting", stopped_while_waiting},
       {"seized-while-waiting", seized_while_waiting}, {"other-threads-go-on", other_threads_go_on},
       {"end-of-blocked-threads", end_of_blocked_threads}, {"waits-at-the-name-it-had", waits_at_the_name_it_had},
       {"through-links-and-descriptors", through_links_and_descriptors}, {"broken-lease", broken_lease},
       {"lease-for-reading", lease_for_reading}, {"makes-among-signals", makes_among_signals},
       {"cuts-among-signals", cuts_among_signals}, {"meets-among-signals", meets_among_signals});

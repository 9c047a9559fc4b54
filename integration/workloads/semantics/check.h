// SPDX-License-Identifier: Apache-2.0
// What the checks share. A check runs in a process, a session and an empty folder of its own and writes words; all words
// together are its outcome. Whatever it changes (identity, limits, namespaces, descriptors) ends with its process.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SELF "/bin/semantics" // where the test puts this program
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { USER = 1000, GROUP = 2000, SECOND = 1000 /* milliseconds */, PATIENCE = 5 * SECOND };

struct check {
  const char *name;
  void (*run)(void);
};

struct family {
  const char *name;
  const struct check *checks;
  size_t count;
};

#define FAMILY(title, ...) \
  static const struct check checks_of_##title[] = {__VA_ARGS__}; \
  const struct family title = {#title, checks_of_##title, COUNT(checks_of_##title)}

extern const struct family flags, openat2_calls, paths, rights, sticky, context, namespaces, proc, own_files, devices,
    waiting, interrupted, effects, others, foreign, names, connections, exec_errors, exec_image, exec_state, traced;

// Words of the outcome.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_errno(int error);
long attempt(const char *what, long result); // says `what` and the errno, if the result is -1; returns the result
int shown(int fd);                           // says what is known of a new descriptor, or the errno; returns it
void say_text(const char *path);             // says what the file holds
void say_bytes(const char *bytes, size_t count);
void say_name(const char *name);             // a path, without the numbers that differ between two runs
void say_link(const char *path);             // says where a link points
void say_exit(pid_t child);                  // waits, and says how the child ended

// Files of the check's folder.
void make(const char *path, mode_t mode, const char *text); // exactly this mode, whatever the umask
void copy_self(const char *path, mode_t mode);              // this program under another name
size_t slurp(const char *path, char *buffer, size_t size);  // reads the start of a file, ends it with NUL
int count_fds(void);

// Children and threads.
pid_t child_of(void (*run)(void));   // runs in a child, which exits with 0
void run_thread(void (*run)(void));  // runs in a thread, to its end
pid_t thread_id(void);
void execute(char *const argv[]);    // in a child; says how it failed or ended
void become(uid_t uid, gid_t gid);   // without further groups and capabilities
void keep_capabilities(uint32_t low); // none but these, of the first 32
void drop_effective_capabilities(void);
void nap(int milliseconds);
int within(int milliseconds, int (*condition)(void));
void report_through(int fd);         // a child's words go there, to be read by say_reports
void tell(const char *word);
void tell_of_signal(int number);     // a handler
void say_reports(int reports, const char *word); // what a child told until `word`, or until nothing more comes
void start_ticks(int microseconds);  // SIGALRM again and again, to a handler that restarts calls
int stop_ticks(void);                // whether any came
void say_failed(int failed, int calls); // how many; up to one in twenty are few

// The program that exec checks execute: `semantics report=WORD,WORD.. ARGUMENTS`.
int report(int argc, char **argv);
#define REPORT(words) ((char *[]){SELF, "report=" words, NULL})

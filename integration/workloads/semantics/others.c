// SPDX-License-Identifier: Apache-2.0
// Others that have a say in an open: Landlock, a listener of fanotify, and a thread that brings the path's memory late.
#include "check.h"
#include <linux/landlock.h>
#include <linux/userfaultfd.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>

static void restrict_to(const char *folder) {
  struct landlock_ruleset_attr rights = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE |
                                                              LANDLOCK_ACCESS_FS_WRITE_FILE |
                                                              LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_EXECUTE};
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof rights, 0);
  attempt("ruleset", ruleset);
  struct landlock_path_beneath_attr beneath = {rights.handled_access_fs, open(folder, O_PATH | O_CLOEXEC)};
  attempt("rule", syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0));
  attempt("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  attempt("restrict", syscall(SYS_landlock_restrict_self, ruleset, 0));
}

static void try_all(void) {
  shown(open("inside/file", O_RDWR));
  shown(open("inside/new", O_RDWR | O_CREAT | O_EXCL, 0600));
  shown(open("outside", O_RDONLY));
  shown(open("outside", O_WRONLY));
  shown(open("made", O_RDWR | O_CREAT, 0600));
  shown(open("/etc/hostname", O_RDONLY));
  shown(open(".", O_RDONLY | O_DIRECTORY));
  execute(REPORT("argv"));
}

static void restricted(void) {
  mkdir("inside", 0755);
  make("inside/file", 0644, "inside");
  make("outside", 0644, "outside");
  restrict_to("inside");
  try_all();
  unlink("inside/new");
  say_exit(child_of(try_all)); // children inherit it
}

static void restrict_thread(void) {
  restrict_to("inside");
  shown(open("outside", O_RDONLY));
}

static void restricted_thread(void) {
  mkdir("inside", 0755);
  make("outside", 0644, "outside");
  run_thread(restrict_thread);
  shown(open("outside", O_RDONLY));
}

static void open_and_end(void) {
  nap(20);
  shown(open("file", O_RDONLY));
}

// The listener learns which process opened.
static void who_opened(void) {
  make("file", 0644, "text");
  int listener = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);
  if (attempt("init", listener) < 0) return;
  if (attempt("mark", fanotify_mark(listener, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "file")) < 0) return;
  pid_t child = child_of(open_and_end);
  struct fanotify_event_metadata event;
  say("%d", read(listener, &event, sizeof event) == sizeof event && event.pid == child);
  say_exit(child);
}

static int permission_listener;

// Opens a file of its own before it answers.
static void *answer(void *argument) {
  struct fanotify_event_metadata event;
  for (int answers = 0; answers < 2; answers++) {
    if (read(permission_listener, &event, sizeof event) != sizeof event) return NULL;
    int other = open("other", O_RDONLY | O_CLOEXEC);
    struct fanotify_response response = {event.fd, answers == 0 ? FAN_ALLOW : FAN_DENY};
    if (other < 0 || write(permission_listener, &response, sizeof response) != sizeof response) return NULL;
    close(other);
    close(event.fd);
  }
  return argument;
}

static void open_twice(void) {
  shown(open("file", O_RDONLY));
  shown(open("file", O_RDONLY));
}

static void another_is_asked(void) {
  make("file", 0644, "text");
  make("other", 0644, "text");
  permission_listener = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
  if (attempt("init", permission_listener) < 0) return;
  if (attempt("mark", fanotify_mark(permission_listener, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "file")) < 0) return;
  pthread_t thread;
  void *result;
  pthread_create(&thread, NULL, answer, &permission_listener);
  say_exit(child_of(open_twice));
  pthread_join(thread, &result);
  say("%d", result != NULL);
}

static struct uffdio_copy late_page;

static void *bring_page(void *argument) {
  int faults = *(int *)argument;
  struct uffd_msg message;
  if (read(faults, &message, sizeof message) != sizeof message) return NULL;
  nap(20);
  int other = open("other", O_RDONLY | O_CLOEXEC); // while the first open waits for its path
  say("%d", other >= 0);
  return ioctl(faults, UFFDIO_COPY, &late_page) ? NULL : argument;
}

static void path_comes_late(void) {
  make("file", 0644, "text");
  make("other", 0644, "text");
  static char content[4096] __attribute__((aligned(4096))) = "file";
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  struct uffdio_api api = {.api = UFFD_API};
  struct uffdio_register range = {{(uintptr_t)page, 4096}, UFFDIO_REGISTER_MODE_MISSING, 0};
  late_page = (struct uffdio_copy){.dst = (uintptr_t)page, .src = (uintptr_t)content, .len = 4096};
  if (attempt("userfaultfd", faults) < 0) return;
  if (attempt("register", ioctl(faults, UFFDIO_API, &api) || ioctl(faults, UFFDIO_REGISTER, &range) ? -1 : 0)) return;
  pthread_t thread;
  pthread_create(&thread, NULL, bring_page, &faults);
  int fd = (int)syscall(SYS_open, page, O_RDONLY);
  pthread_join(thread, NULL);
  shown(fd);
}

FAMILY(others, {"restricted", restricted}, {"restricted-thread", restricted_thread}, {"who-opened", who_opened},
       {"another-is-asked", another_is_asked}, {"path-comes-late", path_comes_late});

// SPDX-License-Identifier: Apache-2.0
// Which program runs after an exec, under which name, with which arguments and identity.
#include "check.h"
#include <linux/capability.h>
#include <linux/memfd.h>
#include <spawn.h>
#include <sys/xattr.h>

#define NAMES "report=argv,execfn,exe,comm,cmdline"

static void by_path(void) {
  copy_self("program", 0755);
  attempt("link", symlink("program", "link"));
  static char *const PATHS[] = {"program",
                                "./program",
                                "link",
                                "/tmp/semantics/exec-by-path/program",
                                "../exec-by-path/./link",
                                "/proc/self/cwd/program"};
  for (size_t index = 0; index < COUNT(PATHS); index++) {
    pid_t child = fork();
    if (child == 0) {
      execl(PATHS[index], "called so", NAMES, "one", "", "two words", NULL);
      say_errno(errno);
      _exit(9);
    }
    say_exit(child);
  }
}

static void scripts(void) {
  make("plain", 0755, "#!/bin/semantics\n");
  make("with-word", 0755, "#!/bin/semantics " NAMES "\n");
  make("two-words", 0755, "#! \t/bin/semantics " NAMES " second  \n");
  make("nested", 0755, "#!./with-word third\n");
  make("no-newline", 0755, "#!/bin/semantics " NAMES);
  make("relative", 0755, "#!../../../bin/semantics " NAMES "\n");
  execute((char *[]){"./plain", NAMES, NULL});
  execute((char *[]){"with-word", "one", "two words", NULL});
  execute((char *[]){"./two-words", NULL});
  execute((char *[]){"./nested", "one", NULL});
  execute((char *[]){"./no-newline", "x", NULL});
  execute((char *[]){"./relative", NULL});
}

static void scripts_of_scripts(void) {
  make("s0", 0755, "#!/bin/semantics report=argv,execfn\n");
  for (int level = 1; level < 7; level++) {
    char name[8], text[32];
    snprintf(name, sizeof name, "./s%d", level);
    snprintf(text, sizeof text, "#!./s%d w%d\n", level - 1, level);
    make(name, 0755, text);
    say("%d", level);
    execute((char *[]){name, "end", NULL});
  }
}

static void shell_script(void) {
  make("script", 0755,
       "#!/bin/sh\ncase $0 in ./script) printf \" $# $1\";; esac\nread line < /etc/hostname; printf \" $line\"; "
       "exec " SELF " report=argv,pid\n");
  execute((char *[]){"./script", "one", "two", NULL});
}

static void by_descriptor(void) {
  copy_self("program", 0755);
  make("script", 0755, "#!/bin/semantics " NAMES "\n");
  const int OPENED[] = {open("program", O_RDONLY), open("program", O_RDONLY | O_CLOEXEC), open("program", O_PATH),
                        open("script", O_RDONLY), open("script", O_RDONLY | O_CLOEXEC)};
  for (size_t index = 0; index < COUNT(OPENED); index++) {
    pid_t child = fork();
    char *argv[] = {"called", NAMES, NULL};
    if (child == 0) {
      fexecve(OPENED[index], argv, (char *[]){NULL});
      say_errno(errno);
      _exit(9);
    }
    say_exit(child);
  }
}

static void by_dirfd(void) {
  mkdir("dir", 0755);
  copy_self("dir/program", 0755);
  make("dir/script", 0755, "#!/bin/semantics " NAMES "\n");
  const int DIRS[] = {open("dir", O_PATH | O_DIRECTORY), open("dir", O_RDONLY | O_CLOEXEC)};
  static const char *const WHICH[] = {"program", "script"};
  for (size_t index = 0; index < 4; index++) {
    pid_t child = fork();
    char *argv[] = {"called", NAMES, NULL};
    if (child == 0) {
      syscall(SYS_execveat, DIRS[index / 2], WHICH[index % 2], argv, environ, 0);
      say_errno(errno);
      _exit(9);
    }
    say_exit(child);
  }
}

static void by_proc_fd(void) {
  copy_self("program", 0755);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", open("program", O_RDONLY | O_CLOEXEC));
  execute((char *[]){path, NAMES, NULL});
  path[0] = '/';
  snprintf(path, sizeof path, "/dev/fd/%d", open("program", O_RDONLY));
  execute((char *[]){path, NAMES, NULL});
}

static void of_self(void) {
  execute((char *[]){"/proc/self/exe", NAMES, NULL});
  execute((char *[]){"/proc/thread-self/exe", NAMES, NULL});
  attempt("chdir", chdir("/proc/self"));
  execute((char *[]){"exe", NAMES, NULL});
  execute((char *[]){"root/bin/semantics", NAMES, NULL});
}

static void from_memory(void) {
  int memory = memfd_create("program", 0), from = open(SELF, O_RDONLY | O_CLOEXEC);
  struct stat size;
  char path[64];
  fstat(from, &size);
  attempt("copy", copy_file_range(from, NULL, memory, NULL, 0, 0));
  char *whole = mmap(NULL, (size_t)size.st_size, PROT_READ, MAP_PRIVATE, from, 0);
  say("%d", write(memory, whole, (size_t)size.st_size) == size.st_size);
  snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
  execute((char *[]){path, NAMES, NULL}); // still open for writing
  int reopened = open(path, O_RDONLY | O_CLOEXEC);
  close(memory);
  snprintf(path, sizeof path, "/proc/self/fd/%d", reopened);
  execute((char *[]){path, NAMES, NULL});
  pid_t child = fork();
  if (child == 0) {
    fexecve(reopened, (char *[]){"called", NAMES, NULL}, environ);
    say_errno(errno);
    _exit(9);
  }
  say_exit(child);
}

static void deleted_program(void) {
  copy_self("program", 0755);
  int fd = open("program", O_PATH | O_CLOEXEC);
  attempt("unlink", unlink("program"));
  pid_t child = fork();
  if (child == 0) {
    fexecve(fd, (char *[]){"called", NAMES, NULL}, environ);
    say_errno(errno);
    _exit(9);
  }
  say_exit(child);
  copy_self("program", 0755);
  execute((char *[]){"./program", "report=again", NULL});
}

static void environments(void) {
  pid_t child = fork();
  if (child == 0) {
    execle(SELF, SELF, "report=argv,env", NULL, (char *[]){"A=one", "B=", "not a pair", "", NULL});
    _exit(9);
  }
  say_exit(child);
  child = fork();
  if (child == 0) {
    execle(SELF, SELF, "report=argv,env", NULL, (char *[]){NULL});
    _exit(9);
  }
  say_exit(child);
}

static void run_identities(const char *const *names, size_t count) {
  for (size_t index = 0; index < count; index++)
    execute((char *[]){(char *)names[index], "report=ids,rights,files", NULL});
}

static const char *const SETUID[] = {"/probe/setuid-root",   "/probe/setgid-group",
                                     "/probe/setuid-user",   "/probe/nosuid/setuid-root",
                                     "/probe/setuid-script", "/probe/readonly/setuid-root"};

static void set_user_id(void) { run_identities(SETUID, COUNT(SETUID)); }

static void set_user_id_as_user(void) {
  become(USER, USER);
  run_identities(SETUID, COUNT(SETUID));
}

static void set_user_id_as_stranger(void) {
  become(3000, 3000);
  run_identities(SETUID, COUNT(SETUID));
}

static void set_user_id_without_new_privileges(void) {
  attempt("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  become(USER, USER);
  run_identities(SETUID, COUNT(SETUID));
}

static void set_user_id_by_descriptor(void) {
  int fd = open("/probe/setuid-root", O_PATH | O_CLOEXEC);
  become(USER, USER);
  pid_t child = fork();
  if (child == 0) {
    fexecve(fd, (char *[]){"called", "report=ids,exe", NULL}, environ);
    say_errno(errno);
    _exit(9);
  }
  say_exit(child);
}

static void file_capabilities(void) {
  copy_self("program", 0755);
  struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                              .data = {{1u << CAP_NET_BIND_SERVICE | 1u << CAP_DAC_OVERRIDE, 0}, {0, 0}}};
  attempt("setxattr", setxattr("program", "security.capability", &data, sizeof data, 0));
  become(USER, USER);
  execute((char *[]){"./program", "report=ids,rights,files", NULL});
}

static void spawned(void) {
  static char *const PATHS[] = {SELF, "/missing", "/probe"};
  for (size_t index = 0; index < COUNT(PATHS); index++) {
    pid_t child = -1;
    int failed =
        posix_spawn(&child, PATHS[index], NULL, NULL, (char *[]){"spawned", "report=argv,pid,fds", NULL}, environ);
    if (failed)
      say_errno(failed);
    else
      say_exit(child);
  }
}

static void vfork_and_execute(const char *path) {
  pid_t child = vfork();
  if (child == 0) {
    execl(path, "called", "report=argv,pid", NULL);
    _exit(errno == ENOENT ? 2 : 3);
  }
  say_exit(child);
}

static void by_vfork(void) {
  vfork_and_execute(SELF);
  vfork_and_execute("/missing");
  vfork_and_execute(SELF);
}

FAMILY(exec_image, {"exec-by-path", by_path}, {"exec-scripts", scripts},
       {"exec-scripts-of-scripts", scripts_of_scripts}, {"exec-shell-script", shell_script},
       {"exec-by-descriptor", by_descriptor}, {"exec-by-dirfd", by_dirfd}, {"exec-by-proc-fd", by_proc_fd},
       {"exec-of-self", of_self}, {"exec-from-memory", from_memory}, {"exec-of-deleted-program", deleted_program},
       {"exec-environments", environments}, {"exec-set-user-id", set_user_id},
       {"exec-set-user-id-as-user", set_user_id_as_user}, {"exec-set-user-id-as-stranger", set_user_id_as_stranger},
       {"exec-set-user-id-without-new-privileges", set_user_id_without_new_privileges},
       {"exec-set-user-id-by-descriptor", set_user_id_by_descriptor}, {"exec-file-capabilities", file_capabilities},
       {"exec-spawned", spawned}, {"exec-by-vfork", by_vfork});

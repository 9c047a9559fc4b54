// SPDX-License-Identifier: Apache-2.0
// Execs that fail, each with its errno, and what is left of the caller afterwards.
#include "check.h"
#include <elf.h>

static void try_exec(const char *path) {
  char *argv[] = {(char *)path, "report=argv", NULL};
  say("%.40s", path);
  fflush(stdout);
  execute(argv);
}

static void files_that_are_no_programs(void) {
  make("empty", 0755, "");
  make("text", 0755, "echo no\n");
  make("plain", 0644, "#!/bin/semantics report=argv\n");
  make("short", 0755, "#");
  make("elf", 0755, "\177ELF");
  mkdir("dir", 0755);
  attempt("fifo", mkfifo("fifo", 0755));
  attempt("links", symlink("self", "self") | symlink("nowhere", "dangling"));
  static const char *const NAMES[] = {"empty", "text",   "plain",     "short",           "elf",    "dir",
                                      "fifo",  "self",   "dangling",  "missing",         "text/x", "dir/",
                                      "",      "none/x", "/dev/null", "/probe/root-0644"};
  for (size_t index = 0; index < COUNT(NAMES); index++) try_exec(NAMES[index]);
}

static void names_that_are_too_long(void) {
  char name[300], path[PATH_MAX + 16];
  memset(name, 'n', 256);
  name[256] = 0;
  try_exec(name);
  memset(path, '/', sizeof path);
  path[0] = '.';
  strcpy(path + PATH_MAX - 8, "missing");
  try_exec(path);
  strcpy(path + PATH_MAX - 7, "missing");
  path[PATH_MAX - 8] = '/';
  try_exec(path);
}

static void with_too_much(void) {
  static char long_word[200000];
  memset(long_word, 'x', sizeof long_word - 1);
  execute((char *[]){SELF, "report=pid", long_word, NULL});
  long_word[131071] = 0;
  execute((char *[]){SELF, "report=pid", long_word, NULL});
  long_word[131072 - 2] = 0;
  char **argv = calloc(40, sizeof *argv);
  argv[0] = SELF;
  argv[1] = "report=pid";
  for (int index = 2; index < 39; index++) argv[index] = long_word;
  execute(argv);
  struct rlimit limit = {1 << 20, RLIM_INFINITY};
  attempt("stack", setrlimit(RLIMIT_STACK, &limit));
  argv[12] = NULL;
  execute(argv);
  argv[3] = NULL;
  execute(argv);
}

static void faults(void) {
  char *bad = (char *)16, *argv[] = {SELF, "report=argv", NULL}, *argv_bad[] = {SELF, bad, NULL};
  make("file", 0755, "x");
  attempt("path", (int)syscall(SYS_execve, NULL, argv, environ));
  attempt("argv", (int)syscall(SYS_execve, SELF, bad, environ));
  attempt("word", (int)syscall(SYS_execve, SELF, argv_bad, environ));
  attempt("envp", (int)syscall(SYS_execve, SELF, argv, bad));
  attempt("missing first", (int)syscall(SYS_execve, "missing", bad, environ));
  attempt("file first", (int)syscall(SYS_execve, "file", argv_bad, environ));
}

static void without_arguments(void) {
  static char copied[] = "report=argv";
  say("null");
  fflush(stdout);
  for (int which = 0; which < 3; which++) {
    pid_t child = fork();
    char *none[] = {NULL}, *one[] = {"", copied, NULL};
    if (child == 0)
      _exit(syscall(SYS_execve, which == 2 ? "/bin/true" : "/bin/true",
                    which == 0   ? NULL
                    : which == 1 ? none
                                 : one,
                    NULL)
                ? errno
                : 0);
    say_exit(child);
  }
}

static void written_to(void) {
  copy_self("program", 0755);
  int fd = open("program", O_RDWR);
  try_exec("program");
  close(fd);
  try_exec("program");
  make("script", 0755, "#!./program report=argv\n");
  fd = open("script", O_WRONLY | O_APPEND);
  try_exec("./script");
  close(fd);
  try_exec("./script");
  fd = open("program", O_WRONLY);
  try_exec("./script");
  close(fd);
}

static void scripts_that_fail(void) {
  make("missing", 0755, "#!/nowhere x\n");
  make("folder", 0755, "#!/tmp\n");
  make("text", 0755, "words\n");
  make("to-text", 0755, "#!./text\n");
  make("nothing", 0755, "#!\n");
  make("blank", 0755, "#!   \t \n");
  make("relative", 0755, "#!none/x\n");
  make("no-right", 0644, "#!/bin/semantics\n");
  make("to-no-right", 0755, "#!./no-right\n");
  make("self", 0755, "#!./self\n");
  static const char *const NAMES[] = {"./missing", "./folder",   "./to-text",     "./nothing",
                                      "./blank",   "./relative", "./to-no-right", "./self"};
  for (size_t index = 0; index < COUNT(NAMES); index++) try_exec(NAMES[index]);
  char text[600] = "#!/bin/semantics ";
  memset(text + strlen(text), 'a', 400);
  make("long", 0755, text);
  try_exec("./long");
  memset(text, 'b', 500);
  memcpy(text, "#!/", 3);
  make("long-name", 0755, text);
  try_exec("./long-name");
}

static void damage(const char *path, size_t offset, const char *bytes, size_t count) {
  copy_self(path, 0755);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (pwrite(fd, bytes, count, (off_t)offset) < 0) say_errno(errno);
  close(fd);
}

static void damaged_programs(void) {
  damage("class", EI_CLASS, "\7", 1);
  try_exec("./class");
  damage("machine", offsetof(Elf64_Ehdr, e_machine), "\x99\x99", 2);
  try_exec("./machine");
  damage("type", offsetof(Elf64_Ehdr, e_type), "\1\0", 2);
  try_exec("./type");
  damage("headers", offsetof(Elf64_Ehdr, e_phnum), "\0\0", 2);
  try_exec("./headers");
  damage("offset", offsetof(Elf64_Ehdr, e_phoff), "\xff\xff\xff\x7f", 4);
  try_exec("./offset");
  copy_self("cut", 0755);
  attempt("cut", truncate("cut", 4000));
  try_exec("./cut");
  damage("entry", offsetof(Elf64_Ehdr, e_entry), "\0\0\0\0", 4);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  try_exec("./entry");
}

// A program whose loader is missing: the one program header is turned into PT_INTERP.
static void missing_loader(void) {
  copy_self("program", 0755);
  Elf64_Ehdr header;
  Elf64_Phdr program;
  int fd = open("program", O_RDWR | O_CLOEXEC);
  static const char *const LOADERS[] = {"/no/such/loader", "/tmp", "/etc/hostname"};
  for (size_t index = 0; index < COUNT(LOADERS); index++) {
    off_t end = 0x1000;
    if (fd < 0) fd = open("program", O_RDWR | O_CLOEXEC);
    if (pread(fd, &header, sizeof header, 0) < 0 || pread(fd, &program, sizeof program, (off_t)header.e_phoff) < 0)
      return say_errno(errno);
    program = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = (Elf64_Off)end, .p_filesz = strlen(LOADERS[index]) + 1};
    if (pwrite(fd, LOADERS[index], program.p_filesz, end) < 0 ||
        pwrite(fd, &program, sizeof program, (off_t)header.e_phoff) < 0)
      return say_errno(errno);
    close(fd);
    fd = -1;
    try_exec("./program");
  }
}

static void mounts_that_forbid(void) {
  try_exec("/probe/noexec/program");
  try_exec("/probe/readonly/program");
  try_exec("/dev/shm");
  try_exec("/proc/self/comm");
  try_exec("/proc/self/fd/1");
  make("script", 0755, "#!/probe/noexec/program report=argv\n");
  try_exec("./script");
}

static void as_user(void) {
  become(USER, USER);
  try_exec("/probe/root-0711");
  try_exec("/probe/root-0700");
  try_exec("/probe/dir-0700/program");
  try_exec("/probe/group-0750");
}

static void permissions(void) {
  try_exec("/probe/root-0711");
  try_exec("/probe/root-0700");
  try_exec("/probe/group-0750");
  try_exec("/probe/dir-0700/program");
  say_exit(child_of(as_user));
  make("none", 0, "#!/bin/semantics report=argv\n");
  try_exec("./none");
  make("unreadable", 0111, "#!/bin/semantics report=argv\n");
  try_exec("./unreadable");
}

static void path_search(void) {
  mkdir("first", 0755);
  mkdir("second", 0755);
  mkdir("third", 0755);
  make("first/tool", 0644, "x");
  make("third/tool", 0755, "#!/bin/semantics report=argv\n");
  make("first/text", 0755, "exit 5\n");
  setenv("PATH", "none:first:second:third", 1);
  static char *const TOOLS[] = {"tool", "other", "text", "./third/tool"};
  for (size_t index = 0; index < COUNT(TOOLS); index++) {
    pid_t child = fork();
    if (child == 0) {
      execlp(TOOLS[index], TOOLS[index], "word", NULL);
      say_errno(errno);
      _exit(9);
    }
    say_exit(child);
  }
  setenv("PATH", "first", 1);
  pid_t child = fork();
  if (child == 0) {
    execlp("tool", "tool", NULL);
    say_errno(errno);
    _exit(9);
  }
  say_exit(child);
}

static void at_calls(void) {
  mkdir("dir", 0755);
  make("dir/script", 0755, "#!/bin/semantics report=argv,execfn\n");
  attempt("link", symlink("dir/script", "link"));
  int dir = open("dir", O_PATH | O_DIRECTORY | O_CLOEXEC), file = open("dir/script", O_RDONLY | O_CLOEXEC);
  const struct {
    int fd;
    const char *path;
    int flags;
  } CALLS[] = {{dir, "missing", 0},
               {-1, "script", 0},
               {file, "script", 0},
               {dir, "", 0},
               {dir, "", AT_EMPTY_PATH},
               {999, "", AT_EMPTY_PATH},
               {AT_FDCWD, "", AT_EMPTY_PATH},
               {AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW},
               {AT_FDCWD, "link", 0x40000},
               {file, "", AT_EMPTY_PATH},
               {dir, "script", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW}};
  for (size_t index = 0; index < COUNT(CALLS); index++) {
    pid_t child = fork();
    char *argv[] = {"called", NULL};
    if (child == 0) {
      syscall(SYS_execveat, CALLS[index].fd, CALLS[index].path, argv, environ, CALLS[index].flags);
      say_errno(errno);
      _exit(9);
    }
    say_exit(child);
  }
}

static void caller_goes_on(void) {
  make("file", 0755, "words");
  int fd = open("file", O_RDONLY | O_CLOEXEC);
  signal(SIGUSR1, SIG_IGN);
  for (int count = 0; count < 200; count++) {
    execl("missing", "missing", NULL);
    execl("file", "file", NULL);
    execl("/probe", "x", NULL);
  }
  say_errno(errno);
  say("%d", fcntl(fd, F_GETFD));
  say("%d", count_fds());
  execl(SELF, SELF, "report=fds,tracer,threads,pid", NULL);
}

static void too_many_processes(void) {
  struct rlimit limit = {0, 0};
  int there[2];
  char byte;
  attempt("pipe", pipe2(there, O_CLOEXEC));
  pid_t other = fork(); // somebody must be there for there to be one too many
  if (other == 0) {
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO); // it has nothing to say
    become(USER, USER);
    close(there[1]);
    pause();
  }
  close(there[1]);
  attempt("other", read(there[0], &byte, 1)); // the end of it: the other has become the user
  attempt("setrlimit", setrlimit(RLIMIT_NPROC, &limit));
  become(USER, USER);
  execl(SELF, SELF, "report=ids", NULL);
  say_errno(errno);
}

FAMILY(exec_errors, {"exec-of-no-programs", files_that_are_no_programs},
       {"exec-of-long-names", names_that_are_too_long}, {"exec-with-too-much", with_too_much}, {"exec-faults", faults},
       {"exec-without-arguments", without_arguments}, {"exec-of-written-file", written_to},
       {"exec-of-bad-scripts", scripts_that_fail}, {"exec-of-damaged-programs", damaged_programs},
       {"exec-without-loader", missing_loader}, {"exec-on-forbidding-mounts", mounts_that_forbid},
       {"exec-permissions", permissions}, {"exec-path-search", path_search}, {"execveat-calls", at_calls},
       {"exec-failing-leaves-all", caller_goes_on}, {"exec-over-process-limit", too_many_processes});

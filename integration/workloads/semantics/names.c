// SPDX-License-Identifier: Apache-2.0
// Calls that make, move, remove and change files without opening them.
#include "check.h"
#include <grp.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#define CALL(call) attempt(#call, call)

static const char *volatile no_text; // a null pointer that the compiler does not know
#define NONE no_text

// What is there, without following a link.
static void look(const char *path) {
  struct stat status;
  if (lstat(path, &status)) return say_errno(errno);
  say("%o %u:%u", status.st_mode, status.st_uid, status.st_gid);
  if (!S_ISDIR(status.st_mode)) say("links %u", (unsigned)status.st_nlink);
}

static char *repeated(char letter, size_t count) {
  char *text = malloc(count + 1);
  memset(text, letter, count);
  text[count] = 0;
  return text;
}

static void set_scene(void) {
  CALL(mkdir("dir", 0755));
  CALL(mkdir("empty", 0755));
  make("dir/file", 0644, "inside");
  make("file", 0644, "text");
  CALL(symlink("dir", "to-dir"));
  CALL(symlink("file", "to-file"));
  CALL(symlink("nowhere", "to-nothing"));
  CALL(symlink("loop", "loop"));
}

// Paths that lead to a name in every way, and those that lead nowhere.
static const char *const PATHS[] = {
    "new",         "new/",        "new//",     "dir/new",        "to-dir/new",        "to-dir/",
    "file",        "file/",       "file/new",  "missing/new",    "to-nothing",        "to-nothing/",
    "to-file",     "to-file/",    "loop",      "loop/new",       ".",                 "..",
    "dir/.",       "dir/..",      "/",         "//",             "",                  "empty",
    "empty/",      "to-nothing/x", "/nowhere/new", "/proc/self/new", "/proc/self/cwd/new", "/proc/self/cwd",
    "/proc/thread-self/cwd/dir/new", "/dev/null/new", "/probe/readonly/new", "/probe/readonly/file", "/probe/readonly",
    "/probe/dir-0700/new", "/probe/dir-0711/new", "/sys/new", "/proc", "/dev/fd/new"};

static void on_all_paths(const char *what, int (*call)(const char *)) {
  for (size_t index = 0; index < COUNT(PATHS); index++) {
    say("[%s]", PATHS[index]);
    attempt(what, call(PATHS[index]));
  }
  attempt("long", call(repeated('n', 255)));
  attempt("longer", call(repeated('n', 256)));
  attempt("longest", call(repeated('/', 4095)));
  attempt("too long", call(repeated('/', 4096)));
  attempt("null", call(NONE));
  attempt("unmapped", call((const char *)8));
}

static int make_directory(const char *path) { return mkdir(path, 0777); }

static void directories(void) {
  set_scene();
  on_all_paths("mkdir", make_directory);
  look("new");
  look("to-nothing");
  look("dir/new");
  rmdir("/probe/dir-0700/new");
  rmdir("/probe/dir-0711/new");
}

static void modes_of_directories(void) {
  static const mode_t MASKS[] = {0, 022, 027, 0777};
  CALL(mkdir("group", 0755));
  CALL(chown("group", -1, getgid()));
  CALL(chmod("group", 02775));
  for (size_t index = 0; index < COUNT(MASKS); index++) {
    char name[32];
    umask(MASKS[index]);
    snprintf(name, sizeof name, "group/%zu", index);
    attempt("mkdir", mkdir(name, 07777));
    look(name);
    snprintf(name, sizeof name, "%zu", index);
    attempt("mkdirat", syscall(SYS_mkdirat, AT_FDCWD, name, 0177777));
    look(name);
    attempt("symlink", symlink("text", strcat(name, "-link")));
    look(name);
    attempt("fifo", mknod(strcat(name, "-fifo"), S_IFIFO | 07777, 0));
    look(name);
  }
}

static int remove_file(const char *path) { return unlink(path); }

static void removed_files(void) {
  set_scene();
  on_all_paths("unlink", remove_file);
  look("file");
  look("dir/file");
  CALL(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR | AT_SYMLINK_NOFOLLOW));
  CALL(unlinkat(AT_FDCWD, "dir/file", 0));
  CALL(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
}

static int remove_directory(const char *path) { return rmdir(path); }

static void removed_directories(void) {
  set_scene();
  on_all_paths("rmdir", remove_directory);
  look("empty");
  CALL(rmdir("dir"));
  CALL(mkdir("here", 0755));
  CALL(chdir("here"));
  CALL(rmdir("../here"));
  CALL(mkdir("new", 0755));
  CALL(symlink("text", "new"));
  CALL(rmdir("."));
  CALL(rmdir(".."));
}

static int make_symlink(const char *path) { return symlink("text", path); }

static void symlinks(void) {
  set_scene();
  on_all_paths("symlink", make_symlink);
  CALL(symlink("", "another"));
  attempt("long", symlink(repeated('t', 4095), "another"));
  attempt("too long", symlink(repeated('t', 4096), "one-more"));
  CALL(symlink(NONE, "one-more"));
  CALL(symlink(NONE, NONE));
  say_link("new");
  unlink("/probe/dir-0700/new");
  unlink("/probe/dir-0711/new");
}

static int make_fifo(const char *path) { return mknod(path, S_IFIFO | 0600, 0); }

static void nodes(void) {
  static const mode_t KINDS[] = {0, S_IFREG, S_IFSOCK, S_IFIFO, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFMT};
  set_scene();
  on_all_paths("mknod", make_fifo);
  for (size_t index = 0; index < COUNT(KINDS); index++) {
    char name[32];
    snprintf(name, sizeof name, "kind-%zu", index);
    attempt("mknod", syscall(SYS_mknod, name, KINDS[index] | 0640, 1 << 8 | 3));
    look(name);
    attempt("again", syscall(SYS_mknodat, AT_FDCWD, name, KINDS[index] | 0640, 0xfff00fff));
    attempt("nowhere", syscall(SYS_mknod, "missing/node", KINDS[index] | 0640, 1 << 8 | 3));
    attempt("no name", syscall(SYS_mknod, "", KINDS[index] | 0640, 1 << 8 | 3));
    attempt("no memory", syscall(SYS_mknod, 1, KINDS[index] | 0640, 1 << 8 | 3));
    attempt("no folder", syscall(SYS_mknodat, 99, "node", KINDS[index] | 0640, 1 << 8 | 3));
  }
  attempt("large", syscall(SYS_mknod, "large", S_IFCHR | 0600, 0xabc123ff));
  struct stat status;
  if (stat("large", &status) == 0) say("%u %u", major(status.st_rdev), minor(status.st_rdev));
  unlink("/probe/dir-0700/new");
  unlink("/probe/dir-0711/new");
}

static int rename_to(const char *path) {
  make("source", 0644, "source");
  int result = rename("source", path), error = errno;
  unlink("source");
  errno = error;
  return result;
}

static int rename_from(const char *path) { return rename(path, "target"); }

static void renamed_to(void) {
  set_scene();
  on_all_paths("rename", rename_to);
  look("new");
  look("to-file");
  unlink("/probe/dir-0700/new");
  unlink("/probe/dir-0711/new");
}

static void renamed_from(void) {
  set_scene();
  on_all_paths("rename", rename_from);
  look("target");
}

static void say_both(const char *one, const char *two) {
  say_text(one);
  say_text(two);
}

static void renamings(void) {
  set_scene();
  make("other", 0600, "other");
  CALL(mkdir("full", 0755));
  make("full/file", 0644, "full");
  CALL(rename("file", "other"));
  say_both("file", "other");
  CALL(rename("other", "dir/moved"));
  CALL(rename("dir/moved", "to-dir/again"));
  CALL(rename("dir", "dir/inside"));
  CALL(rename("dir", "empty"));
  CALL(rename("empty", "full"));
  CALL(rename("empty/again", "full"));
  CALL(rename("full", "empty/again"));
  CALL(rename("empty/again", "empty/again"));
  CALL(rename("missing", "missing/either"));
  CALL(rename(NONE, NONE));
  CALL(rename("missing/either", NONE));
  CALL(rename("empty", ""));
  CALL(rename("to-nothing", "moved-link"));
  say_link("moved-link");
  CALL(rename("empty/again", "/dev/shm/away"));
  CALL(rename("empty/again", "/probe/readonly/away"));
  CALL(rename("/probe/readonly", "away"));
  CALL(rename("empty/again", "/proc/self/cwd/back"));
  say_text("back");
}

static void renamings_with_flags(void) {
  set_scene();
  make("other", 0600, "other");
  CALL(renameat2(AT_FDCWD, "file", AT_FDCWD, "other", RENAME_NOREPLACE));
  CALL(renameat2(AT_FDCWD, "file", AT_FDCWD, "new", RENAME_NOREPLACE));
  CALL(renameat2(AT_FDCWD, "new", AT_FDCWD, "other", RENAME_EXCHANGE));
  say_both("new", "other");
  CALL(renameat2(AT_FDCWD, "new", AT_FDCWD, "dir", RENAME_EXCHANGE));
  say_text("dir");
  CALL(renameat2(AT_FDCWD, "dir", AT_FDCWD, "missing", RENAME_EXCHANGE));
  CALL(renameat2(AT_FDCWD, "to-nothing", AT_FDCWD, "other", RENAME_EXCHANGE));
  say_link("other");
  CALL(renameat2(AT_FDCWD, "other", AT_FDCWD, "hole", RENAME_WHITEOUT));
  look("other");
  CALL(renameat2(AT_FDCWD, "dir", AT_FDCWD, "other", RENAME_EXCHANGE | RENAME_NOREPLACE));
  CALL(renameat2(AT_FDCWD, "dir", AT_FDCWD, "other", 8));
  CALL(renameat2(AT_FDCWD, "dir", AT_FDCWD, NONE, 8));
}

static void directory_descriptors(void) {
  set_scene();
  int dir = open("dir", O_RDONLY | O_DIRECTORY), path = open("empty", O_PATH), file = open("file", O_RDONLY);
  CALL(mkdirat(dir, "new", 0755));
  CALL(mkdirat(path, "new", 0755));
  CALL(mkdirat(file, "new", 0755));
  CALL(mkdirat(-1, "new", 0755));
  CALL(mkdirat(-1, "", 0755));
  CALL(mkdirat(-1, NONE, 0755));
  CALL(mkdirat(-1, "/tmp/semantics/directory-descriptors/absolute", 0755));
  CALL(mkdirat(999, "new", 0755));
  CALL(mkdirat(dir, "../up", 0755));
  CALL(renameat(dir, "file", path, "file"));
  CALL(renameat(dir, "file", path, "file"));
  CALL(renameat(path, "file", 999, "file"));
  CALL(linkat(path, "file", dir, "linked", 0));
  CALL(symlinkat("text", path, "link"));
  CALL(fchmodat(path, "file", 0600, 0));
  CALL(fchownat(path, "file", -1, -1, 0));
  CALL(mknodat(dir, "fifo", S_IFIFO | 0600, 0));
  CALL(unlinkat(path, "new", AT_REMOVEDIR));
  CALL(unlinkat(path, "file", 0));
  CALL(rename("dir", "elsewhere"));
  CALL(unlinkat(dir, "linked", 0));
  look("elsewhere");
}

static void hard_links(void) {
  set_scene();
  CALL(link("file", "one"));
  CALL(link("file", "one"));
  CALL(link("to-file", "link-of-link"));
  say_link("link-of-link");
  CALL(linkat(AT_FDCWD, "to-file", AT_FDCWD, "link-of-file", AT_SYMLINK_FOLLOW));
  CALL(linkat(AT_FDCWD, "to-nothing", AT_FDCWD, "link-of-nothing", 0));
  CALL(linkat(AT_FDCWD, "to-nothing", AT_FDCWD, "link-of-missing", AT_SYMLINK_FOLLOW));
  CALL(link("dir", "another"));
  CALL(link("to-dir/", "another"));
  CALL(link("file/", "another"));
  CALL(link("missing", "file"));
  CALL(link("file", "another/"));
  CALL(link("file", "dir"));
  CALL(link("file", "."));
  CALL(link("", "another"));
  CALL(link(NONE, "another"));
  CALL(link("file", NONE));
  CALL(link("file", "/dev/shm/away"));
  CALL(link("file", "/probe/readonly/away"));
  CALL(link("/proc/self/status", "another"));
  CALL(linkat(AT_FDCWD, "file", AT_FDCWD, "another", 0x4000));
  CALL(linkat(AT_FDCWD, "", AT_FDCWD, "another", AT_EMPTY_PATH));
  CALL(linkat(-1, "", AT_FDCWD, "another", AT_EMPTY_PATH));
  look("file");
}

// A descriptor is a name for whoever opened it, and for those who may read everything; not for another user. (Whether one's
// own file was opened by another process of one's own is not told apart, see docs/enforcement.md.)
static void links_of_descriptors(void) {
  make("file", 0666, "text");
  int file = open("file", O_RDWR), path = open("file", O_PATH);
  CALL(linkat(file, "", AT_FDCWD, "opened", AT_EMPTY_PATH));
  CALL(linkat(path, "", AT_FDCWD, "handle", AT_EMPTY_PATH));
  chmod(".", 0777);
  pid_t child = fork();
  if (child == 0) {
    if (setgroups(0, NULL) || setgid(1234) || setuid(1234)) _exit(0);
    _exit(linkat(file, "", AT_FDCWD, "passed", AT_EMPTY_PATH) ? errno : 0);
  }
  say_exit(child);
  look("file");
}

static void nameless_files(void) {
  char path[64];
  int fd = open(".", O_RDWR | O_TMPFILE, 0640), never = open(".", O_RDWR | O_TMPFILE | O_EXCL, 0640);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  CALL(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  CALL(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  CALL(linkat(AT_FDCWD, path, AT_FDCWD, "by-link", 0));
  snprintf(path, sizeof path, "/dev/fd/%d", fd);
  CALL(linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
  snprintf(path, sizeof path, "/proc/self/fd/%d", never);
  CALL(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
  look("named");
}

static void permissions(void) {
  static const char *const FILES[] = {"file", "file/", "dir", "to-file", "to-dir", "to-nothing", "loop", "missing", "", ".", "/probe/root-0644",
                                      "/probe/user-0600", "/probe/dir-0700/file", "/probe/readonly/file", "/probe/null", "/proc/self/status", "/proc/self/cwd/file"};
  set_scene();
  for (size_t index = 0; index < COUNT(FILES); index++) {
    struct stat before;
    int is_there = stat(FILES[index], &before) == 0;
    say("[%s]", FILES[index]);
    attempt("chmod", chmod(FILES[index], 02711));
    look(FILES[index]);
    attempt("lchown", lchown(FILES[index], -1, -1));
    attempt("chown", chown(FILES[index], getuid(), -1));
    look(FILES[index]);
    if (is_there && strncmp(FILES[index], "/proc", 5)) chmod(FILES[index], before.st_mode), chown(FILES[index], before.st_uid, before.st_gid);
  }
  CALL(chmod("file", 07777));
  look("file");
  CALL(chown("file", -1, GROUP));
  look("file");
  CALL(chown("file", -1, 4711));
  CALL(chown("file", 4711, -1));
  look("file");
  CALL(lchown("to-file", 4711, 4711));
  look("to-file");
  CALL(fchownat(AT_FDCWD, "to-file", -1, getgid(), AT_SYMLINK_NOFOLLOW));
  look("to-file");
  CALL(fchownat(open("dir", O_PATH), "", -1, getgid(), AT_EMPTY_PATH));
  CALL(fchownat(AT_FDCWD, "", -1, getgid(), AT_EMPTY_PATH));
  CALL(fchownat(AT_FDCWD, "", -1, getgid(), 0));
  CALL(fchownat(AT_FDCWD, "file", -1, -1, 1));
  CALL(chmod(NONE, 0));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", open("dir/file", O_RDONLY));
  CALL(chmod(path[0] ? path : "", 0604));
  look("dir/file");
}

// What belongs to others in a folder that everybody may write to.
static void others_in_shared_folder(void) {
  if (geteuid() == 0) become(3000, 3000);
  CALL(unlink("/probe/sticky/root"));
  CALL(rename("/probe/sticky/root", "/probe/sticky/moved"));
  CALL(rename("/probe/sticky/root", "/probe/sticky/link"));
  CALL(chmod("/probe/sticky/root", 0666));
  CALL(chown("/probe/sticky/root", getuid(), -1));
  CALL(mkdir("/probe/sticky/root", 0755));
  CALL(mkdir("/probe/sticky/own", 0755));
  CALL(rename("/probe/sticky/own", "/probe/sticky/other"));
  CALL(rmdir("/probe/sticky/other"));
  CALL(mkdir("/probe/dir-0700/new", 0755));
  CALL(mkdir("/probe/dir-0711/new", 0755));
  CALL(unlink("/probe/dir-0711/file"));
  CALL(unlink("/probe/dir-0700/file"));
}

static void in_another_directory(void) {
  syscall(SYS_unshare, CLONE_FS);
  CALL(mkdir("of-thread", 0755));
  CALL(chdir("of-thread"));
  umask(0);
  CALL(mkdir("inside", 0777));
  CALL(symlink("text", "link"));
  CALL(rename("inside", "../outside"));
}

static void directory_of_one_thread(void) {
  run_thread(in_another_directory);
  CALL(mkdir("of-process", 0777));
  look("of-process");
  look("outside");
  look("of-thread/link");
}

static void own_root(void) {
  set_scene();
  CALL(symlink("/file", "dir/absolute"));
  if (attempt("chroot", chroot("."))) return;
  CALL(mkdir("/made", 0755));
  CALL(mkdir("/../../up", 0755));
  CALL(chmod("/dir/absolute", 0600));
  CALL(rename("/file", "/dir/file"));
  CALL(rmdir("/"));
  CALL(rename("/", "/x"));
  CALL(rename("/made", "/"));
  CALL(mkdir("/proc/self/new", 0755));
  CALL(chdir("/"));
  CALL(mkdir("relative", 0755));
  look("relative");
}

static void changed_ids(void) {
  chmod(".", 0777);
  CALL(seteuid(USER));
  CALL(mkdir("of-effective", 0755));
  look("of-effective");
  CALL(mknod("fifo", S_IFIFO | 0600, 0));
  look("fifo");
  CALL(chown("fifo", 0, 0));
  CALL(seteuid(getuid()));
  CALL(rmdir("of-effective"));
  become(3000, 3000);
  CALL(rename("fifo", "moved"));
  CALL(chmod("moved", 0666));
  CALL(mkdir("of-stranger", 0755));
  look("of-stranger");
}

static void map(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  attempt("map", write(fd, text, strlen(text)) < 0 ? -1 : 0);
  close(fd);
}

static void own_users(void) {
  char users[32], groups[32];
  set_scene();
  snprintf(users, sizeof users, "0 %u 1", getuid());
  snprintf(groups, sizeof groups, "0 %u 1", getgid());
  if (CALL(unshare(CLONE_NEWUSER | CLONE_NEWNS))) return;
  CALL(mkdir("before", 0755));
  map("/proc/self/setgroups", "deny");
  map("/proc/self/uid_map", users);
  map("/proc/self/gid_map", groups);
  CALL(mkdir("new", 0755));
  look("new");
  CALL(chown("new", 0, 0));
  CALL(chown("new", 1, 1));
  CALL(chown("/probe/user-0600", 0, 0));
  CALL(chmod("dir/file", 04755));
  look("dir/file");
  CALL(link("dir/file", "linked"));
  CALL(rename("linked", "to-dir/linked"));
  CALL(unlinkat(open("dir", O_PATH), "linked", 0));
  CALL(mknod("device", S_IFCHR | 0600, 1 << 8 | 3));
  CALL(symlink("text", "link"));
  CALL(linkat(AT_FDCWD, "/proc/self/cwd/file", AT_FDCWD, "by-proc", AT_SYMLINK_FOLLOW));
  CALL(mount("none", "empty", "tmpfs", 0, NULL));
  CALL(mkdir("empty/mounted", 0755));
  CALL(rename("file", "empty/file"));
  CALL(rmdir("empty"));
  CALL(rmdir("empty/mounted"));
  CALL(umount("empty"));
}

// A signal may come at any moment; each call is made once all the same.
static void among_signals(void) {
  enum { ROUNDS = 500 };
  start_ticks(300);
  int failed = 0;
  for (int round = 0; round < ROUNDS; round++) {
    failed += mkdir("dir", 0755) != 0;
    failed += symlink("text", "dir/link") != 0;
    failed += rename("dir/link", "dir/moved") != 0;
    failed += unlink("dir/moved") != 0;
    failed += rmdir("dir") != 0;
  }
  say_failed(failed, 5 * ROUNDS);
  say("%d", stop_ticks());
}

// Nothing keeps a mount busy when a call has returned.
static void mount_can_go(void) {
  CALL(mkdir("mounted", 0755));
  if (CALL(unshare(CLONE_NEWNS))) return;
  int late = 0;
  for (int round = 0; round < 30; round++) {
    if (mount("none", "mounted", "tmpfs", 0, NULL)) return say_errno(errno);
    mkdir("mounted/new", 0755);
    rename("mounted/new", "mounted/moved");
    chmod("mounted/moved", 0700);
    rmdir("mounted/missing");
    late += umount("mounted") != 0;
  }
  say("%d late", late);
}

FAMILY(names, {"directories", directories}, {"links-of-descriptors", links_of_descriptors}, {"modes-of-directories", modes_of_directories},
       {"removed-files", removed_files}, {"removed-directories", removed_directories}, {"symlinks", symlinks},
       {"nodes", nodes}, {"renamed-to", renamed_to}, {"renamed-from", renamed_from}, {"renamings", renamings},
       {"renamings-with-flags", renamings_with_flags}, {"directory-descriptors", directory_descriptors},
       {"hard-links", hard_links}, {"nameless-files", nameless_files}, {"permissions", permissions},
       {"others-in-shared-folder", others_in_shared_folder}, {"directory-of-one-thread", directory_of_one_thread},
       {"names-in-own-root", own_root}, {"names-of-changed-ids", changed_ids}, {"names-of-own-users", own_users},
       {"names-among-signals", among_signals}, {"mount-can-go-after-names", mount_can_go});

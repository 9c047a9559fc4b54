// SPDX-License-Identifier: Apache-2.0
// Folders that everybody may write to, under the kernel's fs.protected_ settings: links, fifos and files of others.
#include "check.h"
#include <linux/openat2.h>

static void settings(void) {
  static const char *const NAMES[] = {"protected_symlinks", "protected_hardlinks", "protected_fifos",
                                      "protected_regular"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/sys/fs/%s", NAMES[index]);
    say_text(path);
  }
}

// Others' files in a sticky folder: /probe/sticky holds a link, a fifo, a device and a file of user 1000, and a
// file of root.
static void open_others(void) {
  shown(open("/probe/sticky/link", O_RDONLY));
  shown(open("/probe/sticky/link", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/sticky/fifo", O_RDWR | O_NONBLOCK));
  shown(open("/probe/sticky/fifo", O_RDWR | O_CREAT | O_NONBLOCK, 0600));
  shown(open("/probe/sticky/null", O_RDWR));
  shown(open("/probe/sticky/null", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/sticky/link", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  shown(open("/probe/sticky/file", O_RDWR));
  shown(open("/probe/sticky/file", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/sticky/root", O_RDWR));
  shown(open("/probe/sticky/root", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/sticky/link", O_PATH | O_NOFOLLOW));
  shown(open("/probe/sticky/dangling", O_RDWR | O_CREAT, 0600));
}

// The same files, by a path that has to stay below the folder, or begins there.
static void open_others_below(void) {
  static const char *const NAMES[] = {"link", "fifo", "file", "root", "dangling"};
  static const unsigned long long RESOLVE[] = {RESOLVE_BENEATH, RESOLVE_IN_ROOT};
  int folder = open("/probe/sticky", O_PATH);
  for (size_t how = 0; how < COUNT(RESOLVE); how++) {
    for (size_t index = 0; index < COUNT(NAMES); index++) {
      struct open_how make = {O_RDWR | O_CREAT | O_NONBLOCK, 0600, RESOLVE[how]};
      say("%s", NAMES[index]);
      shown((int)syscall(SYS_openat2, folder, NAMES[index], &make, sizeof make));
    }
  }
}

// A link of user 1000 in the middle of a path, and the last but one.
static void open_over_link(void) {
  shown(open("/probe/sticky/way/missing", O_RDONLY));
  shown(open("/probe/sticky/way/made", O_RDWR | O_CREAT | O_EXCL, 0600));
  attempt("unlink", unlink("/probe/sticky/way/made"));
  shown(open("/probe/sticky/way/../sticky/link", O_RDONLY));
  shown(open("/probe/sticky/way", O_RDONLY));
  shown(open("/probe/sticky/way/", O_RDONLY));
  shown(open("/probe/sticky/way/.", O_RDONLY));
}

// Others' files in a sticky folder, under names that are in none.
static void open_others_elsewhere(void) {
  char path[64];
  int fd = open("/probe/sticky/file", O_RDWR);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  shown(open(path, O_RDWR | O_CREAT, 0600));
  snprintf(path, sizeof path, "/dev/fd/%d", fd);
  shown(open(path, O_RDWR | O_CREAT, 0600));
  attempt("symlink", symlink("/probe/sticky/file", "to-file"));
  shown(open("to-file", O_RDWR | O_CREAT, 0600));
  int folder = open("/probe/sticky", O_PATH);
  shown(openat(folder, "file", O_RDWR | O_CREAT, 0600));
  attempt("chdir", chdir("/probe/sticky"));
  shown(open("file", O_RDWR | O_CREAT, 0600));
  shown(open("../sticky/./file", O_RDWR | O_CREAT, 0600));
  shown(open("root", O_RDWR | O_CREAT, 0600));
}

static void others_files(void) { open_others(); }

static void over_link(void) { open_over_link(); }

static void over_link_as_stranger(void) {
  become(3000, 3000);
  open_over_link();
}

static void others_files_elsewhere(void) { open_others_elsewhere(); }

static void others_files_elsewhere_as_stranger(void) {
  become(3000, 3000);
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // or its own procfs would belong to root
  open_others_elsewhere();
}

static void others_files_below(void) { open_others_below(); }

static void others_files_below_as_stranger(void) {
  become(3000, 3000);
  open_others_below();
}

static void others_files_as_user(void) {
  become(USER, USER);
  open_others();
}

static void others_files_as_stranger(void) {
  become(3000, 3000);
  open_others();
}

static void hard_links(void) {
  become(3000, 3000);
  attempt("link", link("/probe/sticky/file", "/probe/sticky/hard"));
  int fd = open("/probe/sticky/file", O_PATH);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  attempt("link", linkat(AT_FDCWD, path, AT_FDCWD, "/probe/sticky/hard", AT_SYMLINK_FOLLOW));
}

FAMILY(sticky, {"sticky-settings", settings}, {"sticky-others-files", others_files},
       {"sticky-others-files-as-user", others_files_as_user},
       {"sticky-others-files-as-stranger", others_files_as_stranger}, {"sticky-hard-links", hard_links},
       {"sticky-over-link", over_link}, {"sticky-over-link-as-stranger", over_link_as_stranger},
       {"sticky-others-files-elsewhere", others_files_elsewhere},
       {"sticky-others-files-elsewhere-as-stranger", others_files_elsewhere_as_stranger},
       {"sticky-others-files-below", others_files_below},
       {"sticky-others-files-below-as-stranger", others_files_below_as_stranger});

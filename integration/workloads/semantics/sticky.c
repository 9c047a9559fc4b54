// SPDX-License-Identifier: Apache-2.0
// Folders that everybody may write to, under the kernel's fs.protected_ settings: links, fifos and files of others.
#include "check.h"

static void settings(void) {
  static const char *const NAMES[] = {"protected_symlinks", "protected_hardlinks", "protected_fifos",
                                      "protected_regular"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/sys/fs/%s", NAMES[index]);
    say_text(path);
  }
}

// Others' files in a sticky folder: /probe/sticky holds a link, a fifo and a file of user 1000, and a file of root.
static void open_others(void) {
  shown(open("/probe/sticky/link", O_RDONLY));
  shown(open("/probe/sticky/link", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/sticky/fifo", O_RDWR | O_NONBLOCK));
  shown(open("/probe/sticky/fifo", O_RDWR | O_CREAT | O_NONBLOCK, 0600));
  shown(open("/probe/sticky/file", O_RDWR));
  shown(open("/probe/sticky/file", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/sticky/root", O_RDWR));
  shown(open("/probe/sticky/root", O_RDWR | O_CREAT, 0600));
  shown(open("/probe/sticky/link", O_PATH | O_NOFOLLOW));
  shown(open("/probe/sticky/dangling", O_RDWR | O_CREAT, 0600));
}

static void others_files(void) { open_others(); }

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
       {"sticky-others-files-as-stranger", others_files_as_stranger}, {"sticky-hard-links", hard_links});

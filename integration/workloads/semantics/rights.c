// SPDX-License-Identifier: Apache-2.0
// Who may open what, and whose the new files are: modes, umask, owners, groups, capabilities, access lists.
#include "check.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/xattr.h>

// Opens what others left for everybody, for a group and for nobody.
static void open_all(void) {
  static const char *const NAMES[] = {
      "/probe/root-0600", "/probe/root-0644", "/probe/root-0666",     "/probe/group-0640",    "/probe/user-0600",
      "/probe/user-0666", "/probe/user-0000", "/probe/dir-0700/file", "/probe/dir-0711/file", "/probe/dir-0711"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    say("%s", NAMES[index] + 7);
    for (int mode = O_RDONLY; mode <= O_RDWR; mode++) {
      int fd = open(NAMES[index], mode);
      say("%s", fd < 0 ? strerrorname_np(errno) : "ok");
      if (fd >= 0) close(fd);
    }
  }
}

static void as_started(void) { open_all(); }

static void as_user(void) {
  become(USER, USER);
  open_all();
}

static void as_group_member(void) {
  static const gid_t GROUPS[] = {1500, GROUP, 2500};
  attempt("setgroups", setgroups(COUNT(GROUPS), GROUPS));
  attempt("setresgid", setresgid(USER, USER, USER));
  attempt("setresuid", setresuid(USER, USER, USER));
  open_all();
}

static void as_user_of_group(void) {
  attempt("setgroups", setgroups(0, NULL));
  attempt("setresgid", setresgid(GROUP, GROUP, GROUP));
  attempt("setresuid", setresuid(USER, USER, USER));
  open_all();
}

// By the kernel's calls, which concern the calling thread alone.
static void *execute_without_groups(void *unused) {
  if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, USER, USER, USER) ||
      syscall(SYS_setresuid, USER, USER, USER))
    _exit(1);
  usleep(50000);
  execl(SELF, SELF, "report=open-of-group", NULL);
  return unused;
}

// The program takes over the number of the first thread, which is in a group that the executing one has left.
static void as_thread_without_groups(void) {
  static const gid_t GROUPS[] = {GROUP};
  attempt("setgroups", setgroups(COUNT(GROUPS), GROUPS));
  pthread_t thread;
  pthread_create(&thread, NULL, execute_without_groups, NULL);
  for (;;) close(open("/probe/group-0640", O_RDONLY));
}

static void with_effective_ids_only(void) {
  attempt("setegid", setegid(USER));
  attempt("seteuid", seteuid(USER));
  open_all();
  shown(open("made", O_RDWR | O_CREAT, 0600));
}

static void with_real_ids_only(void) {
  attempt("setresuid", setresuid(USER, -1, -1));
  attempt("setresgid", setresgid(USER, -1, -1));
  open_all();
}

static void with_filesystem_ids(void) {
  chmod(".", 0777);
  setfsgid(USER);
  setfsuid(USER);
  shown(open("made", O_RDWR | O_CREAT, 0666));
  open_all();
  setfsuid(0);
  setfsgid(0);
  shown(open("made-again", O_RDWR | O_CREAT, 0666));
}

static void without_capabilities(void) {
  keep_capabilities(0);
  open_all();
}

static void with_override_only(void) {
  keep_capabilities(1u << CAP_DAC_OVERRIDE);
  open_all();
}

static void with_read_search_only(void) {
  keep_capabilities(1u << CAP_DAC_READ_SEARCH);
  open_all();
}

static void user_with_override(void) {
  attempt("keep", prctl(PR_SET_KEEPCAPS, 1));
  become(USER, USER);
  keep_capabilities(1u << CAP_DAC_OVERRIDE);
  open_all();
  shown(open("/probe/dir-0700/made-by-override", O_RDWR | O_CREAT, 0600));
  unlink("/probe/dir-0700/made-by-override");
}

static void identity_thread(void) {
  syscall(SYS_setresuid, -1, USER, -1); // of this thread alone
  shown(open("/probe/root-0600", O_RDONLY));
  shown(open("made-by-thread", O_RDWR | O_CREAT, 0644));
}

static void identity_of_one_thread(void) {
  chmod(".", 0777);
  run_thread(identity_thread);
  shown(open("/probe/root-0600", O_RDONLY));
  shown(open("made-by-process", O_RDWR | O_CREAT, 0644));
}

static void umasks(void) {
  static const mode_t MASKS[] = {0, 022, 027, 077, 0777, 0111};
  for (size_t index = 0; index < COUNT(MASKS); index++) {
    char name[16];
    umask(MASKS[index]);
    snprintf(name, sizeof name, "file-%zu", index);
    shown(open(name, O_RDWR | O_CREAT, 06777));
    shown(open(".", O_RDWR | O_TMPFILE, 0666));
  }
}

static void umask_thread(void) {
  attempt("unshare", unshare(CLONE_FS));
  umask(077);
  shown(open("by-thread", O_RDWR | O_CREAT, 0666));
}

static void umask_of_one_thread(void) {
  umask(002);
  run_thread(umask_thread);
  shown(open("by-process", O_RDWR | O_CREAT, 0666));
}

static void setgid_folder(void) {
  mkdir("dir", 0777);
  attempt("chown", chown("dir", -1, GROUP));
  attempt("chmod", chmod("dir", 02777));
  shown(open("dir/file", O_RDWR | O_CREAT, 0666));
  shown(open("dir/setgid", O_RDWR | O_CREAT, 02775));
  shown(open("dir", O_RDWR | O_TMPFILE, 02775));
  become(USER, USER);
  shown(open("dir/of-user", O_RDWR | O_CREAT, 02775));
}

static void files_of_user(void) {
  mkdir("dir", 0777);
  chmod("dir", 0777);
  become(USER, GROUP);
  shown(open("dir/file", O_RDWR | O_CREAT, 04755));
  shown(open("dir", O_RDWR | O_TMPFILE, 0644));
  shown(open("not-mine", O_RDWR | O_CREAT, 0644));
}

static void created_without_permission(void) {
  shown(open("file", O_RDWR | O_CREAT, 0));
  shown(open("file", O_RDONLY));
  shown(open("write-only", O_RDWR | O_CREAT, 0200));
  shown(open("write-only", O_RDONLY));
  shown(open("write-only", O_WRONLY | O_APPEND));
}

struct acl_entry {
  uint16_t tag, permissions;
  uint32_t id;
};

// A default access list: the owner and user 1000 everything, the group and others reading.
static void default_access_list(void) {
  struct {
    uint32_t version;
    struct acl_entry entries[5];
  } list = {2, {{0x01, 7, -1u}, {0x02, 7, USER}, {0x04, 4, -1u}, {0x10, 7, -1u}, {0x20, 4, -1u}}};
  mkdir("dir", 0777);
  attempt("setxattr", setxattr("dir", "system.posix_acl_default", &list, sizeof list, 0));
  umask(077); // has no say where there is a default list
  shown(open("dir/file", O_RDWR | O_CREAT, 0666));
  shown(open("dir/private", O_RDWR | O_CREAT, 0600));
  char bytes[64];
  say("%zd", getxattr("dir/file", "system.posix_acl_access", bytes, sizeof bytes));
  chmod("dir", 0777);
  become(USER, USER);
  shown(open("dir/file", O_RDWR));
  shown(open("dir/private", O_RDONLY));
}

static void immutable_by_mode_for_owner(void) {
  make("file", 0444, "text");
  shown(open("file", O_RDWR));
  shown(open("file", O_RDONLY | O_TRUNC));
  shown(open("file", O_WRONLY | O_APPEND));
  chmod("file", 0);
  shown(open("file", O_RDONLY));
  mkdir("dir", 0);
  shown(open("dir", O_RDONLY));
  shown(open("dir/x", O_RDONLY));
  shown(open("dir/x", O_RDWR | O_CREAT, 0600));
}

FAMILY(rights, {"as-started", as_started}, {"as-user", as_user}, {"as-group-member", as_group_member},
       {"as-user-of-group", as_user_of_group}, {"as-thread-without-groups", as_thread_without_groups}, {"with-effective-ids-only", with_effective_ids_only},
       {"with-real-ids-only", with_real_ids_only}, {"with-filesystem-ids", with_filesystem_ids},
       {"without-capabilities", without_capabilities}, {"with-override-only", with_override_only},
       {"with-read-search-only", with_read_search_only}, {"user-with-override", user_with_override},
       {"identity-of-one-thread", identity_of_one_thread}, {"umasks", umasks},
       {"umask-of-one-thread", umask_of_one_thread}, {"setgid-folder", setgid_folder}, {"files-of-user", files_of_user},
       {"created-without-permission", created_without_permission}, {"default-access-list", default_access_list},
       {"immutable-by-mode-for-owner", immutable_by_mode_for_owner});

// SPDX-License-Identifier: Apache-2.0
// Opens of a task that made namespaces of its own inside the container.
#include "check.h"
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static void own_mounts(void) {
  mkdir("mounted", 0755);
  make("mounted/below", 0644, "below");
  make("other", 0644, "other");
  make("covered", 0644, "covered");
  attempt("unshare", unshare(CLONE_NEWNS));
  attempt("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  attempt("tmpfs", mount("none", "mounted", "tmpfs", 0, NULL));
  attempt("bind", mount("other", "covered", NULL, MS_BIND, NULL));
  shown(open("mounted/new", O_RDWR | O_CREAT, 0644));
  say_text("mounted/below");
  say_text("covered");
  attempt("umount", umount2("mounted", MNT_DETACH));
  say_text("mounted/below");
  shown(open("mounted/new", O_RDONLY));
}

static void mounts_of_thread(void) {
  attempt("unshare", unshare(CLONE_NEWNS | CLONE_FS));
  attempt("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  attempt("bind", mount("other", "covered", NULL, MS_BIND, NULL));
  say_text("covered");
  say_text("/proc/thread-self/root/tmp/semantics/mounts-of-one-thread/covered");
}

static void mounts_of_one_thread(void) {
  make("other", 0644, "other");
  make("covered", 0644, "covered");
  run_thread(mounts_of_thread);
  say_text("covered");
}

static void pivoted_root(void) {
  mkdir("root", 0755);
  attempt("unshare", unshare(CLONE_NEWNS));
  attempt("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  attempt("tmpfs", mount("none", "root", "tmpfs", 0, NULL));
  mkdir("root/old", 0755);
  make("root/file", 0644, "inside");
  attempt("chdir", chdir("root"));
  attempt("pivot", syscall(SYS_pivot_root, ".", "old"));
  say_text("/file");
  say_text("/old/etc/hostname");
  shown(open("/made", O_RDWR | O_CREAT, 0600));
  attempt("umount", umount2("/old", MNT_DETACH));
  say_text("/file");
  say_text("/old/etc/hostname");
  say_text("/proc/self/comm");
}

static void nodes_of_own_mounts(void) {
  mkdir("dev", 0755);
  attempt("unshare", unshare(CLONE_NEWNS));
  attempt("tmpfs", mount("none", "dev", "tmpfs", 0, NULL));
  attempt("mknod", mknod("dev/null", S_IFCHR | 0666, 1 << 8 | 3));
  attempt("mknod", mknod("dev/kmsg", S_IFCHR | 0666, 1 << 8 | 11));
  shown(open("dev/null", O_RDWR));
  shown(open("dev/kmsg", O_RDONLY | O_NONBLOCK));
  attempt("nodev", mount(NULL, "dev", NULL, MS_REMOUNT | MS_NODEV, NULL));
  shown(open("dev/null", O_RDWR));
}

static void write_map(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return say_errno(errno);
  attempt(path, write(fd, text, strlen(text)) < 0 ? -1 : 0);
  close(fd);
}

// The kernel asks for the rights of the one who opened the map: it must have been opened from inside.
static void map_self(uid_t uid, gid_t gid) {
  char text[32];
  snprintf(text, sizeof text, "0 %u 1", uid);
  write_map("/proc/self/setgroups", "deny");
  write_map("/proc/self/uid_map", text);
  snprintf(text, sizeof text, "0 %u 1", gid);
  write_map("/proc/self/gid_map", text);
}

static void own_users(void) {
  uid_t uid = getuid();
  gid_t gid = getgid();
  make("file", 0600, "text");
  make("closed", 0, "text");
  attempt("unshare", unshare(CLONE_NEWUSER));
  say("%u:%u", getuid(), getgid());
  shown(open("file", O_RDWR));
  map_self(uid, gid);
  say("%u:%u", getuid(), getgid());
  shown(open("file", O_RDWR));
  shown(open("closed", O_RDONLY));
  shown(open("new", O_RDWR | O_CREAT, 0644));
  shown(open("/probe/root-0600", O_RDONLY));
  shown(open("/probe/user-0600", O_RDONLY));
  shown(open("/probe/group-0640", O_RDONLY));
}

// Its memory belongs to the outer namespace as long as it executes nothing, and nobody of the inner one may look at it.
static void hidden_in_own_users(void) {
  uid_t uid = getuid();
  gid_t gid = getgid();
  make("file", 0600, "text");
  attempt("unshare", unshare(CLONE_NEWUSER));
  map_self(uid, gid);
  attempt("hide", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
  shown(open("file", O_RDWR));
  shown(open("new", O_RDWR | O_CREAT, 0644));
  shown(open("/dev/null", O_RDWR));
  shown(open("missing", O_RDONLY));
  int folder = shown(open(".", O_RDONLY | O_DIRECTORY));
  shown(openat(folder, "file", O_RDONLY));
  attempt("mkdir", mkdir("folder", 0755));
  attempt("rename", renameat(folder, "new", folder, "renamed"));
  attempt("chmod", chmod("file", 0640));
  attempt("unlink", unlink("renamed"));
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "nobody"};
  attempt("connect", connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
}

static void own_users_and_mounts(void) {
  uid_t uid = getuid();
  gid_t gid = getgid();
  mkdir("mounted", 0755);
  attempt("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS));
  map_self(uid, gid);
  attempt("tmpfs", mount("none", "mounted", "tmpfs", 0, NULL));
  shown(open("mounted/new", O_RDWR | O_CREAT, 0644));
  attempt("mknod", mknod("mounted/null", S_IFCHR | 0666, 1 << 8 | 3));
  shown(open("mounted/null", O_RDONLY));
  attempt("chown", chown("mounted/new", 0, 0));
  shown(open("mounted", O_RDWR | O_TMPFILE, 0644));
}

static void networks_of_own_users(void) {
  uid_t uid = getuid();
  gid_t gid = getgid();
  int status = 0;
  make("file", 0644, "text");
  attempt("unshare", unshare(CLONE_NEWUSER));
  map_self(uid, gid);
  pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNET) ? 2 : open("/proc/self/status", O_RDONLY) < 0);
  waitpid(child, &status, 0);
  say("%d", WEXITSTATUS(status));
  say("%d", open("/proc/self/status", O_RDONLY) >= 0);
  shown(open("file", O_RDONLY));
}

static int lists_port(const char *path) {
  char text[4096];
  slurp(path, text, sizeof text);
  return strstr(text, ":1E61 ") != NULL; // 7777
}

// A socket tells the new namespace from the container's.
static void own_network(void) {
  attempt("unshare", unshare(CLONE_NEWNET));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7777)};
  attempt("bind", bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&address, sizeof address));
  say("%d %d", lists_port("/proc/net/udp"), lists_port("/proc/thread-self/net/udp"));
  char link[64] = "", opened[64] = "", path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  say("%d", readlink("/proc/self/ns/net", link, sizeof link - 1) == readlink(path, opened, sizeof opened - 1) &&
                strcmp(link, opened) == 0);
}

// Each network namespace has its own value; the file that is opened must be that of the caller's.
static void settings_of_own_network(void) {
  attempt("unshare", unshare(CLONE_NEWNET | CLONE_NEWNS));
  mkdir("proc", 0755);
  attempt("mount", mount("proc", "proc", "proc", 0, NULL));
  int fd = open("proc/sys/net/ipv4/ip_default_ttl", O_WRONLY | O_CLOEXEC);
  attempt("write", write(fd, "77", 2) < 0 ? -1 : 0);
  say_text("proc/sys/net/ipv4/ip_default_ttl");
  say_text("/proc/sys/net/ipv4/ip_default_ttl");
}

static void from_another_network(void) {
  attempt("unshare", unshare(CLONE_NEWNET));
  say_text("proc/sys/net/ipv4/conf/only0/forwarding");
}

// A name that only one network namespace has, after a look from another one.
static void settings_of_one_network(void) {
  attempt("unshare", unshare(CLONE_NEWNET | CLONE_NEWNS));
  mkdir("proc", 0755);
  attempt("mount", mount("proc", "proc", "proc", 0, NULL));
  attempt("bridge", ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCBRADDBR, "only0"));
  say_text("proc/sys/net/ipv4/conf/only0/forwarding");
  say_exit(child_of(from_another_network));
  say_text("proc/sys/net/ipv4/conf/only0/forwarding");
  int fd = open("proc/sys/net/ipv4/conf/only0/forwarding", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  attempt("write", write(fd, "1", 1) < 0 ? -1 : 0);
  say_text("proc/sys/net/ipv4/conf/only0/forwarding");
  // The same while somebody looks all the time.
  pid_t child = fork();
  if (child == 0)
    for (unshare(CLONE_NEWNET);;) open("proc/sys/net/ipv4/conf/only0/forwarding", O_RDONLY);
  int opened = 0;
  for (int round = 0; round < 100; round++) {
    opened += (fd = open("proc/sys/net/ipv4/conf/only0/forwarding", O_WRONLY | O_CREAT | O_TRUNC, 0644)) >= 0;
    close(fd);
  }
  say("opened %d", opened);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

static void own_ipc(void) {
  attempt("unshare", unshare(CLONE_NEWIPC | CLONE_NEWNS));
  int queue = (int)syscall(SYS_msgget, 0x1234, 01600), count = 0;
  char text[4096];
  slurp("/proc/sysvipc/msg", text, sizeof text);
  for (char *at = text; *at; at++) count += *at == '\n';
  say("%d %d", queue >= 0, count);
  mkdir("mqueue", 0755);
  attempt("mount", mount("none", "mqueue", "mqueue", 0, NULL));
  shown(open("mqueue/queue", O_RDWR | O_CREAT, 0600));
}

static void own_hostname(void) {
  attempt("unshare", unshare(CLONE_NEWUTS));
  attempt("sethostname", sethostname("inner", 5));
  say_text("/proc/sys/kernel/hostname");
}

static void first_process(void) {
  say("%d", getpid() == 1);
  attempt("mount", mount("proc", "proc", "proc", 0, NULL));
  char status[4096], pid[32];
  snprintf(pid, sizeof pid, "\nPid:\t%d\n", getpid());
  slurp("proc/self/status", status, sizeof status);
  say("%d", strstr(status, pid) != NULL);
  shown(open("proc/1/comm", O_RDONLY));
  shown(open("proc/self/fd/1", O_PATH));
  say_text("proc/thread-self/comm");
  say_link("proc/self");
  say_text("/proc/1/comm");
  say_link("/proc/self");
  say_text("/proc/self/comm");
}

static void own_processes(void) {
  mkdir("proc", 0755);
  attempt("unshare", unshare(CLONE_NEWPID | CLONE_NEWNS));
  say_exit(child_of(first_process));
}

static void own_proc_mount(void) {
  mkdir("proc", 0755);
  attempt("unshare", unshare(CLONE_NEWNS));
  attempt("mount", mount("proc", "proc", "proc", 0, NULL));
  char pid[32], text[4096], path[64];
  snprintf(pid, sizeof pid, "\nPid:\t%d\n", getpid());
  slurp("proc/self/status", text, sizeof text);
  say("%d", strstr(text, pid) != NULL);
  snprintf(path, sizeof path, "proc/%d/comm", getpid());
  say_text(path);
  make("file", 0644, "text");
  snprintf(path, sizeof path, "proc/self/fd/%d", open("file", O_RDONLY));
  shown(open(path, O_RDONLY));
  attempt("link", symlink("proc/self/comm", "link"));
  say_text("link");
  attempt("chdir", chdir("proc"));
  say_text("self/comm");
  say_text("thread-self/comm");
}

static void joined_namespace(void) {
  mkdir("mounted", 0755);
  make("other", 0644, "other");
  make("file", 0644, "file");
  int ready[2], done[2];
  if (pipe(ready) || pipe(done)) return say_errno(errno);
  pid_t child = fork();
  if (child == 0) {
    int failed = unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
                 mount("other", "file", NULL, MS_BIND, NULL);
    char byte = (char)failed;
    close(done[1]);
    failed = write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) > 0;
    _exit(failed);
  }
  char byte, path[64];
  close(done[0]);
  say("%zd", read(ready[0], &byte, 1));
  snprintf(path, sizeof path, "/proc/%d/root/tmp/semantics/joined-namespace/file", child);
  say_text("file");
  say_text(path);
  snprintf(path, sizeof path, "/proc/%d/ns/mnt", child);
  attempt("setns", setns(open(path, O_RDONLY | O_CLOEXEC), CLONE_NEWNS));
  attempt("chdir", chdir("/tmp/semantics/joined-namespace"));
  say_text("file");
  close(done[1]);
  say_exit(child);
}

// No call that a task makes for itself says that it has another one.
static void settings_of_cloned_network(void) {
  int status = 0;
  say_text("/proc/sys/net/ipv4/ip_default_ttl");
  pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWNET | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, NULL);
  if (child < 0) return say_errno(errno);
  if (child == 0) {
    mkdir("proc", 0755);
    if (mount("proc", "proc", "proc", 0, NULL)) _exit(2);
    int fd = open("proc/sys/net/ipv4/ip_default_ttl", O_WRONLY | O_CLOEXEC);
    _exit(write(fd, "77", 2) < 0);
  }
  waitpid(child, &status, 0);
  say("%d", WEXITSTATUS(status));
  say_text("/proc/sys/net/ipv4/ip_default_ttl");
}

FAMILY(namespaces, {"own-mounts", own_mounts}, {"settings-of-cloned-network", settings_of_cloned_network}, {"mounts-of-one-thread", mounts_of_one_thread},
       {"pivoted-root", pivoted_root}, {"nodes-of-own-mounts", nodes_of_own_mounts}, {"own-users", own_users},
       {"hidden-in-own-users", hidden_in_own_users},
       {"own-users-and-mounts", own_users_and_mounts}, {"own-network", own_network},
       {"networks-of-own-users", networks_of_own_users},
       {"settings-of-own-network", settings_of_own_network}, {"settings-of-one-network", settings_of_one_network}, {"own-ipc", own_ipc}, {"own-hostname", own_hostname},
       {"own-processes", own_processes}, {"own-proc-mount", own_proc_mount}, {"joined-namespace", joined_namespace});

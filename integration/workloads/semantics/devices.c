// SPDX-License-Identifier: Apache-2.0
// Devices: what the container may open, terminals, and the terminal that belongs to a session.
#include "check.h"
#include <sys/ioctl.h>
#include <termios.h>

static void harmless(void) {
  char text[8] = "1234567";
  int null = shown(open("/dev/null", O_RDWR)), zero = shown(open("/dev/zero", O_RDWR)),
      full = shown(open("/dev/full", O_RDWR));
  say("%zd %zd", write(null, "x", 1), read(null, text, 1));
  say("%zd", read(zero, text, 7));
  say_bytes(text, 7);
  attempt("full", write(full, "x", 1));
  say("%zd", read(shown(open("/dev/urandom", O_RDONLY)), text, 7));
  shown(open("/dev/random", O_RDONLY | O_NONBLOCK));
  shown(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600));
  shown(open("/dev/null", O_RDONLY | O_DIRECTORY));
  shown(open("/dev/null/", O_RDONLY));
  shown(open("/dev/null", O_RDONLY | O_CREAT | O_EXCL, 0600));
  attempt("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, zero, 0) == MAP_FAILED ? -1 : 0);
}

// The nodes are there; whether they open is up to the control group, whatever the modes.
static void not_for_the_container(void) {
  static const char *const NAMES[] = {"/probe/block", "/probe/kmsg", "/probe/null", "/probe/absent"};
  for (size_t index = 0; index < COUNT(NAMES); index++) {
    shown(open(NAMES[index], O_RDONLY | O_NONBLOCK));
    shown(open(NAMES[index], O_RDWR | O_NONBLOCK));
    shown(open(NAMES[index], O_PATH));
  }
  attempt("mknod", mknod("null", S_IFCHR | 0666, 1 << 8 | 3));
  shown(open("null", O_RDWR));
  attempt("mknod", mknod("block", S_IFBLK | 0666, 7 << 8));
  shown(open("block", O_RDONLY));
  attempt("mknod", mknod("absent", S_IFCHR | 0666, 240 << 8 | 200));
  shown(open("absent", O_RDONLY));
  shown(open("/dev/console", O_RDWR | O_NOCTTY));
  shown(open("/dev/kmsg", O_RDONLY));
  shown(open("/dev/mem", O_RDONLY));
  shown(open("/dev/fuse", O_RDWR));
  shown(open("/dev/net/tun", O_RDWR));
}

static int terminal(char *name, size_t size, int flags) {
  int master = open("/dev/ptmx", O_RDWR | flags);
  if (master < 0) return say_errno(errno), -1;
  if (grantpt(master) || unlockpt(master) || ptsname_r(master, name, size)) return say_errno(errno), -1;
  return master;
}

static void pseudo_terminals(void) {
  char name[64], text[8] = "";
  int master = terminal(name, sizeof name, O_NOCTTY | O_CLOEXEC), slave = shown(open(name, O_RDWR | O_NOCTTY));
  shown(master);
  say("%zd", write(master, "line\n", 5));
  say("%zd", read(slave, text, 5));
  say_bytes(text, 5);
  say("%d", isatty(slave));
  shown(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
  shown(open("/dev/pts/ptmx", O_RDWR | O_NOCTTY));
  shown(open("/dev/pts/999", O_RDWR));
  int peer = shown(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
  say("%d", isatty(peer));
  close(master);
  shown(open(name, O_RDWR | O_NOCTTY));
  say("%zd", read(slave, text, 1));
}

static void locked_terminal(void) {
  char name[64];
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), number = -1;
  attempt("number", ioctl(master, TIOCGPTN, &number));
  snprintf(name, sizeof name, "/dev/pts/%d", number);
  shown(open(name, O_RDWR | O_NOCTTY));
  attempt("unlock", unlockpt(master));
  shown(open(name, O_RDWR | O_NOCTTY));
  attempt("exclusive", ioctl(open(name, O_RDWR | O_NOCTTY), TIOCEXCL));
  shown(open(name, O_RDWR | O_NOCTTY));
  become(USER, USER);
  shown(open(name, O_RDWR | O_NOCTTY));
}

static void no_controlling_terminal(void) {
  shown(open("/dev/tty", O_RDWR));
  shown(open("/dev/tty", O_RDONLY | O_NONBLOCK));
  shown(open("/dev/tty", O_PATH));
  say("%d", tcgetsid(STDIN_FILENO));
}

static void say_session(int fd) { say("%s", tcgetsid(fd) == getsid(0) ? "session" : strerrorname_np(errno)); }

// A session's leader that has no terminal gets the first one it opens without O_NOCTTY.
static void terminal_becomes_controlling(void) {
  char name[64], text[8] = "";
  int master = terminal(name, sizeof name, O_NOCTTY), slave = open(name, O_RDWR | O_NOCTTY);
  say_session(slave);
  shown(open("/dev/tty", O_RDWR));
  slave = shown(open(name, O_RDWR));
  say_session(slave);
  int tty = shown(open("/dev/tty", O_RDWR));
  say("%zd", write(master, "x\n", 2));
  say("%zd", read(tty, text, 2));
  say_session(tty);
  signal(SIGHUP, SIG_IGN);
  attempt("give up", ioctl(tty, TIOCNOTTY));
  shown(open("/dev/tty", O_RDWR));
}

static void terminal_made_controlling(void) {
  char name[64], text[8] = "";
  int master = terminal(name, sizeof name, O_NOCTTY), slave = open(name, O_RDWR | O_NOCTTY);
  attempt("make it controlling", ioctl(slave, TIOCSCTTY, 0));
  int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
  say("%zd", write(master, "x\n", 2));
  say("%zd", read(tty, text, 2));
  say("%#x", fcntl(tty, F_GETFL) & ~O_NOFOLLOW);
  say("%d", fcntl(tty, F_GETFD));
  say_session(tty);
  close(slave);
  tty = open("/dev/tty", O_WRONLY);
  say("%zd", write(tty, "y", 1));
  signal(SIGHUP, SIG_IGN);
  attempt("give up", ioctl(tty, TIOCNOTTY));
  shown(open("/dev/tty", O_RDWR));
}

static void master_is_no_controlling_terminal(void) {
  char name[64];
  say("%d", terminal(name, sizeof name, 0) >= 0);
  shown(open("/dev/tty", O_RDWR));
}

static void terminal_of_the_session(void) {
  char name[64];
  int master = terminal(name, sizeof name, O_NOCTTY), slave = open(name, O_RDWR);
  say_session(slave);
  say("%d", master >= 0);
  pid_t child = fork();
  if (child == 0) {
    say_session(slave);
    shown(open("/dev/tty", O_RDWR));
    say("%d", setsid() > 0);
    shown(open("/dev/tty", O_RDWR));
    _exit(open(name, O_RDWR) >= 0 && tcgetsid(slave) < 0 ? 0 : 1); // it belongs to another session
  }
  say_exit(child);
  child = fork();
  if (child == 0) { // not the leader, so it gets none
    signal(SIGHUP, SIG_IGN);
    ioctl(slave, TIOCNOTTY);
    shown(open("/dev/tty", O_RDWR));
    shown(open(name, O_RDWR));
    shown(open("/dev/tty", O_RDWR));
    _exit(0);
  }
  say_exit(child);
}

static volatile sig_atomic_t hung_up;
static void hang_up(int number) { hung_up = number; }

static void hung_up_terminal(void) {
  char name[64];
  signal(SIGHUP, hang_up);
  int master = terminal(name, sizeof name, O_NOCTTY), slave = open(name, O_RDWR), tty = open("/dev/tty", O_RDWR);
  say_session(slave);
  close(master);
  say("%s", hung_up == SIGHUP ? "HUP" : "none");
  attempt("write", write(tty, "x", 1));
  shown(open("/dev/tty", O_RDWR));
}

FAMILY(devices, {"harmless", harmless}, {"not-for-the-container", not_for_the_container},
       {"pseudo-terminals", pseudo_terminals}, {"locked-terminal", locked_terminal},
       {"no-controlling-terminal", no_controlling_terminal},
       {"terminal-becomes-controlling", terminal_becomes_controlling},
       {"terminal-made-controlling", terminal_made_controlling},
       {"master-is-no-controlling-terminal", master_is_no_controlling_terminal},
       {"terminal-of-the-session", terminal_of_the_session}, {"hung-up-terminal", hung_up_terminal});

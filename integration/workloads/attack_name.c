// SPDX-License-Identifier: Apache-2.0
// attack_name SECONDS ENOUGH CALL: makes a call that opens nothing, while a thread flips a word of its argument.
//
// CALL: link, linkat (of an unnamed file of O_TMPFILE), rename, symlink, mkdir and mknod make a name below /secret, as does
// working, of which the working directory changes; chmod changes a file there; unix and tcp connect to where nobody may
// connect to.
#include "attack.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { ALLOWED_PORT = 7000, FORBIDDEN_PORT = 7777 };

typedef struct {
  char path[64];
  union {
    struct sockaddr_in address;
    struct {
      char padding[6]; // puts the socket's path at a word's start
      struct sockaddr_un local;
    };
  };
} Arguments;

static Arguments *arguments;
static volatile uint64_t *flipped;
static uint64_t values[2];

static void flip(void *place, const char *harmless, const char *forbidden) {
  strcpy(place, harmless);
  flipped = place;
  values[0] = first_word(harmless);
  values[1] = first_word(forbidden);
}

static void prepare_name(void) { flip(arguments->path, "/public/made", "/secret/made"); }

static void prepare_mode(void) { flip(arguments->path, "/public/log", "/secret/log"); }

static void *take_all(void *listener) {
  for (;;) close(accept((int)(intptr_t)listener, NULL, NULL));
  return NULL;
}

static void listen_at(const struct sockaddr *address, socklen_t length) {
  int fd = socket(address->sa_family, SOCK_STREAM, 0);
  require(fd >= 0 && bind(fd, address, length) == 0 && listen(fd, 100) == 0, "listen");
  start_thread(take_all, (void *)(intptr_t)fd);
}

static void prepare_unix(void) {
  arguments->local.sun_family = AF_UNIX;
  for (int side = 0; side < 2; side++) {
    strcpy(arguments->local.sun_path, side ? "/secret/socket" : "/public/socket");
    listen_at((struct sockaddr *)&arguments->local, sizeof arguments->local);
  }
  flip(arguments->local.sun_path, "/public/socket", "/secret/socket");
}

static void prepare_tcp(void) {
  flipped = (uint64_t *)&arguments->address; // family, port and address
  for (int side = 1; side >= 0; side--) {
    uint16_t port = htons(side ? FORBIDDEN_PORT : ALLOWED_PORT);
    arguments->address = (struct sockaddr_in){AF_INET, port, {htonl(INADDR_LOOPBACK)}, {0}};
    values[side] = *flipped;
    listen_at((struct sockaddr *)&arguments->address, sizeof arguments->address);
  }
}

static Outcome made(int (*remove_it)(const char *)) {
  if (remove_it("/secret/made") == 0) return SUCCESS;
  return remove_it("/public/made") == 0 ? HARMLESS : NOTHING;
}

static Outcome by_link(void) {
  link("/public/key", arguments->path);
  return made(unlink);
}

static Outcome by_linkat(void) {
  char name[64];
  int unnamed = open("/public", O_TMPFILE | O_WRONLY, 0600);
  require(unnamed >= 0, "make an unnamed file");
  snprintf(name, sizeof name, "/proc/self/fd/%d", unnamed);
  linkat(AT_FDCWD, name, AT_FDCWD, arguments->path, AT_SYMLINK_FOLLOW);
  close(unnamed);
  return made(unlink);
}

static Outcome by_rename(void) {
  link("/public/key", "/tmp/moved");
  rename("/tmp/moved", arguments->path);
  return made(unlink);
}

static Outcome by_symlink(void) {
  symlink("anywhere", arguments->path);
  return made(unlink);
}

static Outcome by_mkdir(void) {
  mkdir(arguments->path, 0700);
  return made(rmdir);
}

static Outcome by_mknod(void) {
  syscall(SYS_mknod, arguments->path, S_IFIFO | 0600, 0); // the C library makes another call
  return made(unlink);
}

// A relative name, from where another thread goes to and fro.
static void *wander(void *unused) {
  while (!attack->over) {
    chdir("/secret");
    chdir("/public");
  }
  return unused;
}

static uint64_t nothing;

static void prepare_working(void) {
  flipped = &nothing;
  chdir("/public");
  start_thread(wander, NULL);
}

static Outcome by_working(void) {
  mkdir("made", 0700);
  return made(rmdir);
}

static mode_t mode_of_secret(void) {
  struct stat status;
  require(stat("/secret/log", &status) == 0, "look at the file");
  return status.st_mode & 0777;
}

static Outcome by_chmod(void) {
  mode_t another = mode_of_secret() ^ 0111;
  int changed = chmod(arguments->path, another) == 0;
  if (mode_of_secret() == another) return SUCCESS;
  return changed ? HARMLESS : NOTHING;
}

static Outcome connected(int fd, int is_forbidden) {
  close(fd);
  return is_forbidden ? SUCCESS : HARMLESS;
}

static Outcome by_unix(void) {
  struct sockaddr_un peer = {0};
  socklen_t length = sizeof peer;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (connect(fd, (struct sockaddr *)&arguments->local, sizeof arguments->local) == 0 &&
      getpeername(fd, (struct sockaddr *)&peer, &length) == 0)
    return connected(fd, strcmp(peer.sun_path, "/secret/socket") == 0);
  close(fd);
  return NOTHING;
}

static Outcome by_tcp(void) {
  struct sockaddr_in peer = {0};
  socklen_t length = sizeof peer;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&arguments->address, sizeof arguments->address) == 0 &&
      getpeername(fd, (struct sockaddr *)&peer, &length) == 0) {
    struct linger at_once = {1, 0}; // no port may be left waiting
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return connected(fd, peer.sin_port == htons(FORBIDDEN_PORT));
  }
  close(fd);
  return NOTHING;
}

static const struct Kind {
  const char *name;
  void (*prepare)(void);
  Outcome (*make)(void);
} KINDS[] = {
    {"link", prepare_name, by_link},   {"linkat", prepare_name, by_linkat},   {"rename", prepare_name, by_rename},
    {"mkdir", prepare_name, by_mkdir}, {"symlink", prepare_name, by_symlink}, {"chmod", prepare_mode, by_chmod},
    {"unix", prepare_unix, by_unix},   {"tcp", prepare_tcp, by_tcp},          {"mknod", prepare_name, by_mknod},
    {"working", prepare_working, by_working},
};

static void *store(void *unused) {
  while (!attack->over)
    for (int turn = 0; turn < 1000; turn++) *flipped = values[turn & 1];
  return unused;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  const struct Kind *kind = CHOSEN(KINDS, word(argc, argv, 0));
  arguments = shared_memory(sizeof *arguments);
  kind->prepare();
  start_thread(store, NULL);
  while (!is_over()) count(kind->make());
  return finish();
}

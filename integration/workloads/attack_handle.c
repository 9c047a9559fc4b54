// SPDX-License-Identifier: Apache-2.0
// attack_handle SECONDS ENOUGH: opens the secret by its handle, without any path, a few times.
#include "attack.h"

enum { TIMES = 20 };

static Outcome open_by_handle(int mount) {
  struct {
    struct file_handle handle;
    unsigned char bytes[MAX_HANDLE_SZ];
  } file = {.handle.handle_bytes = MAX_HANDLE_SZ};
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, SECRET, &file.handle, &mount_id, 0) < 0) return NOTHING;
  return opened(open_by_handle_at(mount, &file.handle, O_RDONLY));
}

int main(int argc, char **argv) {
  begin(argc, argv);
  int mount = open("/", O_RDONLY | O_DIRECTORY);
  require(mount >= 0, "open the root");
  for (int time = 0; time < TIMES && !is_over(); time++) count(open_by_handle(mount));
  return finish();
}

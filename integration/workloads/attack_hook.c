// SPDX-License-Identifier: Apache-2.0
// attack_hook SECONDS ENOUGH: attaches a program to a control group, where it could answer `getsockopt` for, and lead the
// connects of, whoever acts for the group's sockets. This one changes nothing, and its group has nobody.
#include "attack.h"
#include <linux/bpf.h>
#include <sys/mount.h>

enum { TIMES = 20 };

#define GROUP "/tmp/groups/attack_hook"

static int load(void) {
  // Returns 1: the kernel's own answer stands.
  struct bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
      {.code = BPF_JMP | BPF_EXIT},
  };
  union bpf_attr attributes = {
      .prog_type = BPF_PROG_TYPE_CGROUP_SOCKOPT,
      .expected_attach_type = BPF_CGROUP_GETSOCKOPT,
      .insns = (uint64_t)(uintptr_t)program,
      .insn_cnt = 2,
      .license = (uint64_t)(uintptr_t) "GPL",
  };
  return syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
}

static Outcome attach(int group, int program) {
  union bpf_attr attributes = {.target_fd = group, .attach_bpf_fd = program, .attach_type = BPF_CGROUP_GETSOCKOPT,
                               .attach_flags = BPF_F_ALLOW_MULTI};
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes)) return NOTHING;
  attributes.attach_flags = 0;
  require(syscall(SYS_bpf, BPF_PROG_DETACH, &attributes, sizeof attributes) == 0, "take the program off again");
  return SUCCESS;
}

int main(int argc, char **argv) {
  begin(argc, argv);
  require(mkdir("/tmp/groups", 0755) == 0 && mount("groups", "/tmp/groups", "cgroup2", 0, NULL) == 0, "mount the groups");
  require(mkdir(GROUP, 0755) == 0 || errno == EEXIST, "make a group");
  int group = open(GROUP, O_RDONLY | O_DIRECTORY), program = load();
  require(group >= 0, "open the group");
  if (program < 0) return unavailable("no programs for control groups");
  for (int time = 0; time < TIMES && !is_over(); time++) count(attach(group, program));
  rmdir(GROUP);
  return finish();
}

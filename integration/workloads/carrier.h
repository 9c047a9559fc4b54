// SPDX-License-Identifier: Apache-2.0
// An executable file with nothing in it but the name of a loader, which the kernel starts in its place.
#pragma once
#include <elf.h>
#include <string.h>

#define CARRIED "/secret/loaded"

typedef struct {
  Elf64_Ehdr header;
  Elf64_Phdr parts[2];
  char loader[sizeof CARRIED];
} Carrier;

static inline Carrier carrier(void) {
  Carrier file = {.loader = CARRIED};
  memcpy(file.header.e_ident, ELFMAG "\2\1\1", 7);
  file.header.e_type = ET_EXEC;
  file.header.e_machine = EM_X86_64;
  file.header.e_version = EV_CURRENT;
  file.header.e_phoff = sizeof file.header;
  file.header.e_ehsize = sizeof file.header;
  file.header.e_phentsize = sizeof *file.parts;
  file.header.e_phnum = 2;
  size_t at = (size_t)((char *)file.loader - (char *)&file);
  file.parts[0] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = at, .p_filesz = sizeof CARRIED, .p_flags = PF_R};
  file.parts[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                               .p_vaddr = 0x400000,
                               .p_filesz = sizeof file,
                               .p_memsz = sizeof file,
                               .p_flags = PF_R | PF_X,
                               .p_align = 4096};
  return file;
}

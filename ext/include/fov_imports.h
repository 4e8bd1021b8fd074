/* Calls that one loaded library makes to the C library, led to other functions: its table of imports is changed, in this
 * process, for that library alone. ELF on Linux; elsewhere it is refused.
 *
 * A table that the system has sealed (RELRO) is left alone: no memory is made writable for this.
 */
#ifndef FOV_IMPORTS_H
#define FOV_IMPORTS_H

#include "fov_port.h"

typedef struct {
    const char *name;
    void *with;
    void **slot; /* out: its entry in the table */
} fov_import;

#if defined(__linux__) && defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))
#include <dlfcn.h>
#include <link.h>

#if defined(__x86_64__)
enum { FOV_JUMP_SLOT = R_X86_64_JUMP_SLOT, FOV_GLOB_DAT = R_X86_64_GLOB_DAT };
#else
enum { FOV_JUMP_SLOT = R_AARCH64_JUMP_SLOT, FOV_GLOB_DAT = R_AARCH64_GLOB_DAT };
#endif

typedef struct {
    uintptr_t base, sealed_from, sealed_to;
} fov_sealed;

static int fov_imports_find_sealed(struct dl_phdr_info *info, size_t size, void *out) {
    fov_sealed *sealed = (fov_sealed *)out;
    (void)size;
    if (info->dlpi_addr != sealed->base) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_GNU_RELRO) continue;
        sealed->sealed_from = sealed->base + info->dlpi_phdr[i].p_vaddr;
        sealed->sealed_to = sealed->sealed_from + info->dlpi_phdr[i].p_memsz;
    }
    return 1;
}

/* Leads all of `imports` (`count`) of the library that `inside` is a function of to their new functions: NULL, or why
 * none of them was. */
static const char *fov_imports_lead(void *inside, fov_import *imports, int count) {
    Dl_info info;
    struct link_map *map = NULL;
    if (!dladdr1(inside, &info, (void **)&map, RTLD_DL_LINKMAP) || !map || !map->l_ld) return "its library is not known";
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    const ElfW(Rela) *tables[2] = {NULL, NULL};
    size_t sizes[2] = {0, 0};
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        /* some C libraries leave addresses as they are in the file */
        uintptr_t at = entry->d_un.d_ptr + (entry->d_un.d_ptr < map->l_addr ? map->l_addr : 0);
        switch (entry->d_tag) {
        case DT_SYMTAB: symbols = (const ElfW(Sym) *)at; break;
        case DT_STRTAB: names = (const char *)at; break;
        case DT_JMPREL: tables[0] = (const ElfW(Rela) *)at; break;
        case DT_PLTRELSZ: sizes[0] = entry->d_un.d_val; break;
        case DT_PLTREL:
            if (entry->d_un.d_val != DT_RELA) return "its imports have another form";
            break;
        case DT_RELA: tables[1] = (const ElfW(Rela) *)at; break;
        case DT_RELASZ: sizes[1] = entry->d_un.d_val; break;
        default: break;
        }
    }
    if (!symbols || !names) return "it has no table of symbols";
    fov_sealed sealed = {map->l_addr, 0, 0};
    dl_iterate_phdr(fov_imports_find_sealed, &sealed);
    for (int writing = 0; writing < 2; writing++) { /* all of them can be led, or none is */
        for (int i = 0; i < count; i++) {
            int found = 0;
            for (int t = 0; t < 2; t++) {
                for (size_t r = 0; tables[t] && r < sizes[t] / sizeof(ElfW(Rela)); r++) {
                    const ElfW(Rela) *one = tables[t] + r;
                    unsigned type = (unsigned)ELF64_R_TYPE(one->r_info);
                    if (type != FOV_JUMP_SLOT && type != FOV_GLOB_DAT) continue;
                    if (strcmp(names + symbols[ELF64_R_SYM(one->r_info)].st_name, imports[i].name)) continue;
                    uintptr_t slot = map->l_addr + one->r_offset;
                    if (slot >= sealed.sealed_from && slot < sealed.sealed_to) return "its imports are sealed";
                    if (writing) __atomic_store_n((void **)slot, imports[i].with, __ATOMIC_RELEASE);
                    imports[i].slot = (void **)slot;
                    found++;
                }
            }
            if (found != 1) return "it imports other functions";
        }
    }
    return NULL;
}

#else
static const char *fov_imports_lead(void *inside, fov_import *imports, int count) {
    (void)inside, (void)imports, (void)count;
    return "only done on Linux";
}
#endif

#endif

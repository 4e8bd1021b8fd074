/* Memory for a ring: a control page, then the data area, on Linux a second time behind itself.
 *
 * Linux: one memfd (sealed against a change of size, so that no peer can make us fault); its data part is mapped twice
 * back to back, so that whatever begins in the data area is contiguous. Other processes attach by the descriptor.
 * Elsewhere: plain memory of one process, mapped once; the ring pads at the end of the area instead.
 */
#ifndef FOV_MAP_H
#define FOV_MAP_H

#include "fov_port.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define FOV_MAP_SHARED 1
#endif

typedef struct {
    uint8_t *control; /* FOV_MAP_CONTROL bytes */
    uint8_t *data;    /* capacity bytes, twice if `twice` */
    uint64_t capacity;
    int twice;
    int fd; /* own descriptor, or -1 */
    void *base;
} fov_map;

/* Size of the control area and granularity of capacity: a page on every machine we support (ARM64 may have 64 KiB). */
enum { FOV_MAP_CONTROL = 65536, FOV_MAP_STEP = 65536 };

static inline void fov_map_close(fov_map *map) {
    if (!map->base) return;
#if defined(FOV_MAP_SHARED)
    if (map->fd >= 0) {
        munmap(map->base, FOV_MAP_CONTROL + map->capacity * (map->twice ? 2 : 1));
        close(map->fd);
    } else
#endif
        free(map->base);
    memset(map, 0, sizeof *map);
    map->fd = -1;
}

/* Plain memory. Returns 0, or an errno. */
static inline int fov_map_plain(fov_map *map, uint64_t capacity) {
    uint8_t *base = (uint8_t *)calloc(1, (size_t)(FOV_MAP_CONTROL + capacity));
    if (!base) return ENOMEM;
    map->base = base;
    /* malloc aligns to 16 only; the control block wants 128, and has plenty of room. */
    map->control = base + (128 - ((uintptr_t)base & 127)) % 128;
    map->data = base + FOV_MAP_CONTROL;
    map->capacity = capacity;
    map->twice = 0;
    map->fd = -1;
    return 0;
}

#if defined(FOV_MAP_SHARED)
static inline int fov_map_fd(fov_map *map, int fd, uint64_t capacity) {
    const int prot = PROT_READ | PROT_WRITE;
    size_t size = (size_t)capacity, control = FOV_MAP_CONTROL;
    uint8_t *base = (uint8_t *)mmap(NULL, control + 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return errno;
    if (mmap(base, control + size, prot, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
        mmap(base + control + size, size, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)control) == MAP_FAILED) {
        int error = errno;
        munmap(base, control + 2 * size);
        return error;
    }
    map->base = base;
    map->control = base;
    map->data = base + control;
    map->capacity = capacity;
    map->twice = 1;
    map->fd = fd;
    return 0;
}
#endif

/* New zeroed memory; capacity is a multiple of FOV_MAP_STEP. Returns 0, or an errno. */
static inline int fov_map_create(fov_map *map, uint64_t capacity) {
#if defined(FOV_MAP_SHARED)
    int fd = memfd_create("fovideo-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return errno;
    int error = ftruncate(fd, (off_t)(FOV_MAP_CONTROL + capacity)) < 0 ||
                        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0
                    ? errno
                    : fov_map_fd(map, fd, capacity);
    if (error) close(fd);
    return error;
#else
    return fov_map_plain(map, capacity);
#endif
}

/* Memory that another process made; keeps a duplicate of `fd`. Returns 0, or an errno. */
static inline int fov_map_attach(fov_map *map, int fd) {
#if defined(FOV_MAP_SHARED)
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &status) < 0) return errno;
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || status.st_size <= FOV_MAP_CONTROL ||
        (status.st_size - FOV_MAP_CONTROL) % FOV_MAP_STEP)
        return EINVAL;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0) return errno;
    int error = fov_map_fd(map, own, (uint64_t)status.st_size - FOV_MAP_CONTROL);
    if (error) close(own);
    return error;
#else
    (void)map;
    (void)fd;
    return ENOSYS;
#endif
}

/* Gives the pages that lie wholly in data[from, from + size) back to the system; they read as zeros. */
static inline void fov_map_discard(fov_map *map, uint64_t from, uint64_t size) {
#if defined(FOV_MAP_SHARED)
    if (map->fd < 0) return;
    uint64_t page = 4096, start = (from + page - 1) & ~(page - 1), stop = (from + size) & ~(page - 1);
    if (stop > map->capacity) stop = map->capacity;
    if (start < stop)
        (void)fallocate(map->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(FOV_MAP_CONTROL + start),
                        (off_t)(stop - start));
#else
    (void)map;
    (void)from;
    (void)size;
#endif
}

#endif

/* Durability of many files in one call. */
#ifndef FOV_SYNC_H
#define FOV_SYNC_H

#include <errno.h>
#if defined(__linux__)
#include <unistd.h>
#define FOV_CAN_SYNC 1

/* 0, or an errno. What was written before an error is not known to be durable, whatever is tried later. */
static inline int fov_sync(int fd) {
    while (fdatasync(fd)) {
        if (errno != EINTR) return errno;
    }
    return 0;
}
#else
#define FOV_CAN_SYNC 0
static inline int fov_sync(int fd) { return fd < 0 ? EBADF : ENOSYS; }
#endif

#endif

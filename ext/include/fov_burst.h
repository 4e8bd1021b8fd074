/* Reading a connection in bursts for libavformat, which asks for it in pieces: a poll and a recv for each marker, each
 * length and each packet, some 1,200 system calls a second for a camera of 2 Mbit/s.
 *
 * While a thread has begun a burst, poll and recv of the library (fov_imports.h) come here. The connection is emptied
 * once per batch time with one large recv, into memory that is taken for that moment only; the pieces are served from there. What
 * is waited for is the end of the batch time, or a connection that holds much or was cut (SO_RCVLOWAT). Threads and
 * sockets that have nothing to do with it go straight to the system.
 *
 * libavformat still looks at its interruption at least every 100 ms, since no wait is longer than it asked for.
 */
#ifndef FOV_BURST_H
#define FOV_BURST_H

#include "fov_imports.h"

typedef struct {
    int fd; /* the connection: the first one that is waited for; -1 until then */
    int64_t batch_ns, due_ns;
    uint8_t *memory;
    size_t at, end; /* what of it is not yet given away */
} fov_burst;

#if defined(__linux__)
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum {
    FOV_BURST_BYTES = 128 << 10,
    FOV_BURST_LOW_WATER = 96 << 10, /* bytes from which on a connection is read before its time */
    FOV_BURST_SPARE = 8              /* memories that are kept: as many as threads run at once */
};

static __thread fov_burst *fov_burst_mine;

static struct {
    pthread_mutex_t lock;
    int count;
    uint8_t *memories[FOV_BURST_SPARE];
} fov_burst_spare = {PTHREAD_MUTEX_INITIALIZER, 0, {NULL}};

static uint8_t *fov_burst_take(void) {
    uint8_t *memory = NULL;
    pthread_mutex_lock(&fov_burst_spare.lock);
    if (fov_burst_spare.count) memory = fov_burst_spare.memories[--fov_burst_spare.count];
    pthread_mutex_unlock(&fov_burst_spare.lock);
    return memory ? memory : (uint8_t *)malloc(FOV_BURST_BYTES);
}

static void fov_burst_give(uint8_t *memory) {
    pthread_mutex_lock(&fov_burst_spare.lock);
    int kept = fov_burst_spare.count < FOV_BURST_SPARE;
    if (kept) fov_burst_spare.memories[fov_burst_spare.count++] = memory;
    pthread_mutex_unlock(&fov_burst_spare.lock);
    if (!kept) free(memory);
}

static int64_t fov_burst_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static fov_import fov_burst_imports[2] = {{"poll", NULL, NULL}, {"recv", NULL, NULL}};

/* Whether both calls still come here: a binding that began before may have ended since, or somebody else led them on. */
static int fov_burst_is_led(void) {
    for (int i = 0; i < 2; i++) {
        const fov_import *one = fov_burst_imports + i;
        if (!one->slot || __atomic_load_n(one->slot, __ATOMIC_ACQUIRE) != one->with) return 0;
    }
    return 1;
}

/* Whether this thread reads that socket in bursts. */
static int fov_burst_serves(fov_burst *burst, int fd) {
    if (FOV_LIKELY(burst->fd == fd)) return 1;
    int type = 0, low = FOV_BURST_LOW_WATER;
    socklen_t size = sizeof type;
    if (burst->fd >= 0 || !fov_burst_is_led() || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_STREAM) return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low)) return 0;
    burst->fd = fd;
    return 1;
}

/* Reads what the connection holds: bytes, 0 at its end, -1 with errno. */
static ssize_t fov_burst_fill(fov_burst *burst) {
    if (!burst->memory && !(burst->memory = fov_burst_take())) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t count = recv(burst->fd, burst->memory, FOV_BURST_BYTES, MSG_DONTWAIT);
    burst->at = 0;
    burst->end = count > 0 ? (size_t)count : 0;
    int64_t now_ns = fov_burst_now_ns();
    if (count == FOV_BURST_BYTES)
        burst->due_ns = now_ns; /* there is more */
    else
        burst->due_ns = burst->due_ns + burst->batch_ns > now_ns ? burst->due_ns + burst->batch_ns : now_ns + burst->batch_ns;
    return count;
}

static void fov_burst_drop(fov_burst *burst) {
    if (!burst->memory) return;
    int code = errno;
    fov_burst_give(burst->memory);
    errno = code;
    burst->memory = NULL;
}

/* In place of the library's poll. */
static int fov_burst_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    fov_burst *burst = fov_burst_mine;
    if (!burst || count != 1 || fds->events != POLLIN || !fov_burst_serves(burst, fds->fd)) return poll(fds, count, timeout_ms);
    if (burst->at == burst->end) {
        fov_burst_drop(burst);
        if (FOV_UNLIKELY(!fov_burst_is_led())) { /* what is taken in now could be passed over */
            int low = 1;
            (void)setsockopt(burst->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
            fov_burst_mine = NULL;
            return poll(fds, count, timeout_ms);
        }
        int64_t wait_ns = burst->due_ns - fov_burst_now_ns();
        if (wait_ns > 0) {
            int64_t wait_ms = (wait_ns + 999999) / 1000000;
            if (timeout_ms >= 0 && wait_ms > timeout_ms) wait_ms = timeout_ms;
            int found = poll(fds, 1, (int)wait_ms);
            if (found < 0 || (!found && burst->due_ns > fov_burst_now_ns())) return found;
        }
        if (fov_burst_fill(burst) < 0 && (errno == EAGAIN || errno == EINTR)) {
            fov_burst_drop(burst);
            fds->revents = 0;
            return 0; /* the library looks at its interruption and comes back */
        }
    }
    fds->revents = POLLIN; /* the end and errors are told by recv */
    return 1;
}

/* In place of the library's recv. */
static ssize_t fov_burst_recv(int fd, void *data, size_t size, int flags) {
    fov_burst *burst = fov_burst_mine;
    if (!burst || burst->fd != fd || burst->at == burst->end || flags) return recv(fd, data, size, flags);
    size_t count = burst->end - burst->at < size ? burst->end - burst->at : size;
    memcpy(data, burst->memory + burst->at, count);
    burst->at += count;
    return (ssize_t)count;
}

/* Leads the library's calls here, once: NULL, or why it can't be. `inside`: a function of it. */
static const char *fov_burst_lead(void *inside) {
    fov_burst_imports[0].with = (void *)fov_burst_poll;
    fov_burst_imports[1].with = (void *)fov_burst_recv;
    return fov_imports_lead(inside, fov_burst_imports, 2);
}

/* From now on the calling thread reads the next stream socket that it waits for in bursts. Until fov_burst_end. */
static void fov_burst_begin(fov_burst *burst, int64_t batch_ns) {
    *burst = (fov_burst){.fd = -1, .batch_ns = batch_ns};
    fov_burst_mine = burst;
}

/* What was received and not yet given away is lost: to be called when nothing more is read. */
static void fov_burst_end(fov_burst *burst) {
    fov_burst_mine = NULL;
    fov_burst_drop(burst);
}

#else
static const char *fov_burst_lead(void *inside) {
    (void)inside;
    return "only done on Linux";
}
static void fov_burst_begin(fov_burst *burst, int64_t batch_ns) { (void)burst, (void)batch_ns; }
static void fov_burst_end(fov_burst *burst) { (void)burst; }
#endif

#endif

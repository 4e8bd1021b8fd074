/* Sockets without waiting: what differs between systems, and what Linux does better (epoll with a low-water mark,
 * recvmmsg). `portable` takes the other systems' path on Linux too.
 *
 * Sockets are non-blocking and belong to the caller.
 */
#ifndef FOV_NET_H
#define FOV_NET_H

#include "fov_port.h"

#include <errno.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <winsock2.h>
#if defined(_MSC_VER)
#pragma comment(lib, "ws2_32.lib")
#endif
typedef SOCKET fov_socket;
#else
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
typedef int fov_socket;
#endif
#if defined(__linux__)
#include <sys/epoll.h>
#include <unistd.h>
#endif

#define FOV_NO_SOCKET ((fov_socket)-1)

enum {
    FOV_NET_BATCH = 32,                /* datagrams per call */
    FOV_NET_DATAGRAM = 65536,          /* room for one */
    FOV_NET_READY = 64,                /* sockets per wait */
    FOV_NET_WINDOW = 1 << 20,          /* bytes that a connection may hold back for us */
    FOV_NET_LOW_WATER = 192 * 1024,    /* bytes from which on it wakes us before its time */
};

#if defined(_WIN32)
FOV_INLINE int fov_net_error(void) {
    int code = WSAGetLastError();
    return code == WSAECONNRESET || code == WSAECONNABORTED ? ECONNRESET : code;
}
FOV_INLINE int fov_net_later(int code) { return code == WSAEWOULDBLOCK; }
static inline int64_t fov_net_now_ns(void) {
    LARGE_INTEGER count, rate;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&rate);
    return (count.QuadPart / rate.QuadPart) * 1000000000LL + (count.QuadPart % rate.QuadPart) * 1000000000LL / rate.QuadPart;
}
#define FOV_NET_FLAGS 0
#define FOV_NET_SIZE(n) ((int)(n))
#define fov_poll WSAPoll
typedef WSAPOLLFD fov_pollfd;
#else
FOV_INLINE int fov_net_error(void) { return errno; }
FOV_INLINE int fov_net_later(int code) { return code == EAGAIN || code == EWOULDBLOCK || code == EINTR; }
static inline int64_t fov_net_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
}
#if defined(MSG_NOSIGNAL)
#define FOV_NET_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#else
#define FOV_NET_FLAGS MSG_DONTWAIT
#endif
#define FOV_NET_SIZE(n) (n)
#define fov_poll poll
typedef struct pollfd fov_pollfd;
#endif

/* Bytes received, 0 at the end of the stream, or -1 with an errno, which is 0 when there is nothing now. */
static inline long fov_net_recv(fov_socket fd, void *data, size_t size, int *error) {
    long count = (long)recv(fd, (char *)data, FOV_NET_SIZE(size), FOV_NET_FLAGS);
    *error = 0;
    if (count >= 0) return count;
    int code = fov_net_error();
    if (!fov_net_later(code)) *error = code;
    return -1;
}

/* Bytes that the system took, maybe 0; or -1 with an errno. */
static inline long fov_net_send(fov_socket fd, const void *data, size_t size, int *error) {
    long count = (long)send(fd, (const char *)data, FOV_NET_SIZE(size), FOV_NET_FLAGS);
    *error = 0;
    if (count >= 0) return count;
    int code = fov_net_error();
    if (fov_net_later(code)) return 0;
    *error = code;
    return -1;
}

/* ---- datagrams ---- */

typedef struct {
    uint8_t *data; /* FOV_NET_BATCH times FOV_NET_DATAGRAM bytes, touched as far as they are used */
    size_t sizes[FOV_NET_BATCH];
#if defined(__linux__)
    struct mmsghdr heads[FOV_NET_BATCH];
    struct iovec rooms[FOV_NET_BATCH];
#endif
} fov_net_batch;

static inline int fov_net_batch_open(fov_net_batch *b) {
    memset(b, 0, sizeof *b);
    b->data = (uint8_t *)malloc((size_t)FOV_NET_BATCH * FOV_NET_DATAGRAM);
#if defined(__linux__)
    for (int i = 0; i < FOV_NET_BATCH; i++) {
        b->rooms[i].iov_base = b->data + (size_t)i * FOV_NET_DATAGRAM;
        b->rooms[i].iov_len = FOV_NET_DATAGRAM;
        b->heads[i].msg_hdr.msg_iov = b->rooms + i;
        b->heads[i].msg_hdr.msg_iovlen = 1;
    }
#endif
    return b->data ? 0 : ENOMEM;
}

/* Receives what is there, at most FOV_NET_BATCH datagrams: their number. Errors are those of single datagrams (a port
 * that is closed at the other end), and are passed over. */
static inline int fov_net_recv_many(fov_socket fd, fov_net_batch *b, int portable) {
    int count = 0, error;
#if defined(__linux__)
    if (!portable) {
        count = recvmmsg(fd, b->heads, FOV_NET_BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++) b->sizes[i] = b->heads[i].msg_len;
        return count < 0 ? 0 : count;
    }
#endif
    (void)portable;
    while (count < FOV_NET_BATCH) {
        long size = fov_net_recv(fd, b->data + (size_t)count * FOV_NET_DATAGRAM, FOV_NET_DATAGRAM, &error);
        if (size < 0) break;
        b->sizes[count++] = (size_t)size;
    }
    return count;
}

/* ---- waiting ---- */

typedef struct {
    fov_socket wake; /* readable when another thread wants attention */
    int epoll;       /* -1 = portable */
} fov_net_poller;

/* Returns 0, or an errno. */
static inline int fov_net_poller_open(fov_net_poller *p, fov_socket wake, int portable) {
    p->wake = wake;
    p->epoll = -1;
#if defined(__linux__)
    if (!portable) {
        struct epoll_event event = {EPOLLIN, {NULL}};
        if ((p->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) return errno;
        if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, wake, &event) < 0) return errno;
    }
#endif
    (void)portable;
    return 0;
}

static inline void fov_net_poller_close(fov_net_poller *p) {
#if defined(__linux__)
    if (p->epoll >= 0) close(p->epoll);
#endif
    p->epoll = -1;
}

/* Let the wait end for a connection that is cut, or that holds much: so its sender is never held up by our patience. */
static inline void fov_net_watch(fov_net_poller *p, fov_socket fd, void *owner) {
#if defined(__linux__)
    if (p->epoll < 0) return;
    /* The first call makes the window large enough, the second one says when to wake. */
    int window = FOV_NET_WINDOW, low = FOV_NET_LOW_WATER;
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP, {owner}};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &window, sizeof window);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
    (void)epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event);
#else
    (void)p;
    (void)fd;
    (void)owner;
#endif
}

static inline void fov_net_unwatch(fov_net_poller *p, fov_socket fd) {
#if defined(__linux__)
    struct epoll_event event = {0, {NULL}};
    int low = 1;
    if (p->epoll < 0) return;
    (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, &event);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
#else
    (void)p;
    (void)fd;
#endif
}

/* Waits until the wake socket is readable, a watched one wants attention, or the time is over. Fills `ready` with the
 * owners of those watched (at most FOV_NET_READY) and returns their number; sets *woken and empties the wake socket. */
static inline int fov_net_wait(fov_net_poller *p, int64_t timeout_ns, void **ready, int *woken) {
    int timeout = timeout_ns <= 0 ? 0 : (int)((timeout_ns + 999999) / 1000000), count = 0, error;
    char rest[64];
    *woken = 0;
#if defined(__linux__)
    if (p->epoll >= 0) {
        struct epoll_event events[FOV_NET_READY];
        int found = epoll_wait(p->epoll, events, FOV_NET_READY, timeout);
        for (int i = 0; i < found; i++) {
            if (events[i].data.ptr) ready[count++] = events[i].data.ptr;
            else *woken = 1;
        }
    } else
#endif
    {
        fov_pollfd wake;
        memset(&wake, 0, sizeof wake);
        wake.fd = p->wake;
        wake.events = POLLIN;
        *woken = fov_poll(&wake, 1, timeout) > 0;
    }
    (void)ready;
    while (*woken && fov_net_recv(p->wake, rest, sizeof rest, &error) == (long)sizeof rest) {}
    return count;
}

#endif

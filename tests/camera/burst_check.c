/* Bursts (fov_burst.h) where somebody else leads the library's calls on. With -DPEER: the library whose calls are led.
 * Else a program: LIBRARY begun|before says whether a burst holds bytes when that happens.
 */
#ifdef PEER
#include <poll.h>
#include <sys/socket.h>

/* As libavformat reads: waits for the connection, and takes a piece. */
int peer_read(int fd, void *data, int size) {
    struct pollfd one = {fd, POLLIN, 0};
    if (poll(&one, 1, 100) <= 0) return 0;
    return (int)recv(fd, data, (size_t)size, 0);
}

#else
#include "fov_burst.h"
#include <stdio.h>
#include <unistd.h>

enum { PIECE = 4, HELD = 64, LATER = 40 };

static int (*before_poll)(struct pollfd *, nfds_t, int);
static ssize_t (*before_recv)(int, void *, size_t, int);
static int polls, recvs;

static int their_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    polls++;
    return before_poll(fds, count, timeout_ms);
}

static ssize_t their_recv(int fd, void *data, size_t size, int flags) {
    recvs++;
    return before_recv(fd, data, size, flags);
}

static void lead_on(void *inside) {
    fov_import theirs[2] = {{"poll", (void *)their_poll, NULL}, {"recv", (void *)their_recv, NULL}};
    before_poll = fov_burst_poll;
    before_recv = fov_burst_recv;
    const char *misfit = fov_imports_lead(inside, theirs, 2);
    if (misfit) printf("not led on: %s\n", misfit), exit(2);
}

static void check(int fine, const char *what) {
    if (!fine) printf("%s\n", what), exit(1);
}

int main(int count, char **arguments) {
    void *library = count == 3 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    check(library != NULL, "no library");
    void *inside = dlsym(library, "peer_read");
    int (*peer_read)(int, void *, int);
    memcpy(&peer_read, &inside, sizeof inside);
    const char *misfit = fov_burst_lead(inside);
    if (misfit) printf("not led: %s\n", misfit), exit(2);
    int held = !strcmp(arguments[2], "begun"), ends[2], low = 0;
    uint8_t sent[HELD + LATER], got[sizeof sent];
    size_t at = 0;
    socklen_t size = sizeof low;
    for (size_t i = 0; i < sizeof sent; i++) sent[i] = (uint8_t)i;
    check(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "no pair");

    fov_burst burst;
    if (!held) lead_on(inside);
    fov_burst_begin(&burst, 1000000);
    check(write(ends[1], sent, HELD) == HELD, "not written");
    while (at < HELD / 2) at += (size_t)peer_read(ends[0], got + at, PIECE);
    if (held) {
        check(burst.fd == ends[0] && burst.end - burst.at == HELD / 2, "no burst");
        lead_on(inside);
    }
    check(write(ends[1], sent + HELD, LATER) == LATER, "not written");
    while (at < sizeof sent) at += (size_t)peer_read(ends[0], got + at, PIECE);
    check(!memcmp(sent, got, sizeof sent), "other bytes");
    check(polls && recvs, "not led on");
    check(held ? fov_burst_mine == NULL : burst.fd < 0, "still in bursts");
    check(!getsockopt(ends[0], SOL_SOCKET, SO_RCVLOWAT, &low, &size) && low == 1, "still waits for much");
    fov_burst_end(&burst);
    return 0;
}
#endif
